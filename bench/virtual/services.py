"""What a virtual phone says about itself when it is asked: getprop, setprop and dumpsys, as scripts and texts.

They are bench's own on every virtual phone, and need nothing of the commands that the phone's Android has.
"""

from __future__ import annotations

from bench.virtual.profile import Profile

_GETPROP = """\
#!{sh}
PATH={path}
# Properties that setprop made are files; those the phone was born with are lines of build.prop.
system="${{ANDROID_ROOT:-/system}}"; made="${{ANDROID_DATA:-/data}}/property"
list() {{
    for file in "$made"/*; do [ -f "$file" ] && printf '%s=%s\\n' "${{file##*/}}" "$(cat "$file")"; done
    cat "$system/build.prop"
}}
if [ $# = 0 ]; then
    list | sort -s -u -t = -k 1,1 | sed 's/^\\([^=]*\\)=\\(.*\\)$/[\\1]: [\\2]/'
    exit
fi
case "$1" in */*) echo "$2"; exit;; esac
if [ -f "$made/$1" ]; then cat "$made/$1"; exit; fi
while IFS='=' read -r name value; do
    if [ "$name" = "$1" ]; then echo "$value"; exit; fi
done < "$system/build.prop"
echo "$2"
"""
_SETPROP = """\
#!{sh}
PATH={path}
if [ $# != 2 ]; then echo "usage: setprop NAME VALUE" >&2; exit 1; fi
case "$1" in
    ro.*|*[!A-Za-z0-9._:@-]*|"") echo "Failed to set property '$1' to '$2'." >&2; exit 1;;
esac
printf '%s\\n' "$2" > "${{ANDROID_DATA:-/data}}/property/$1"
"""
_DUMPSYS = """\
#!{sh}
PATH={path}
system="${{ANDROID_ROOT:-/system}}"
meminfo() {{
    name="$1"
    rollup="/proc/$1/smaps_rollup"
    if ! [ -r "$rollup" ]; then echo "No process found for: $name"; return; fi
    pss=0 dirty=0 clean=0 swap=0 anonymous=0
    while read -r key value _; do
        case "$key" in
            Pss:) pss=$value;; Private_Dirty:) dirty=$value;; Private_Clean:) clean=$value;;
            SwapPss:) swap=$value;; Pss_Anon:) anonymous=$value;;
        esac
    done < "$rollup"
    echo "Applications Memory Usage (in Kilobytes):"
    printf '%18s %8s %8s %8s %8s\\n' "" Pss Private Private SwapPss "" Total Dirty Clean Dirty
    printf '%18s %8s %8s %8s %8s\\n' "" ------ ------ ------ ------
    printf '%18s %8d %8d %8d %8d\\n' "Native Heap" "$anonymous" "$dirty" 0 "$swap"
    printf '%18s %8d %8d %8d %8d\\n' TOTAL "$pss" "$dirty" "$clean" "$swap"
    printf '\\n App Summary\\n'
    printf '%18s: %8d\\n' "Native Heap" "$anonymous"
    printf '\\n%18s: %8d %20s %8d\\n' TOTAL "$pss" "TOTAL SWAP PSS:" "$swap"
}}
case "$1" in
    -l) echo "Currently running services:"; for file in "$system/etc/dumpsys"/*; do echo "  ${{file##*/}}"; done
        echo "  meminfo";;
    meminfo) if [ $# -gt 1 ]; then meminfo "$2"; else
        while read -r key value unit; do
            case "$key" in
                MemTotal:) echo "Total RAM: ${{value}}K";;
                MemAvailable:) echo " Free RAM: ${{value}}K";;
            esac
        done < "{meminfo}"; fi;;
    ""|*/*) echo "Can't find service: $1" >&2;;
    *) if [ -f "$system/etc/dumpsys/$1" ]; then cat "$system/etc/dumpsys/$1"
       else echo "Can't find service: $1" >&2; fi;;
esac
"""


def scripts(sh: str, path: str, meminfo: str = "/proc/meminfo") -> dict[str, str]:
    """The scripts by name: run by the shell `sh`, with the tools in the folders `path`."""
    texts = {"getprop": _GETPROP, "setprop": _SETPROP, "dumpsys": _DUMPSYS}
    return {name: text.format(sh=sh, path=path, meminfo=meminfo) for name, text in texts.items()}


def dumpsys_files(profile: Profile) -> dict[str, str]:
    """What dumpsys prints, as files of the phone."""
    found = {"battery": battery(profile), "thermalservice": thermalservice(profile)}
    return {f"system/etc/dumpsys/{name}": text for name, text in found.items()}


def battery(profile: Profile) -> str:
    """`dumpsys battery`."""
    facts = profile.battery
    full = facts.level == 100
    rows = {
        "AC powered": "false",
        "USB powered": str(facts.usb_powered).lower(),
        "Wireless powered": "false",
        "Max charging current": 500000,
        "Max charging voltage": 5000000,
        "Charge counter": 0,
        "status": 5 if full else 2 if facts.usb_powered else 3,
        "health": 2,
        "present": "true",
        "level": facts.level,
        "scale": 100,
        "voltage": facts.voltage,
        "temperature": facts.temperature,
        "technology": facts.technology,
    }
    return "Current Battery Service state:\n" + "".join(f"  {name}: {value}\n" for name, value in rows.items())


def thermalservice(profile: Profile) -> str:
    """`dumpsys thermalservice`."""
    sensors = "".join(
        f"\tTemperature{{mValue={sensor.value}, mType={sensor.type}, mName={sensor.name}, mStatus={sensor.status}}}\n"
        for sensor in profile.temperatures
    )
    return (
        "IsStatusOverride: false\n"
        f"Thermal Status: {max(sensor.status for sensor in profile.temperatures)}\n"
        f"Cached temperatures:\n{sensors}"
        "HAL Ready: true\n"
        "HAL connection:\n\tThermalHAL 2.0 connected: yes\n"
        f"Current temperatures from HAL:\n{sensors}"
        "Current cooling devices from HAL:\n"
        "Temperature static thresholds from HAL:\n"
    )
