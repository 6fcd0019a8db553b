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
_OR = " or "
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
    names, shared = _names(cpuinfo)
    if list(names) == [_ALL]:
        names = dict.fromkeys(found or [0], names[_ALL])
    if len(given := set(names.values())) == 1:
        kinds = core_names.mixed(soc) or tuple(given.pop().split(_OR))
        names = _of_kinds(kinds, names, found, shared) if len(kinds) > 1 else names
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


def _names(cpuinfo: str) -> tuple[dict[int, str], bool]:
    """Names by core, and whether several share one identification. Kernels write a block for each core, or several
    cores in a block, or what identifies them once for all; a core without identification has that of the next core
    that has one, else that of the one before."""
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
    shared = len(own) > 1 and None in own.values()
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
    return (result if _ALL in fields else {index: result.get(index, UNKNOWN) for index in fields}), shared


def _identified(fields: Mapping[str, str]) -> str | None:
    """A core's name by implementer and part, which say more than any `model name` of an ARM kernel. A kernel that gives
    the parts of both clusters at once, `0xc07 & 0xc0f`, leaves open which one it is."""
    implementer = _hexadecimal(fields.get("CPU implementer", ""), 0xFF)
    parts = [_hexadecimal(part, 0xFFF) for part in fields.get("CPU part", "").split("&")]
    variant = _hexadecimal(fields.get("CPU variant", "").partition("&")[0], 0xF)
    if implementer is None or None in parts:
        return None
    return _OR.join(core_names.name(implementer, part, variant) for part in parts if part is not None)


def _hexadecimal(text: str, most: int) -> int | None:
    found = re.fullmatch(r"\s*(?:0x)?([0-9a-fA-F]{1,8})\s*", text)
    return value if found and (value := int(found[1], 16)) <= most else None


def _of_kinds(
    kinds: tuple[str, ...], names: Mapping[int, str], found: Mapping[int, Cpu], shared: bool
) -> dict[int, str]:
    """Names on a chipset with these kinds of cores, slow to fast, whose kernel names one: by clock where there are as
    many clocks as kinds. Else nobody knows which cores a `shared` name is of."""
    clocks = sorted({cpu.max_khz for cpu in found.values() if cpu.max_khz})
    if len(clocks) == len(kinds):
        of = dict(zip(clocks, kinds, strict=True))
        return {**names, **{i: of[cpu.max_khz] for i, cpu in found.items() if cpu.max_khz}}
    return dict.fromkeys(names, _OR.join(dict.fromkeys(kinds))) if shared else dict(names)
