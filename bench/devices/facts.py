"""What machines say of themselves, in their own words, and the parsers that make facts of it.

Phones disagree on almost everything: empty values, values over several lines, sensors that read 0.0 or -99.9 for
"none", offline cores, missing files. A parser here never raises on what a phone says; what it cannot read is None.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bench.devices.host import DESKTOP
from bench.devices.transport import Transport
from bench.records import Cpu, Device

_PARTS = {
    (0x41, 0xD03): "Cortex-A53", (0x41, 0xD04): "Cortex-A35", (0x41, 0xD05): "Cortex-A55", (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72", (0x41, 0xD09): "Cortex-A73", (0x41, 0xD0A): "Cortex-A75", (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0D): "Cortex-A77", (0x41, 0xD41): "Cortex-A78", (0x41, 0xD44): "Cortex-X1", (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710", (0x41, 0xD48): "Cortex-X2", (0x41, 0xD4D): "Cortex-A715", (0x41, 0xD4E): "Cortex-X3",
    (0x41, 0xD80): "Cortex-A520", (0x41, 0xD81): "Cortex-A720", (0x41, 0xD82): "Cortex-X4",
    (0x51, 0x800): "Kryo 2xx Gold", (0x51, 0x801): "Kryo 2xx Silver", (0x51, 0x802): "Kryo 3xx Gold",
    (0x51, 0x803): "Kryo 3xx Silver", (0x51, 0x804): "Kryo 4xx Gold", (0x51, 0x805): "Kryo 4xx Silver",
    (0x53, 0x001): "Exynos M1", (0x53, 0x002): "Exynos M3", (0x53, 0x003): "Exynos M4", (0x53, 0x004): "Exynos M5",
}  # fmt: skip
"""Core names by (implementer, part), from the Arm and vendor reference manuals (MIDR_EL1)."""


@dataclass(frozen=True)
class Conditions:
    """The state of a phone at one moment. Temperatures in °C; None where the phone does not tell."""

    battery_percent: int | None = None
    battery_celsius: float | None = None
    charging: bool | None = None
    thermal_status: int | None = None
    """Android's PowerManager.THERMAL_STATUS_*: 0 none … 6 shutdown."""
    skin_celsius: float | None = None
    awake: bool | None = None


def probe(transport: Transport) -> dict[str, str]:
    """The sections of `device_scripts/probe.sh`, run on the phone."""
    done = transport.run(["sh", "-c", probe_script()], deadline_s=60)
    sections = re.split(r"^@@ (\w+)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


def probe_script() -> str:
    """The text of probe.sh: package data of an installed bench, else the repository's file."""
    packaged = resources.files("bench") / "_device_scripts" / "probe.sh"
    if packaged.is_file():
        return packaged.read_text()
    return (Path(__file__).parents[2] / "device_scripts" / "probe.sh").read_text()


def phone(serial: str, sections: dict[str, str]) -> Device:
    """A phone or emulator from what it said."""
    props = properties(sections.get("getprop", ""))
    abis = tuple(
        a for a in (props.get("ro.product.cpu.abilist") or props.get("ro.product.cpu.abi", "")).split(",") if a
    )
    virtual = bool(props.get("ro.bench.virtual")) or "1" in (props.get("ro.kernel.qemu"), props.get("ro.boot.qemu"))
    names = ("ro.product.manufacturer", "ro.product.model")
    keep = (
        "ro.soc.manufacturer", "ro.soc.model", "ro.board.platform", "ro.hardware", "ro.build.fingerprint",
        "ro.build.version.sdk", "ro.bench.virtual", "ro.bench.translation",
    )  # fmt: skip
    return Device(
        serial=serial,
        kind="phone",
        name=" ".join(props[n] for n in names if props.get(n)) or serial,
        os=f"Android {props.get('ro.build.version.release') or '?'}",
        abis=abis,
        virtual=virtual,
        translated=bool(props.get("ro.bench.translation")),
        cpus=cpus(sections.get("cpuinfo", ""), sections.get("cpus", "")),
        ram_bytes=meminfo_total(sections.get("meminfo", "")),
        facts={k: props[k] for k in keep if props.get(k)} | {"kernel": sections.get("uname", "").strip()},
    )


def desktop(abi: str) -> Device:
    """This host. `abi` is the one whose native runner it executes."""

    def read(path: str) -> str:
        try:
            return Path(path).read_text(errors="replace")
        except OSError:
            return ""

    cpuinfo = read("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    name = model[1] if model else platform.processor() or platform.machine()
    count = os.cpu_count() or 1
    return Device(
        serial=DESKTOP,
        kind="desktop",
        name=f"{name}, {count} cores",
        os=f"{platform.system()} {platform.release()}",
        abis=(abi,),
        cpus=tuple(Cpu(index=i, name=name) for i in range(count)),
        ram_bytes=meminfo_total(read("/proc/meminfo")),
        facts={"python": platform.python_version()},
    )


def properties(text: str) -> dict[str, str]:
    """`getprop` output; a value may span lines and hold brackets."""
    pairs = re.findall(r"^\[([^\]\n]+)\]: \[(.*?)\]$(?=\n\[|\n*\Z)", text, re.MULTILINE | re.DOTALL)
    return dict(pairs)


def meminfo_total(text: str) -> int | None:
    """MemTotal of /proc/meminfo in bytes."""
    found = re.search(r"^MemTotal:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def cpu_list(text: str) -> tuple[int, ...]:
    """The kernel's lists of CPUs, `0-3,7` or `0 1 2 3`, in ascending order; parts that make no sense are left out."""
    found: set[int] = set()
    for part in re.split(r"[,\s]+", text.strip()):
        if match := re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part):
            found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(found))


def cpus(cpuinfo: str, lines: str) -> tuple[Cpu, ...]:
    """Cores from /proc/cpuinfo (names, online cores only) and the probe's `cpus` section (all cores)."""
    names: dict[int, str] = {}
    for block in re.split(r"\n\s*\n", cpuinfo):
        fields = dict(re.findall(r"^([^:\n]+?)[ \t]*:[ \t]*(.*)$", block, re.MULTILINE))
        if fields.get("processor", "").isdigit():
            names[int(fields["processor"])] = _core_name(fields)
    result = {index: Cpu(index=index, name=name) for index, name in names.items()}
    for line in lines.splitlines():
        head, *values = line.split("|")
        match = re.fullmatch(r"cpu (\d+)", head.strip())
        if not match:
            continue
        online, fastest, slowest, related = (values + [""] * 4)[:4]
        index = int(match[1])
        result[index] = Cpu(
            index=index,
            name=names.get(index, "unknown"),
            online=online.strip() != "0",
            max_khz=_number(fastest),
            min_khz=_number(slowest),
            cluster=cpu_list(related),
        )
    return tuple(result[i] for i in sorted(result))


def _core_name(fields: dict[str, str]) -> str:
    if model := fields.get("model name"):
        return model
    try:
        implementer, part = int(fields["CPU implementer"], 16), int(fields["CPU part"], 16)
    except (KeyError, ValueError):
        return "unknown"
    return _PARTS.get((implementer, part), f"implementer 0x{implementer:02x} part 0x{part:03x}")


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None


def conditions(sections: dict[str, str]) -> Conditions:
    """Battery, heat and screen from the probe's sections."""
    battery = dict(re.findall(r"^\s*([\w ]+?):\s*(\S+)\s*$", sections.get("battery", ""), re.MULTILINE))
    thermal = sections.get("thermal", "")
    status = re.search(r"^Thermal Status: (\d)", thermal, re.MULTILINE)
    level, tenths = _number(battery.get("level", "")), battery.get("temperature", "")
    plugs = [battery.get(f"{kind} powered") for kind in ("AC", "USB", "Wireless", "Dock")]
    wake = re.search(r"mWakefulness=(\w+)", sections.get("power", ""))
    return Conditions(
        battery_percent=level,
        battery_celsius=int(tenths) / 10 if re.fullmatch(r"-?\d+", tenths) and tenths != "0" else None,
        charging="true" in plugs if any(plugs) else None,
        thermal_status=int(status[1]) if status else None,
        skin_celsius=_skin(thermal),
        awake=wake[1] == "Awake" if wake else None,
    )


def _skin(thermal: str) -> float | None:
    """The HAL's current skin temperature (type 3); cached values can be hours old. 0.0 and below mean "no sensor"."""
    _, found, current = thermal.partition("Current temperatures from HAL:")
    readings = re.findall(r"Temperature\{mValue=(-?[\d.]+), mType=3,", current if found else thermal)
    real = [float(r) for r in readings if float(r) > 0]
    return max(real) if real else None
