"""Which cores a request like "big" means on a machine, and whether that can be told at all.

By what the kernel says of clocks and kinds, never by core numbers: on some phones the fast cluster is cpu0-3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.devices import core_names
from bench.errors import UsageError
from bench.records import Cpu

_UNREADABLE = "the phone reports neither the clocks nor the kinds of its cores"


class Placement(NamedTuple):
    """Where a launch has to run. `mask` has a bit for each core; 0 leaves the scheduler alone. `reason` says why the
    cores are not, or may not be, those that were asked for; empty when they are."""

    mask: int
    reason: str = ""


def place(cpus: Sequence[Cpu], cores: str) -> Placement:
    """The cores for "any", "all", "big" (the fastest cluster), "little" (the slowest) or a mask such as "0xf0".

    Raises UsageError when `cores` is none of these.
    """
    online = {cpu.index for cpu in cpus if cpu.online}
    if cores == "any":
        return Placement(0)
    if re.fullmatch(r"0x[0-9a-fA-F]{1,32}", cores) and int(cores, 16):
        mask = int(cores, 16)
        absent = [i for i in range(mask.bit_length()) if online and mask >> i & 1 and i not in online]
        return Placement(mask, f"{_named(absent)} not there or switched off" if absent else "")
    if cores not in ("all", "big", "little"):
        raise UsageError(f"{cores!r} names no cores", 'Write "any", "all", "big", "little" or a mask such as "0xf0".')
    if not online:
        return Placement(0, "the phone does not list its cores")
    offline = [cpu.index for cpu in cpus if not cpu.online]
    if cores == "all":
        return Placement(_mask(online), f"{_named(offline)} switched off" if offline else "")
    return _cluster(cpus, online, offline, cores)


def _cluster(cpus: Sequence[Cpu], online: set[int], offline: Sequence[int], cores: str) -> Placement:
    sizes, clocks = _known(cpus)
    by_size, by_clock = online <= sizes.keys(), online <= clocks.keys()
    if not by_size and not by_clock:
        return Placement(0, f'{_UNREADABLE}, so which are "{cores}" is not known')

    def speed(core: int) -> tuple[int | None, ...]:
        # The kind first: a Cortex-A53 stays the little one at the clock of a Cortex-A73. What is not known of every
        # core in use orders none of them.
        return sizes.get(core) if by_size else 0, clocks.get(core) if by_clock else 0

    def beyond(core: int) -> bool:
        """Whether a core that is switched off may belong to the wanted cluster, or lie even further out."""
        mine = speed(core)
        return None in mine or (mine >= wanted if cores == "big" else mine <= wanted)

    speeds = {i: speed(i) for i in online}
    wanted = max(speeds.values()) if cores == "big" else min(speeds.values())
    chosen = {i for i in online if speeds[i] == wanted}
    doubts = []
    if chosen == online:
        doubts.append(f'its cores in use differ in neither clock nor kind, so "{cores}" names none of them')
    elif not by_clock and len({cpu.cluster for cpu in cpus if cpu.index in chosen}) > 1:
        doubts.append(f'its clocks are not readable, so which of its clusters is "{cores}" is not known')
    if hidden := [i for i in offline if beyond(i)]:
        doubts.append(f'{_named(hidden)} switched off and may be "{cores}"')
    return Placement(0 if chosen == online else _mask(chosen), "; ".join(doubts))


def _known(cpus: Sequence[Cpu]) -> tuple[dict[int, int], dict[int, int]]:
    """Size and top clock in kHz by core, where they can be told; an offline core has those of its cluster."""
    sizes = {cpu.index: size for cpu in cpus if (size := core_names.size(cpu.name)) is not None}
    clocks = {cpu.index: cpu.max_khz for cpu in cpus if cpu.max_khz}
    for known in (sizes, clocks):
        for cpu in [cpu for cpu in cpus if cpu.index in known]:
            for fellow in cpu.cluster:
                known.setdefault(fellow, known[cpu.index])
    return sizes, clocks


def _mask(cores: Iterable[int]) -> int:
    return sum(1 << i for i in cores)


def _named(cores: Sequence[int]) -> str:
    names = ", ".join(f"cpu{i}" for i in cores[:8]) + (" …" if len(cores) > 8 else "")
    return f"{names} {'is' if len(cores) == 1 else 'are'}"
