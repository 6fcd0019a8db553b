"""Derived figures: what `analyse` concludes and `report` shows.

Nothing here is stored as truth: all of it is computed again from the samples of a run (`bench.records`), at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from bench.capacities import Switched
from bench.caveats import Caveat
from bench.contest import Contest, WithoutNetwork
from bench.drifted import Drift, Strip
from bench.endurance import Contention, Lead, Sustained, Turn
from bench.evidence import Distribution, Example, Reliability
from bench.layered import Profile
from bench.learnt import Lessons
from bench.records import METRICS, SIZES, Subject
from bench.scheduled import ScheduleOutcome
from bench.scored import Scores


@dataclass(frozen=True)
class Interval:
    """A 95 % interval: by bootstrap over launches or samples, or by the formula that `method` names."""

    low: float
    high: float
    method: str

    def excludes(self, value: float) -> bool:
        return value < self.low or value > self.high


@dataclass(frozen=True)
class Launch:
    """One launch: how many samples it gave, their median and their sum, in the metric's unit; and whether it was
    tagged. `typical` is the mean of a cascade, each way that an inference can go counted by its median."""

    launch: int
    samples: int
    median: float
    total: float
    tagged: bool = False
    typical: float | None = None

    @property
    def mean(self) -> float:
        return self.total / self.samples if self.typical is None else self.typical


@dataclass(frozen=True)
class Statistics:
    """One metric of one subject, in the metric's unit.

    `median` is the median of the per-launch medians and `interval` is its own. `p90`, `p95`, `minimum`, `mad` (not
    scaled) and `cv` (standard deviation over mean) are over all samples; `launch_cv` is over the per-launch medians.
    A CV of fewer than two values, or of mean zero, is None.

    `launches` are those that all of this is of. With `means`, a launch stands for its mean in all of these instead of
    its median: what others at work beside it take, or the samples for which a cascade asks its second network, a median
    does not see. `left_out` are tagged ones that it is not of:
    three others or more are enough to do without.
    """

    median: float
    p90: float
    p95: float
    minimum: float
    mad: float
    cv: float | None
    launch_cv: float | None
    samples: int
    launches: tuple[Launch, ...]
    interval: Interval | None
    left_out: tuple[Launch, ...] = ()
    means: bool = False

    @property
    def figures(self) -> dict[int, float]:
        """What each of the launches stands for, by its number: what is compared."""
        return {launch.launch: self.figure(launch) for launch in self.launches}

    def figure(self, launch: Launch) -> float:
        """What a launch stands for."""
        return launch.mean if self.means else launch.median


@dataclass(frozen=True)
class Summary:
    """One metric of one subject over all its launches. `statistics` is None when no launch succeeded."""

    subject: Subject
    metric: str
    unit: str
    statistics: Statistics | None
    virtual: bool
    translated: bool
    caveats: tuple[Caveat, ...]

    @property
    def usable(self) -> bool:
        return all(c.level != "unusable" for c in self.caveats)

    @property
    def doubts(self) -> str:
        """Why it is not usable; empty where it is."""
        return "; ".join(c.text for c in self.caveats if c.level == "unusable")

    @property
    def verdict(self) -> str:
        """`usable`, `usable with care: …` or `not usable: …`; `(virtual)` follows where it applies."""
        suffix = " (virtual)" if self.virtual else ""
        for level, words in (("unusable", "not usable"), ("care", "usable with care")):
            texts = [c.text for c in self.caveats if c.level == level]
            if texts:
                return f"{words}: {'; '.join(texts)}{suffix}"
        return f"usable{suffix}"


@dataclass(frozen=True)
class Noise:
    """A/A noise of a place in one metric: by how much the same thing differs from itself.

    `launch` is the standard deviation of the logarithms of per-launch medians within a run, with `launch_freedom`
    degrees of freedom; `run` is that of the logarithms of medians of runs in which everything was the same. None where
    too little was measured to know.
    """

    launch: float | None = None
    launch_freedom: int = 0
    run: float | None = None
    run_freedom: int = 0


@dataclass(frozen=True)
class Floor:
    """The smallest difference that noise of the place does not explain, as a fraction: 0.02 is 2 %. `measured` is False
    where a default stands for it; `own` is True where it rests on the compared launches alone; `words` say on what."""

    value: float
    measured: bool
    words: str
    own: bool = False


@dataclass(frozen=True)
class Reach:
    """What `launches` launches each can tell apart in one metric in a place: the floors within a run and between two,
    and the relative difference that two variants of a run show in about 90 % of cases; None where noise is unknown."""

    device: str
    runtime: str
    metric: str
    launches: int
    noise: Noise
    within: Floor
    between: Floor
    finds: float | None


@dataclass(frozen=True)
class Comparison:
    """`left` against `right` in one metric.

    `ratio` is left ÷ right: with the ordinary network on the left, above 1 the other is faster or smaller; `interval`
    is its own. Scores have no ratio: variants have a `difference` (right − left) with its `interval` and the `p_value`
    of a paired test; places are `equal` when the score is the same to the last digit printed. `not-shown`: the interval
    includes 1, the ratio is within the noise `floor`, or the test finds no difference.
    """

    kind: Literal["variant", "device", "runtime"]
    metric: str
    left: Subject
    right: Subject
    ratio: float | None
    interval: Interval | None
    outcome: Literal["differs", "equal", "not-shown", "no-interval", "translated", "unusable", "failed"]
    verdict: str
    difference: float | None = None
    p_value: float | None = None
    floor: Floor | None = None

    @property
    def called(self) -> bool:
        """Whether a difference may be claimed."""
        return self.outcome == "differs"


@dataclass(frozen=True)
class Findings:
    """Everything derived from one run, in the order of its plan."""

    summaries: tuple[Summary, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    floors: Mapping[str, Sequence[WithoutNetwork]] = field(default_factory=dict)
    """By network: what its scores are without any network."""
    contests: tuple[Contest, ...] = ()
    """Who competes with whom, and how each stands by its score and what it costs."""
    missing: tuple[str, ...] = ()
    """What is gone of the stored run, in sentences."""
    reach: tuple[Reach, ...] = ()
    """What launches of the protocol can tell apart in each place."""
    sustained: tuple[Sustained, ...] = ()
    turned: tuple[Turn, ...] = ()
    """Variants that change places under load that goes on."""
    contention: tuple[Contention, ...] = ()
    overtaken: tuple[Turn, ...] = ()
    """Variants that change places when others work beside them."""
    leads: tuple[Lead, ...] = ()
    """Who is ahead of whom at the start and at the end of load that goes on, alone and beside others."""
    scores: Scores | None = None
    """Of a run of the suite that has a score (docs/score.md)."""
    distributions: tuple[Distribution, ...] = ()
    """The latencies of each launch."""
    examples: tuple[Example, ...] = ()
    """Some samples of each network, with what was answered."""
    profiles: tuple[Profile, ...] = ()
    """Where layers were timed: each subject layer by layer."""
    capacities: tuple[Switched, ...] = ()
    """Where changes of capacity were timed: each capacity as it is come to."""
    drift: tuple[Drift, ...] = ()
    """Where corrupted samples were shown: what each subject answers to them."""
    strips: tuple[Strip, ...] = ()
    """What corruptions make of one sample of each network."""
    schedules: tuple[ScheduleOutcome, ...] = ()
    """Where several networks were served at once: what came of choosing for each phase of a budget."""
    lessons: tuple[Lessons, ...] = ()
    """Where a machine learnt by itself: what came of its trainings."""
    reliability: tuple[Reliability, ...] = ()
    """Of each subject with classes: how many answers are right by how sure they are."""

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Every subject that ran, in order; the size of a file alone does not make one."""
        return tuple(dict.fromkeys(s.subject for s in self.summaries if s.metric not in SIZES))

    def summary(self, subject: Subject, metric: str) -> Summary | None:
        """The summary of that metric; where its whole pass failed, the failure; None where it was not measured.

        A failed pass has one summary, without statistics, under the first of its metrics.

        Files do not depend on threads and precision, so these are ignored for their sizes.
        """
        if metric in SIZES:
            place = (subject.model, subject.variant, subject.device, subject.runtime)
            for s in self.summaries:
                t = s.subject
                if s.metric == metric and (t.model, t.variant, t.device, t.runtime) == place:
                    return s
            return None
        mine = [s for s in self.summaries if s.subject == subject]
        for s in mine:
            if s.metric == metric:
                return s
        return next(
            (s for s in mine if s.statistics is None and METRICS[s.metric].pass_ == METRICS[metric].pass_), None
        )


Outcome = Literal["better", "worse", "same", "cannot tell"]


@dataclass(frozen=True)
class Verdict:
    """`right` against `left` in one metric: what has changed from the one to the other.

    Costs have the `ratio` right ÷ left with its bootstrap `interval`, and `bounds`, that interval made as wide as the
    noise `floor` of the place at least; no bounds where a side is a lower bound. Scores have the `difference`
    right − left with its own interval, and `p_value`. `same` means that all of the bounds lie within the `margin`.
    `tags` say what else differed between the two.
    """

    metric: str
    left: Subject
    right: Subject
    values: tuple[float | None, float | None]
    launches: tuple[int, int]
    outcome: Outcome
    word: str
    reason: str
    margin: float
    ratio: float | None = None
    interval: Interval | None = None
    bounds: tuple[float, float] | None = None
    floor: Floor | None = None
    difference: float | None = None
    p_value: float | None = None
    not_worse: bool = False
    """Whether `right` is shown to be no worse than `left` by more than the margin."""
    counts: bool = True
    """Whether it decides on the whole where it cannot be told: not where a memory test was done for one side alone, or
    met no limit on either."""
    tags: tuple[str, ...] = ()


class Night(NamedTuple):
    """One run's figure in a trend: median and quartiles of its launches, in the metric's unit.

    `started` is ISO 8601.
    """

    key: str
    started: str
    folder: str
    commit: str
    median: float
    low: float
    high: float
    launches: int


class Change(NamedTuple):
    """Since `night`, number `at` of a trend, a figure is `after` instead of `before`; `ratio` is after ÷ before.

    `nights_before` and `nights_after` are how many it rests on: as far as the changes beside it.
    """

    at: int
    night: Night
    before: float
    after: float
    ratio: float
    nights_before: int
    nights_after: int


@dataclass(frozen=True)
class Trend:
    """A figure of one subject over all runs that measured it, the oldest first, and its changes."""

    subject: Subject
    metric: str
    virtual: bool
    nights: tuple[Night, ...]
    changes: tuple[Change, ...]
