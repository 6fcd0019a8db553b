"""Launches that go on until ratios are known closely enough (`protocol.ratio_interval`), and what came of it.

After the planned launches of a network, a place (a device, a runtime and a setting) gets further blocks of one launch
of each subject, until every ratio to the ordinary network there has an interval as narrow as was asked for. Stopping
looks at how wide an interval is, never at whether it excludes 1; docs/measurement.md#adaptive has what that does to
verdicts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from bench.confidence import typical
from bench.measure import order
from bench.plan import Protocol
from bench.records import GoalRecord, Measurement, Subject, Trial

MOST_LAUNCHES = 1000
GIVE_UP_AFTER = 3
"""Failed launches in a row after which a subject gets no further ones; and launches beyond the planned ones that do not
count, as they were tagged."""

Ended = Literal["reached", "budget", "launches", "tagged", "failed", "interrupted"]


class Timed(NamedTuple):
    """A launch of the latency pass: its median in ns where it counts (of a cascade what stands for it), None where it
    was tagged or failed, for that `reason`."""

    subject: Subject
    launch: int
    median: float | None
    failed: bool = False
    reason: str = ""

    @classmethod
    def of(cls, measured: Measurement) -> Timed:
        values = [sample.value for sample in measured.samples if sample.metric == "latency"]
        asked = [sample.value for sample in measured.samples if sample.metric == "asked_inference"]
        counts = measured.status == "ok" and values
        median = typical(values, asked) if counts else None
        return cls(measured.trial.subject, measured.trial.launch, median, measured.status == "failed", measured.reason)


class Known(NamedTuple):
    """How closely the ratio of the ordinary network to `subject` is known, or its own median where it has none to be
    compared with: half the width of the 95 % interval over the value, None without an interval; from so many launches
    that count."""

    subject: Subject
    half_width: float | None
    launches: int
    of: Literal["ratio", "median"] = "ratio"


Launches = Mapping[Subject, Sequence[Timed]]
"""The launches so far of each subject of a network, in their order."""


def known(launches: Launches, ordinary: Collection[str]) -> tuple[Known, ...]:
    """How closely each ratio is known. `ordinary` are the variants that others are compared with. Subjects that failed
    too often, and those whose ordinary network did, are left out."""
    alive = {subject: _medians(timed) for subject, timed in launches.items() if not _given_up(timed)}
    return tuple(_known(launches, alive, ordinary))


def _known(
    launches: Launches, alive: Mapping[Subject, Mapping[int, float]], ordinary: Collection[str]
) -> Iterator[Known]:
    for place in dict.fromkeys(map(place_of, launches)):
        here = [subject for subject in launches if place_of(subject) == place]
        left = next((subject for subject in here if subject.variant in ordinary), None)
        rivals = [subject for subject in here if subject != left]
        if left is None or not rivals:
            yield from (Known(s, _of_median(alive[s]), len(alive[s]), "median") for s in here if s in alive)
        elif left in alive:
            for right in (subject for subject in rivals if subject in alive):
                count = min(len(alive[left]), len(alive[right]))
                yield Known(right, _of_ratio(alive[left], alive[right]), count)


def place_of(subject: Subject) -> tuple[str, str, int, str]:
    """Device, runtime, threads and precision: what two subjects share that are compared."""
    return subject.device, subject.runtime, subject.threads, subject.precision


def _medians(timed: Sequence[Timed]) -> dict[int, float]:
    return {one.launch: one.median for one in timed if one.median is not None}


def _given_up(timed: Sequence[Timed]) -> bool:
    return len(timed) >= GIVE_UP_AFTER and all(one.failed for one in timed[-GIVE_UP_AFTER:])


def _of_ratio(left: Mapping[int, float], right: Mapping[int, float]) -> float | None:
    if not (left and right):
        return None
    from bench.analyse.statistics import ratio  # scipy takes a second to import

    value, interval, _ = ratio(left, right)
    return (interval.high - interval.low) / 2 / value if interval else None


def _of_median(medians: Mapping[int, float]) -> float | None:
    from bench.analyse.statistics import median_interval

    interval = median_interval(list(medians.values()))
    return (interval.high - interval.low) / 2 / statistics.median(medians.values()) if interval else None


class Goal:
    """The pursuit of narrow intervals for one network: told of every launch, asked for the next block.

    `without` are runtimes that are not pursued: the reference, each launch of which takes seconds to start, would spend
    the budget of all others. `clock` gives seconds; the budget counts from the first question on.
    """

    def __init__(
        self, model: str, protocol: Protocol, ordinary: Collection[str], without: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        assert protocol.ratio_interval is not None
        self.model = model
        self.wanted = protocol.ratio_interval
        self._without = without
        self._clock = clock
        self._begun: float | None = None
        self._protocol = protocol
        self._ordinary = ordinary
        self._launches: dict[Subject, list[Timed]] = {}
        self._planned: dict[Subject, int] = {}
        self._known: tuple[Known, ...] = ()
        self._ended: dict[tuple[str, str, int, str], GoalRecord] = {}

    def add(self, measured: Measurement) -> None:
        """A launch of the latency pass has ended."""
        if measured.trial.subject.runtime not in self._without:
            self._launches.setdefault(measured.trial.subject, []).append(Timed.of(measured))

    def block(self) -> tuple[Trial, ...]:
        """The next launches; none where every place has reached the goal or is given up."""
        if self._begun is None:
            self._begun = self._clock()
            self._planned = {subject: len(timed) for subject, timed in self._launches.items()}
        self._end()
        going = {
            subject: len(timed)
            for subject, timed in self._launches.items()
            if place_of(subject) not in self._ended and not _given_up(timed) and not self._hopeless(subject)
        }
        return order.further(going, self._protocol.seed)

    def reached(self) -> float | None:
        """Half the width of the interval that was widest when a block was last asked for, of those that go on; None
        where one was not known at all."""
        widths = [one.half_width for one in self._known if place_of(one.subject) not in self._ended]
        return None if None in widths else max((width for width in widths if width is not None), default=None)

    def records(self) -> tuple[GoalRecord, ...]:
        """What came of it, by place; what had not ended by now was interrupted."""
        self._end("interrupted")
        return tuple(self._ended.values())

    def _end(self, otherwise: Ended | None = None) -> None:
        seconds = 0.0 if self._begun is None else self._clock() - self._begun
        found = self._known = known(self._launches, self._ordinary)
        for place in dict.fromkeys(map(place_of, self._launches)):
            here = [one for one in found if place_of(one.subject) == place]
            ended = self._why(place, here, seconds) or otherwise
            if place not in self._ended and ended:
                self._ended[place] = self._record(place, here, seconds, ended)

    def _why(self, place: tuple[str, str, int, str], here: Sequence[Known], seconds: float) -> Ended | None:
        if not here:
            return "failed"
        if all(map(self._narrow, here)):
            return "reached"
        if max(len(timed) for s, timed in self._launches.items() if place_of(s) == place) >= MOST_LAUNCHES:
            return "launches"
        if all(self._hopeless(one.subject) or self._against_hopeless(one) for one in here if not self._narrow(one)):
            return "tagged"
        return "budget" if seconds >= self._protocol.budget_seconds else None

    def _narrow(self, one: Known) -> bool:
        return one.half_width is not None and one.half_width <= self.wanted

    def _hopeless(self, subject: Subject) -> bool:
        """None of its latest launches beyond the planned ones counts: what tagged them will tag the next."""
        further = self._launches.get(subject, [])[self._planned.get(subject, 0) :] if self._planned else []
        return len(further) >= GIVE_UP_AFTER and all(one.median is None for one in further[-GIVE_UP_AFTER:])

    def _against_hopeless(self, one: Known) -> bool:
        """Whether the ordinary network that it is compared with is hopeless."""
        return any(
            place_of(other) == place_of(one.subject) and other.variant in self._ordinary and self._hopeless(other)
            for other in self._launches
        )

    def _record(
        self, place: tuple[str, str, int, str], here: Sequence[Known], seconds: float, ended: Ended
    ) -> GoalRecord:
        subject = next(s for s in self._launches if place_of(s) == place)
        worst = max(here, key=lambda one: float("inf") if one.half_width is None else one.half_width,
                    default=Known(subject, None, 0))  # fmt: skip
        return GoalRecord(
            model=self.model, device=place[0], runtime=place[1], threads=place[2], precision=subject.precision,
            variant=worst.subject.variant, of=worst.of, wanted=self.wanted, reached=worst.half_width,
            launches=worst.launches, seconds=seconds, ended=ended, reason=self._tag(place) if ended == "tagged" else "",
        )  # fmt: skip

    def _tag(self, place: tuple[str, str, int, str]) -> str:
        """Why the latest launches there do not count."""
        here = [s for s in self._launches if place_of(s) == place and self._hopeless(s)]
        said = (one.reason for s in here for one in self._launches[s][-GIVE_UP_AFTER:] if not one.failed)
        return "; ".join(dict.fromkeys(reason for reason in said if reason))[:300] or "no reason given"
