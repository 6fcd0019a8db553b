"""The cores of a machine, from what its kernel says of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bench.devices import core_names
from bench.devices.words import clean
from bench.records import Cpu

UNKNOWN = "unknown"
_MOST_CORES = 1024
_LONGEST_NAME = 80
_ALL = -1
"""Stands for all cores of a kernel that numbers none."""


def cpu_list(text: str) -> tuple[int, ...]:
    """The kernel's lists of CPUs, `0-3,7` or `0 1 2 3`, in ascending order; parts that make no sense are left out."""
    found: set[int] = set()
    for part in re.split(r"[,\s]+", text.strip()):
        if match := re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part, re.ASCII):
            found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(i for i in found if i < _MOST_CORES))


def number(text: str) -> int | None:
    """A count in decimal digits, or None for anything else."""
    return int(text) if re.fullmatch(r"\s*\d{1,18}\s*", text, re.ASCII) else None


def cpus(cpuinfo: str, lines: str, soc: str = "") -> tuple[Cpu, ...]:
    """Cores from /proc/cpuinfo (names; online cores only) and the probe's `cpus` section (all cores).

    `soc` is whatever names the chipset: some kernels name one core for all of them, and on those chipsets that is not
    the whole truth.
    """
    found = {cpu.index: cpu for cpu in _described(lines)}
    names = _names(cpuinfo)
    if list(names) == [_ALL]:
        names = dict.fromkeys(found or [0], names[_ALL])
    if len(set(names.values())) == 1 and (kinds := core_names.mixed(soc)):
        names = _of_kinds(kinds, names, found)
    return tuple(
        found.get(i, Cpu(index=i, name=UNKNOWN)).model_copy(update={"name": names.get(i, UNKNOWN)})
        for i in sorted({*found, *names})
    )


def soc_line(cpuinfo: str) -> str:
    """The `Hardware` line of /proc/cpuinfo, or an empty text."""
    found = re.search(r"^Hardware[ \t]*:[ \t]*(.+)$", cpuinfo, re.MULTILINE)
    return found[1] if found else ""


def _described(lines: str) -> Iterator[Cpu]:
    """The probe's lines `cpu N|online|max kHz|min kHz|related CPUs`, names left open."""
    for line in lines.splitlines():
        head, *values = line.split("|")
        match = re.fullmatch(r"cpu (\d{1,4})", head.strip(), re.ASCII)
        if match and int(match[1]) < _MOST_CORES:
            online, fastest, slowest, related = (values + [""] * 4)[:4]
            yield Cpu(
                index=int(match[1]),
                name=UNKNOWN,
                online=online.strip() != "0",
                max_khz=number(fastest) or None,
                min_khz=number(slowest) or None,
                cluster=cpu_list(related),
            )


def _names(cpuinfo: str) -> dict[int, str]:
    """Names by core. Kernels write a block for each core, or several cores in a block, or what identifies them once
    for all; a core without identification has that of the next core that has one, else that of the one before."""
    fields: dict[int, dict[str, str]] = {}
    current = fields.setdefault(_ALL, {})
    for line in cpuinfo.splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if key == "processor" and colon and (index := number(value)) is not None and index < _MOST_CORES:
            current = fields[index] = {}
        elif colon:
            current.setdefault(key, value)
    head = fields.pop(_ALL)
    if not fields:
        fields = {_ALL: head}
    own = {index: _identified(about) for index, about in fields.items()}
    following = None
    for index in reversed(own):
        following = own[index] = own[index] or following
    before = _identified(head)
    result = {}
    for index, identity in own.items():
        before = identity or before
        label = before or fields[index].get("model name") or fields[index].get("cpu model") or head.get("Processor")
        if label:
            result[index] = clean(label, _LONGEST_NAME)
    return result if _ALL in fields else {index: result.get(index, UNKNOWN) for index in fields}


def _identified(fields: Mapping[str, str]) -> str | None:
    """A core's name by implementer and part, which say more than any `model name` of an ARM kernel."""
    try:
        implementer, part = int(fields["CPU implementer"], 16), int(fields["CPU part"], 16)
        variant = int(fields.get("CPU variant", "0"), 16)
    except (KeyError, ValueError):
        return None
    if not (0 <= implementer <= 0xFF and 0 <= part <= 0xFFF):
        return None
    return core_names.name(implementer, part, variant)


def _of_kinds(kinds: tuple[str, ...], names: Mapping[int, str], found: Mapping[int, Cpu]) -> dict[int, str]:
    """Names on a chipset with these kinds of cores, slow to fast, whose kernel names one: by clock where there are as
    many clocks as kinds. Else, with several cores, nobody knows which of them the kernel meant."""
    clocks = sorted({cpu.max_khz for cpu in found.values() if cpu.max_khz})
    if len(clocks) == len(kinds):
        of = dict(zip(clocks, kinds, strict=True))
        return {**names, **{i: of[cpu.max_khz] for i, cpu in found.items() if cpu.max_khz}}
    return dict(names) if len(names) == 1 else dict.fromkeys(names, " or ".join(dict.fromkeys(kinds)))
