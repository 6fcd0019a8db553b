"""The memory test: the largest square picture that a machine answers before its memory ends.

A launch gets one picture and infers once. Sides double until one is too much, then the gap is halved until it is
`WITHIN` of the side. Each launch is a process of its own, so what a killed one took is free again. A picture that was
too much is tried again before that is believed: a phone kills for other reasons than the size of a picture, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from bench.devices.transport import Transport
from bench.errors import BenchError, DeadlineExceeded, RunnerFailed
from bench.measure.lines import Reading
from bench.records import Artifact, Sample

WITHIN = 0.03
"""The side found and the one that was too much are this close, or one step of the network apart."""
MOST_PIXELS = 2**26
"""What a runner takes (device_scripts/runner/contract/contract.h)."""
_OUT_OF_MEMORY, _KILLED = 7, 137
_CRASHED = {134: "an abort", 135: "a bus error", 139: "a segmentation fault"}
"""How programs end that were given no memory and did not look; here a smaller picture was just answered."""


class End(NamedTuple):
    """Why a picture was not answered. `memory`: because memory ended; otherwise nobody knows what it would take."""

    memory: bool
    words: str


class Found(NamedTuple):
    """`side` is that of the largest picture answered. `at_least`: no picture was too much for the memory. `why` says in
    words what ended the search, `tried` are the sides in the order in which they were tried, and `once` the ends of
    launches whose picture was answered when it was tried again, by side."""

    side: int
    at_least: bool
    why: str
    tried: tuple[int, ...]
    once: dict[int, str]


def search(answered: Callable[[int], End | None], first: int, step: int, most: int, unit: str = "") -> Found:
    """The largest side, of `first` plus multiples of `step` and at most `most`, for which `answered` has no End.

    With a `unit` it is no side but a number of these. A side whose memory ended is tried once more, and counts as too
    much if it fails again; then all larger ones are taken to fail. Raises RunnerFailed where the first already fails,
    and whatever `answered` raises.
    """
    tried: list[int] = []
    once: dict[int, str] = {}

    def words(side: int) -> str:
        return f"{side:,} {unit}" if unit else _square(side)

    def end_of(side: int) -> End | None:
        tried.append(side)
        before = answered(side)
        if before is None or not before.memory:
            return before
        tried.append(side)
        if (again := answered(side)) is None:
            once[side] = before.words
        return again

    def found(at_least: bool, why: str) -> Found:
        return Found(largest, at_least, why, tuple(tried), once)

    if (end := end_of(first)) is not None:
        raise RunnerFailed(f"not even {'' if unit else 'a picture of '}{words(first)} was answered: {end.words}")
    largest, too_much = first, None
    most -= (most - first) % step
    while largest < most and too_much is None:
        side = min(most, 2 * largest - (2 * largest - first) % step)
        if (end := end_of(side)) is None:
            largest = side
        elif not end.memory:
            return found(True, f"{words(side)} was too much for another reason: {end.words}")
        else:
            too_much = side
    if too_much is None or end is None:
        return found(True, f"{words(largest)} was the largest {'number' if unit else 'picture'} to be tried")
    while too_much - largest > max(step, WITHIN * largest):
        side = largest + max(1, (too_much - largest) // step // 2) * step
        if (last := end_of(side)) is None:
            largest = side
        elif not last.memory:
            return found(True, f"{words(side)} was too much for another reason: {last.words}")
        else:
            too_much, end = side, last
    return found(False, f"{words(too_much)} was too much, twice: {end.words}")


def reading(launched: Callable[[int], Reading], artifact: Artifact, most: int, transport: Transport) -> Reading:
    """The figure of an artifact, found by launches that `launched` makes for a side; sides up to `most`.

    Raises RunnerFailed for a network that does not take pictures of any size, one that cannot be run at all, or a
    failure that is none of memory or time; and what the transport raises, whose retries begin the search anew.
    """
    step, first = _range(artifact, most)
    last: list[Reading] = []

    def answered(side: int) -> End | None:
        try:
            last.append(launched(side))
        except (RunnerFailed, DeadlineExceeded) as error:
            if (end := end_of_launch(error)) is None:
                raise
            return end
        return None

    before = memory(transport)
    found = search(answered, first, step, min(most, int(MOST_PIXELS**0.5)))
    once = [f"{_square(side)} was answered at its second try: before, {why}" for side, why in found.once.items()]
    end = "; ".join((found.why, *once))
    facts = {"largest_end": end, "largest_tried": ", ".join(map(str, found.tried)), **before}
    remark = f"at least, not a measured limit: {end}" if found.at_least else ""
    return replace(
        last[-1],
        samples=(Sample("largest_picture", 0, float(found.side**2)),),
        environment={**last[-1].environment, **facts},
        runner_s=sum(one.runner_s for one in last),
        remark=remark,
    )


def _range(artifact: Artifact, most: int) -> tuple[int, int]:
    """The step of the sides that the artifact's files take, and the first to try: its own picture's shorter side."""
    shapes = [tensor.shape for tensor in artifact.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 3:
        raise RunnerFailed(f"{artifact.model} does not take one picture, so there is no largest one")
    _, height, width = shapes[0]
    if artifact.side_step is None:
        raise RunnerFailed(
            f"the files of {artifact.variant} {artifact.model} for {artifact.runtime} take pictures of "
            f"{height}×{width} alone: they are written for one size, or a layer of it depends on the size",
            "The memory test needs a network that is convolutional throughout, and ncnn.",
        )
    first = min(height, width)
    if first > most:
        raise RunnerFailed(
            f"the memory test may try sides up to {most:,}, and {artifact.model} begins with {first:,}",
            "Allow more (--largest), or give a smaller --input-size.",
        )
    return artifact.side_step, first


def end_of_launch(error: BenchError) -> End | None:
    """What the failure of a launch says about memory; None for one that has nothing to do with the picture's size."""
    if isinstance(error, DeadlineExceeded):
        return End(False, "it took longer than deadline_seconds, so nobody knows what memory it needs")
    left = error.left if isinstance(error, RunnerFailed) else None
    if left == _OUT_OF_MEMORY:
        return End(True, "the runner was refused the memory")
    if left == _KILLED:
        return End(True, "the system killed the runner")
    if left in _CRASHED:
        return End(True, f"the runner ended in {_CRASHED[left]}, as programs do that got no memory")
    return None


def memory(transport: Transport) -> dict[str, int]:
    """Of the machine, now, in bytes: `memory_total` and `memory_available`, as far as its kernel says."""
    text = transport.run(["cat", "/proc/meminfo"], deadline_s=30).stdout
    found = {}
    for name, key in (("MemTotal", "memory_total"), ("MemAvailable", "memory_available")):
        if said := re.search(rf"^{name}:\s*(\d{{1,15}}) kB", text, re.MULTILINE | re.ASCII):
            found[key] = 1024 * int(said[1])
    return found


def _square(side: int) -> str:
    return f"{side:,} × {side:,}"
