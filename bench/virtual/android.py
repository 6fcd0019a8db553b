"""The Android-like root of a virtual phone: properties, dumpsys, tools, processor, made of files on the host.

    <folder>/system/bin       sh, the tools, getprop, setprop, dumpsys
    <folder>/system/build.prop
    <folder>/system/etc       what dumpsys prints
    <folder>/proc, sys        the files that hide the host's
    <data>                    becomes /data; lives on between starts

A sandbox (`bench.virtual.sandbox`) shows this at its place; without one the phone's paths are looked up here.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from bench.virtual import cores
from bench.virtual.profile import Profile
from bench.virtual.translation import Translation

# fmt: off
TOOLS = (
    "ls", "cat", "cp", "mv", "rm", "mkdir", "rmdir", "chmod", "stat", "sha256sum", "sha1sum", "md5sum", "df", "ps",
    "kill", "id", "uname", "taskset", "sleep", "head", "tail", "grep", "find", "date", "echo", "printf", "test",
    "[", "true", "false", "dd", "nproc", "wc", "du", "touch", "ln", "readlink", "realpath", "mktemp", "timeout",
    "xargs", "sed", "cut", "tr", "sort", "uniq", "tee", "env", "nice", "nohup", "setsid", "basename", "dirname",
    "expr", "seq", "sync", "cmp", "od", "uptime", "free", "top", "pidof", "pgrep", "pkill", "getconf", "gzip",
    "gunzip", "zcat", "tar", "which", "whoami", "tty", "stty",
)
# fmt: on
"""Names in /system/bin that are programs of the host, where the host has them."""
_SINCE = {
    "tty": 24, "sha256sum": 26, "gzip": 26, "gunzip": 26, "zcat": 26, "stty": 28, "getconf": 29, "nproc": 29, "[": 31,
    "test": 31,
}  # fmt: skip
"""The API level that brought a tool, for those that Android 6 has not (AOSP, shell_and_utilities/README.md)."""
_HOST_FOLDERS = "/usr/bin:/bin:/usr/sbin:/sbin"

_GETPROP = """\
#!{sh}
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
if [ $# != 2 ]; then echo "usage: setprop NAME VALUE" >&2; exit 1; fi
case "$1" in
    ro.*|*[!A-Za-z0-9._:@-]*|"") echo "Failed to set property '$1' to '$2'." >&2; exit 1;;
esac
printf '%s\\n' "$2" > "${{ANDROID_DATA:-/data}}/property/$1"
"""
_DUMPSYS = """\
#!{sh}
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


@dataclass(frozen=True)
class Root:
    """A phone's file system on the host."""

    folder: Path
    data: Path
    shell: Path
    """The host's shell that is the phone's."""
    cores: tuple[cores.Core, ...]
    translation: Translation | None
    missing: tuple[str, ...] = ()
    """Tools a phone has and this host has not."""
    storage_bytes: int | None = None
    """The room at /data/local/tmp, which is then a file system of its own that is lost when the phone stops."""
    covers: dict[str, Path] = field(default_factory=dict)
    """Paths on the phone and the files or folders that hide the host's there, /data and /system aside."""

    def environment(self, system: str, data: str) -> dict[str, str]:
        """A shell's environment, with /system and /data at the given places."""
        return {
            "PATH": f"{system}/bin",
            "HOME": "/",
            "USER": "shell",
            "LOGNAME": "shell",
            "SHELL": f"{system}/bin/sh",
            "HOSTNAME": "localhost",
            "ANDROID_ROOT": system,
            "ANDROID_DATA": data,
            "TMPDIR": f"{data}/local/tmp",
        }

    def places(self) -> dict[str, Path]:
        """Every path of the phone that is elsewhere on the host."""
        return {"/data": self.data, "/system": self.folder / "system", **self.covers}

    def locate(self, path: bytes) -> bytes:
        """Where a path of the phone is on the host, for a phone without a sandbox."""
        for place, real in self.places().items():
            inner = place.encode()
            if path == inner or path.startswith(inner + b"/"):
                return str(real).encode() + path[len(inner) :]
        return path

    def translate(self, command: bytes) -> bytes:
        """A shell command with the phone's paths replaced by the host's, for a phone without a sandbox."""
        known = b"|".join(re.escape(place.encode()) for place in self.places())
        return re.sub(rb"(?<![\w./-])(?:" + known + rb")(?![\w.-])", lambda match: self.locate(match.group()), command)


def properties(profile: Profile) -> dict[str, str]:
    """All system properties of a phone. `ro.bench.virtual` and `ro.bench.translation` are how results are labelled."""
    abi = profile.machine_abi
    is_64 = abi in ("arm64-v8a", "x86_64")
    made = {
        "ro.product.model": profile.model,
        "ro.product.manufacturer": profile.manufacturer,
        "ro.product.brand": profile.brand,
        "ro.product.device": profile.device,
        "ro.product.name": profile.product,
        "ro.product.board": profile.board,
        "ro.board.platform": profile.board,
        "ro.soc.model": profile.soc,
        "ro.build.version.release": profile.android,
        "ro.build.version.sdk": str(profile.sdk),
        "ro.build.fingerprint": profile.fingerprint,
        "ro.product.cpu.abi": abi,
        "ro.product.cpu.abilist": abi,
        "ro.product.cpu.abilist64": abi if is_64 else "",
        "ro.product.cpu.abilist32": "" if is_64 else abi,
        "ro.serialno": "",
        "sys.boot_completed": "1",
        "ro.kernel.qemu": "1",
        "ro.bench.virtual": profile.name,
    }
    if profile.translation():
        made["ro.bench.translation"] = "qemu-user"
    return {**profile.properties, **made}


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


def _sensors(profile: Profile) -> dict[str, str]:
    """`/sys/class/thermal` (m°C) and `/sys/class/power_supply/battery` (%, tenths of a °C, µV)."""
    files = {
        "class/power_supply/battery/capacity": str(profile.battery.level),
        "class/power_supply/battery/temp": str(profile.battery.temperature),
        "class/power_supply/battery/voltage_now": str(profile.battery.voltage * 1000),
    }
    for number, sensor in enumerate(profile.temperatures):
        files[f"class/thermal/thermal_zone{number}/type"] = sensor.name
        files[f"class/thermal/thermal_zone{number}/temp"] = str(round(sensor.value * 1000))
    return files


def _shell() -> Path:
    return Path(os.path.realpath(shutil.which("dash", path=_HOST_FOLDERS) or "/bin/sh"))


def build(profile: Profile, folder: Path, data: Path, sandboxed: bool, storage_bytes: int | None = None) -> Root:
    """Make a phone's root anew in `folder`; what is in `data` stays, but for properties that do not persist.

    Scripts name the phone's shell when it is `sandboxed`, else the host's. Raises ToolMissing.
    """
    translation = profile.translation()
    shell = _shell()
    shutil.rmtree(folder, ignore_errors=True)
    binaries = folder / "system" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "sh").symlink_to(shell)
    missing = []
    busybox = shutil.which("busybox", path=_HOST_FOLDERS)
    for tool in TOOLS:
        if _SINCE.get(tool, 0) > profile.sdk:
            continue
        if found := shutil.which(tool, path=_HOST_FOLDERS) or busybox:
            (binaries / tool).symlink_to(found)
        else:
            missing.append(tool)

    texts = {
        "system/build.prop": "".join(f"{name}={value}\n" for name, value in sorted(properties(profile).items())),
        "system/etc/dumpsys/battery": battery(profile),
        "system/etc/dumpsys/thermalservice": thermalservice(profile),
        "proc/cpuinfo": "",
        "proc/meminfo": "",
        "proc/boot_id": f"{uuid.uuid4()}\n",  # a start of this phone is its boot, whenever the host's was
        **{f"sys/{name}": f"{text}\n" for name, text in _sensors(profile).items()},
    }
    shown = cores.choose(profile.cpu.clusters, cores.host_cores())
    texts["proc/cpuinfo"] = cores.cpuinfo(profile.cpu, shown)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    cores.write_sysfs(folder / "sys/devices/system/cpu", profile.cpu, shown)

    scripts = {"getprop": _GETPROP, "setprop": _SETPROP, "dumpsys": _DUMPSYS}
    sh = "/system/bin/sh" if sandboxed else str(shell)
    meminfo = "/proc/meminfo" if sandboxed else str(folder / "proc/meminfo")
    for name, script in scripts.items():
        _write_script(binaries / name, script.format(sh=sh, meminfo=meminfo))

    covers = {f"/{name}": folder / name for name in ("proc/cpuinfo", "proc/meminfo", "sys")}
    covers["/proc/sys/kernel/random/boot_id"] = folder / "proc/boot_id"
    if translation:
        (folder / translation.inside.lstrip("/")).touch()
        covers[translation.inside] = translation.program
    for name in ("local/tmp", "media/0", "property"):
        (data / name).mkdir(parents=True, exist_ok=True)
    for made in (data / "property").iterdir():
        if not made.name.startswith("persist."):
            made.unlink()
    return Root(folder, data, shell, shown, translation, tuple(missing), storage_bytes, covers)


def _write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
