"""What is known of the noise of devices, in words: for `bench calibrate` and `bench plan`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.findings import Floor, Reach
from bench.units import percent

HEADER = ("device", "runtime", "figure", "noise of a launch", "floor in a run", "floor from run to run", "finds")
WORDS = 3


def rows(found: Iterable[Reach]) -> list[tuple[str, ...]]:
    """A row for each place under HEADER."""
    return [
        (
            one.device, one.runtime, one.metric, _known(one.noise.launch), _floor(one.within), _floor(one.between),
            _known(one.finds),
        )
        for one in found
    ]  # fmt: skip


def _known(value: float | None) -> str:
    return percent(value) if value is not None else "not known"


def _floor(floor: Floor) -> str:
    return percent(floor.value) if floor.measured else f"not known: {floor.value:.0%}"


def notes(launches: int) -> tuple[str, ...]:
    """What the columns mean."""
    return (
        f"For {launches} launches each. Floor: what noise alone explains in 99 % of comparisons. Finds: the difference "
        "between two variants of a run that is called in about 90 %.",
        "From run to run it is known from three runs of the same thing on. docs/measurement.md#noise has the formulas.",
    )


def sentences(found: Sequence[Reach]) -> list[str]:
    """What launches can find, for a person who plans them."""
    return [
        f"On {one.device} ({one.runtime}) {one.launches} launches find a difference in {one.metric} of "
        f"{percent(one.finds)}; noise is {percent(one.noise.launch)} a launch."
        for one in found
        if one.finds is not None and one.noise.launch is not None
    ]
