"""What machines say of themselves, in their own words, and the parsers that make facts of it.

Phones disagree on almost everything: empty values, values over several lines, sensors that read 0.0 or -99.9 for
"none", offline cores, missing files. A parser here never raises on what a phone says; what it cannot read is None.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from bench.devices import hardware, processors
from bench.devices.host import DESKTOP
from bench.devices.transport import Transport, free_in
from bench.devices.words import clean
from bench.records import Cpu, Device

_LONGEST_NAME = 80
_SECTION_MAX = 1 << 20
"""Characters of a section of the probe; the longest real one, of properties, has some 100,000."""
_LEAST_TICKS = 20
"""Of all cores together: fewer say nothing about load."""


@dataclass(frozen=True)
class Conditions:
    """The state of a phone at one moment. Temperatures in °C; None where it is not known.

    A machine without a battery (`battery_present` False) has neither charge nor battery temperature.
    """

    battery_present: bool | None = None
    battery_percent: int | None = None
    battery_celsius: float | None = None
    charging: bool | None = None
    """The battery is being filled, or full and plugged in; plugged in but discharging is False."""
    thermal_status: int | None = None
    """Android's PowerManager.THERMAL_STATUS_*: 0 none … 6 shutdown."""
    skin_celsius: float | None = None
    awake: bool | None = None
    power_saver: bool | None = None
    busy: float | None = None
    """The part of all cores' time, 0..1, that other work took while nothing of ours ran."""
    free_bytes: int | None = None
    """Where bench deploys."""


def probe(transport: Transport) -> dict[str, str]:
    """Everything that a phone says of itself: the sections of `device_scripts/probe.sh`, run there."""
    return _sections(transport, "probe.sh")


def heat(transport: Transport) -> Conditions:
    """A light look, for the moments before and after a launch: heat and battery, nothing else."""
    return conditions(_sections(transport, "heat.sh"))


def gauge(transport: Transport) -> dict[str, str]:
    """The sections of `device_scripts/gauge.sh`: what the battery's fuel gauge shows, and whether the screen is on."""
    return _sections(transport, "gauge.sh")


def _sections(transport: Transport, name: str) -> dict[str, str]:
    done = transport.run(["sh", "-c", _script(name)], deadline_s=60)
    sections = re.split(r"^@@ (\w+)\n", done.stdout, flags=re.MULTILINE)
    return {name: text[:_SECTION_MAX] for name, text in zip(sections[1::2], sections[2::2], strict=True)}


def _script(name: str) -> str:
    """The text of a script that runs on a phone: package data of an installed bench, else the repository's file."""
    packaged = resources.files("bench") / "_device_scripts" / name
    if packaged.is_file():
        return packaged.read_text()
    return (Path(__file__).parents[2] / "device_scripts" / name).read_text()


def phone(serial: str, sections: dict[str, str]) -> Device:
    """A phone, emulator or board from what it said. Its `facts` hold "virtual" when it is virtual (with the evidence)
    or when nobody can tell ("unknown")."""
    props = properties(sections.get("getprop", ""))
    cpuinfo = sections.get("cpuinfo", "")
    virtual, evidence = hardware.virtual(props, sections)
    soc = hardware.soc(props, cpuinfo)
    release = props.get("ro.build.version.release", "")
    kernel = sections.get("uname", "").strip()
    keep = (
        "ro.soc.manufacturer", "ro.soc.model", "ro.board.platform", "ro.hardware", "ro.build.fingerprint",
        "ro.build.version.sdk", "ro.bench.virtual", "ro.bench.translation", "ro.bench.tools",
    )  # fmt: skip
    facts = {key: props.get(key, "") for key in keep} | {"kernel": kernel, "soc": soc}
    chips = " ".join((soc, processors.soc_line(cpuinfo), props.get("ro.board.platform", "")))
    return Device(
        serial=clean(serial, _LONGEST_NAME),
        kind="phone",
        name=clean(hardware.name(props, sections.get("board", "")), _LONGEST_NAME) or clean(serial, _LONGEST_NAME),
        os=clean(f"Android {release or '?'}" if props else kernel or "unknown", _LONGEST_NAME),
        abis=tuple(clean(abi, 20) for abi in hardware.abis(props, sections.get("machine", ""))[:8]),
        virtual=bool(virtual),
        translated=bool(props.get("ro.bench.translation")),
        cpus=processors.cpus(cpuinfo, sections.get("cpus", ""), chips),
        ram_bytes=meminfo_total(sections.get("meminfo", "")),
        facts={key: word for key, text in facts.items() if (word := clean(text))} | _virtual_fact(virtual, evidence),
    )


def _virtual_fact(virtual: bool | None, evidence: str) -> dict[str, str]:
    """The evidence for a virtual machine, "unknown" without evidence either way, else nothing."""
    word = "unknown" if virtual is None else clean(evidence)
    return {"virtual": word} if word else {}


def desktop(abi: str) -> Device:
    """This host. `abi` is the one whose native runner it executes."""

    def read(path: str) -> str:
        try:
            return Path(path).read_text(errors="replace")
        except OSError:
            return ""

    about = ("/proc/device-tree/model", "/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name")
    board = "\n".join(map(read, about))
    sections = {"cpuinfo": read("/proc/cpuinfo"), "board": board, "hypervisor": read("/sys/hypervisor/type")}
    virtual, evidence = hardware.virtual({}, sections)
    cores = processors.cpus(sections["cpuinfo"], "")
    name = next((core.name for core in cores if core.name != processors.UNKNOWN), "") or platform.machine()
    count = os.cpu_count() or 1
    return Device(
        serial=DESKTOP,
        kind="desktop",
        name=f"{name}, {count} cores",
        os=f"{platform.system()} {platform.release()}",
        abis=(abi,),
        cpus=tuple(Cpu(index=i, name=name) for i in range(count)),
        ram_bytes=meminfo_total(read("/proc/meminfo")),
        facts={"python": platform.python_version()} | _virtual_fact(virtual, evidence),
    )


def properties(text: str) -> dict[str, str]:
    """`getprop` output; a value may span lines and hold brackets: it ends where the next property begins."""
    found: dict[str, list[str]] = {}
    value: list[str] = []
    for line in text.splitlines():
        if start := re.match(r"\[([^\]]+)\]: \[", line):
            value = found[start[1]] = [line[start.end() :]]
        else:
            value.append(line)
    whole = {name: "\n".join(lines).rstrip() for name, lines in found.items()}
    return {name: value.removesuffix("]") for name, value in whole.items() if value.endswith("]")}


def meminfo_total(text: str) -> int | None:
    """MemTotal of /proc/meminfo in bytes."""
    found = re.search(r"^MemTotal:\s*(\d{1,15}) kB", text, re.MULTILINE | re.ASCII)
    return int(found[1]) * 1024 if found else None


def conditions(sections: dict[str, str]) -> Conditions:
    """Battery, heat, screen, room and other load from a probe's sections, as far as it has them."""
    thermal = sections.get("thermal", "")
    saver = sections.get("saver", "").strip()
    return replace(
        _battery(sections.get("battery", "")),
        thermal_status=_thermal_status(thermal),
        skin_celsius=_skin(thermal),
        awake=awake(sections.get("power", "")),
        power_saver={"0": False, "1": True}.get(saver),
        busy=_busy(sections.get("stat", "")),
        free_bytes=free_in(sections.get("space", "")[-4096:]),
    )


def awake(power: str) -> bool | None:
    """Whether the screen is on, from `dumpsys power`."""
    wake = re.search(r"mWakefulness=(\w+)", power)
    return wake[1] == "Awake" if wake else None


def _busy(text: str) -> float | None:
    """From the first line of /proc/stat, twice: user, nice, system, idle, iowait, irq, softirq, steal in ticks."""
    rows = re.findall(r"^cpu +((?:\d{1,18} ?){4,10})", text, re.MULTILINE | re.ASCII)
    if len(rows) != 2:
        return None
    before, after = ([int(word) for word in row.split()[:8]] for row in rows)
    ticks = [b - a for a, b in zip(before, after, strict=False)]
    total = sum(ticks)
    idle = sum(ticks[3:5])
    return 1 - idle / total if total >= _LEAST_TICKS and 0 <= idle <= total else None


def _battery(text: str) -> Conditions:
    """`dumpsys battery`. What `dumpsys battery set` made up is not a fact, and a box without a battery is not empty."""
    if "UPDATES STOPPED" in text:
        return Conditions()
    pairs = re.findall(r"^[ \t]*(\w[\w ]*):[ \t]*(\S+)[ \t]*$", text, re.MULTILINE)
    said = dict(reversed(pairs))  # vendors add sections of their own below; the first word is Android's
    plugs = [said.get(f"{kind} powered") for kind in ("AC", "USB", "Wireless", "Dock")]
    plugged = "true" in plugs if any(plugs) else None
    if said.get("present") == "false":
        return Conditions(battery_present=False, charging=plugged)
    level, scale = processors.number(said.get("level", "")), processors.number(said.get("scale", "100"))
    percent = round(100 * level / scale) if level is not None and scale and level <= scale else None
    status = said.get("status")
    charging = {"2": True, "3": False, "4": False}.get(status or "", plugged)
    return Conditions(
        battery_present=True if said.get("present") == "true" else None,
        battery_percent=percent,
        battery_celsius=_celsius(said.get("temperature", ""), 10),
        charging=charging,
    )


def _thermal_status(text: str) -> int | None:
    """`dumpsys thermalservice`: the status, when a HAL that knows of it reports it. Android starts at 0 and stays there
    without one; a HAL 1.0 has no status to give; an overridden one is somebody's wish."""
    status = re.search(r"^Thermal Status: ([0-6])\b", text, re.MULTILINE)
    silent = re.search(r"^(HAL Ready: false|IsStatusOverride: true)|ThermalHAL 1\.0|connected: no", text, re.MULTILINE)
    return int(status[1]) if status and not silent else None


_NOT_SKIN = re.compile(r"cpu|gpu|bat|usb|soc|npu|tpu|^ap$|^pa|modem|charger|ddr", re.IGNORECASE)
_BATTERY, _SKIN = "2", "3"


def _skin(text: str) -> float | None:
    """The HAL's current skin temperature; cached ones may be hours old. Some vendors' types are off by one, so a sensor
    that is named skin comes first, and a type counts only where none contradicts its name."""
    if re.search(r"^HAL Ready: false", text, re.MULTILINE):
        return None
    _, _, current = text.partition("Current temperatures from HAL:")
    current, _, _ = current.partition("Current cooling devices")
    sensors = re.findall(r"Temperature\{mValue=(-?[\d.]+), mType=(-?\d+), mName=([^,}]*)", current)
    named = [s for s in sensors if "skin" in s[2].lower()]
    shifted = any(kind != _BATTERY for _, kind, name in sensors if re.match(r"bat", name, re.IGNORECASE))
    typed = [s for s in sensors if s[1] == _SKIN and not _NOT_SKIN.search(s[2])] if not shifted else []
    for chosen in ([s for s in named if s[1] == _SKIN], named, typed):
        if real := [c for value, _, _ in chosen if (c := _celsius(value)) is not None]:
            return max(real)
    return None


def _celsius(text: str, parts: int = 1) -> float | None:
    """A temperature written in `parts` of a degree. Exactly 0, or what no phone survives, stands for no sensor."""
    if not re.fullmatch(r"-?\d{1,6}(\.\d{1,6})?", text, re.ASCII):
        return None
    value = float(text) / parts
    return value if -40 <= value <= 150 and value != 0 else None
