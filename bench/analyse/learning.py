"""What trainings on a machine came to: right answers with their intervals, and where memory ended a search."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analyse.intervals import wilson
from bench.learnt import Bounds, Lessons, Most, Right, TrainingRecord
from bench.records import RunRecord


def lessons(trainings: Sequence[TrainingRecord], run: RunRecord) -> tuple[Lessons, ...]:
    """By network and machine, in the order in which they were stored."""
    devices = {device.serial: device for device in run.devices}
    places = dict.fromkeys((one.model, one.device) for one in trainings)
    found = []
    for model, serial in places:
        mine = [one for one in trainings if (one.model, one.device) == (model, serial)]
        device = devices.get(serial)
        ordinary = next((one.ordinary for one in mine if one.ordinary), None)
        ordered = tuple(sorted(mine, key=lambda one: (one.neurons, one.matrix, one.trained is None)))
        found.append(
            Lessons(
                model=model, device=serial, virtual=device is None or device.virtual,
                times_count=device is not None and not device.translated,
                memory_counts=device is not None and device.memory_counts,
                trainings=ordered,
                bounds=tuple((_bounds(_right(one)), _bounds(one.desktop)) for one in ordered),
                ordinary=ordinary, ordinary_bounds=_bounds(ordinary), most=_most(mine),
            )
        )  # fmt: skip
    return tuple(found)


def _right(one: TrainingRecord) -> Right | None:
    found = one.trained
    if found is None or found.right is None or found.of is None:
        return None
    return Right(right=found.right, of=found.of, alpha=found.alpha)


def _bounds(one: Right | None) -> Bounds | None:
    if one is None:
        return None
    interval = wilson(one.right, one.of)
    return interval.low, interval.high


def _most(trainings: Sequence[TrainingRecord]) -> Most | None:
    """Where a search ended. A size that failed once and then did not is none that failed."""
    swept = [one for one in trainings if one.swept]
    done = [one.neurons for one in swept if one.trained is not None]
    if not done:
        return None
    ended = [one for one in swept if one.trained is None and one.neurons > max(done)]
    memory = [one for one in ended if one.memory]
    if memory:
        least = min(memory, key=lambda one: one.neurons)
        return Most(max(done), False, f"{least.neurons:,} neurons were too much: {least.reason}")
    if ended:
        return Most(max(done), True, f"{ended[0].neurons:,} neurons failed for another reason: {ended[0].reason}")
    return Most(max(done), True, f"{max(done):,} was the largest number to be tried")
