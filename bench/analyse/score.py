"""The score of a machine from the figures of the suite `ai`, by the formula and the reference of docs/score.md.

Everything it needs is in summary.csv and in reference.toml beside this file.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

from bench import plan
from bench.findings import Summary
from bench.plan import Case
from bench.records import METRICS, Record, RunRecord, Subject
from bench.scored import Kind, Points, Reference, Score, Scores, Section

SUITE = "ai"
SECTIONS = ("classification", "segmentation", "image-to-image", "sequence", "memory")
SCALE = 1000
"""Points of the reference in every test."""
DECADE = 20
"""Lost points that leave a tenth; more are not counted."""
DECIBEL = 10
"""Lost points that a decibel of PSNR counts for."""
KEPT = 2.0
"""A compressed variant may lose so many points against the ordinary network: 98 % of a fraction, or 0.2 dB."""


class Test(Record):
    """A figure of a network and what the reference has there, in the metric's unit. `score` and `accuracy` are the
    network's own score there and its value; None where its weights answer nothing."""

    section: Literal["classification", "segmentation", "image-to-image", "sequence", "memory"]
    network: str
    metric: Literal["latency", "vm_hwm", "largest_picture"]
    reference: float
    score: Literal["top1", "dice", "psnr"] | None = None
    accuracy: float | None = None


class _File(Record):
    version: int
    name: str
    virtual: bool
    measured: str
    commit: str
    machine: str
    tests: tuple[Test, ...]


@cache
def reference() -> tuple[Reference, tuple[Test, ...]]:
    """The reference and its tests, from reference.toml."""
    text = (resources.files("bench") / "analyse" / "reference.toml").read_text(encoding="utf-8")
    file = _File.model_validate(tomllib.loads(text))
    return Reference(file.name, file.virtual, file.measured, file.commit), file.tests


def lost(score: str, value: float, wanted: float) -> float:
    """Points of accuracy that `value` is below `wanted`, 0 to DECADE: hundredths of a fraction, tenths of a decibel."""
    points = DECIBEL * (wanted - value) if score == "psnr" else 100 * (1 - value / wanted)
    return min(DECADE, max(0.0, points))


def penalty(points_lost: float) -> float:
    """What is left of a test's points: nine tenths at one lost, half at six, never under a tenth."""
    return float(10 ** (-points_lost / DECADE))


def points(test: Test, measured: float, points_lost: float = 0.0) -> float:
    """SCALE × how many times better than the reference × the penalty."""
    better = METRICS[test.metric].better
    ratio = measured / test.reference if better == "higher" else test.reference / measured
    return SCALE * ratio * penalty(points_lost)


def mean(values: Sequence[float]) -> float:
    """Geometric, of positive numbers."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


# --- a run ---------------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A machine in one setting. All of a score is measured there."""

    device: str
    runtime: str
    threads: int
    precision: str


def scores(run: RunRecord, summaries: Iterable[Summary]) -> Scores | None:
    """The scores of every phone of a run of the suite; None for other runs. Raises CorruptData for a plan that is not
    understood."""
    asked = plan.of_run(run)
    if asked.name != SUITE:
        return None
    stated, tests = reference()
    changed = dict(_changed(asked.cases))
    figures = {(s.subject, s.metric): s for s in summaries}
    phones = {device.serial: device for device in run.devices if device.kind == "phone"}
    subjects = dict.fromkeys(s for s, _ in figures if s.device in phones and s.model in {t.network for t in tests})
    ordinary = {(a.model, a.variant) for a in run.artifacts if a.ordinary}
    untrained = sorted({a.model for a in run.artifacts if not a.trained and a.model in {t.network for t in tests}})
    totals: list[Score] = []
    variants: list[Points] = []
    for place in dict.fromkeys(_Place(s.device, s.runtime, s.threads, s.precision) for s in subjects):
        mine = [s for s in subjects if _Place(s.device, s.runtime, s.threads, s.precision) == place]
        found = {
            (subject.model, subject.variant): tuple(
                _points(test, subject, figures, changed.get(test.network, ""))
                for test in tests
                if test.network == subject.model
            )
            for subject in mine
        }
        chosen: dict[Kind, dict[str, tuple[Points, ...]]] = {
            "ordinary": {model: each for (model, variant), each in found.items() if (model, variant) in ordinary},
            "compressed": _best(mine, found, ordinary, figures),
        }
        totals += [
            _total(kind, place, phones[place.device].virtual, tests, each) for kind, each in chosen.items() if each
        ]
        variants += [one for each in found.values() for one in each]
    notes = [f"{name} is untrained: its speed and memory count, and it has no accuracy to lose" for name in untrained]
    return Scores(stated, tuple(totals), tuple(variants), tuple(notes))


def _changed(cases: Sequence[Case]) -> Iterator[tuple[str, str]]:
    """Networks that the plan shows something else than the suite does, and why their figures do not count."""
    own = {case.label: case for case in plan.suite(SUITE).cases}
    same = {"model", "arguments", "input", "input_size", "weights", "data"}
    for case in cases:
        wanted = own.get(case.label)
        if wanted is None:
            continue
        differ = sorted(key for key in same if getattr(case, key) != getattr(wanted, key))
        if differ:
            yield case.label, f"the plan has another {' and '.join(differ)} for {case.label} than the suite"


def _points(test: Test, subject: Subject, figures: Mapping[tuple[Subject, str], Summary], changed: str) -> Points:
    """The points of a variant in a test, or why it has none."""
    made = Points(test.section, test.network, test.metric, subject.variant, test.reference)

    def without(why: str) -> Points:
        return Points(*_fields(made), why=why)

    if changed:
        return without(changed)
    measured, why = _figure(subject, test.metric, figures)
    if measured is None:
        return without(why)
    lost_points = 0.0
    if test.score is not None and test.accuracy is not None:
        value, why = _figure(subject, test.score, figures)
        if value is None:
            return without(why)
        lost_points = lost(test.score, value, test.accuracy)
    summary = figures[subject, test.metric]
    bound = any(caveat.kind == "at-least" for caveat in summary.caveats)
    left = penalty(lost_points)
    return Points(
        *_fields(made), measured=measured, lost=lost_points, penalty=left,
        points=points(test, measured, lost_points), bound=bound,
    )  # fmt: skip


def _fields(made: Points) -> tuple[str, str, str, str, float]:
    return made.section, made.network, made.metric, made.variant, made.reference


def _figure(subject: Subject, metric: str, figures: Mapping[tuple[Subject, str], Summary]) -> tuple[float | None, str]:
    """A usable figure, or why there is none."""
    what = f"{metric} of {subject.variant} {subject.model}"
    summary = figures.get((subject, metric))
    if summary is None:
        failed = next(
            (s for (one, name), s in figures.items() if one == subject and s.statistics is None
             and METRICS[name].pass_ == METRICS[metric].pass_), None,
        )  # fmt: skip
        return None, f"{what}: {failed.verdict}" if failed else f"{what} was not measured"
    if summary.statistics is None or not summary.usable:
        return None, f"{what} is {summary.verdict}"
    if not summary.statistics.median > 0:
        return None, f"{what} is {summary.statistics.median:g}"
    return summary.statistics.median, ""


def _best(
    subjects: Sequence[Subject],
    found: Mapping[tuple[str, str], tuple[Points, ...]],
    ordinary: set[tuple[str, str]],
    figures: Mapping[tuple[Subject, str], Summary],
) -> dict[str, tuple[Points, ...]]:
    """Of each network the variant with most points for latency among those that keep the ordinary network's score;
    itself at worst. Not the fastest: a little speed bought by accuracy would lower the score of what is deployed. What
    a network answers is one decision, so its memory is that of the same variant."""
    chosen: dict[str, tuple[Points, ...]] = {}
    for model in dict.fromkeys(subject.model for subject in subjects):
        mine = [s for s in subjects if s.model == model]
        own = next((s for s in mine if (s.model, s.variant) in ordinary), None)
        if own is None:
            continue
        able = [s for s in mine if s == own or _keeps(s, own, figures)]
        got = {s: _for_latency(found[s.model, s.variant]) for s in able}
        best = max(able, key=lambda s: (got[s], s == own))
        chosen[model] = found[best.model, best.variant]
    return chosen


def _keeps(variant: Subject, own: Subject, figures: Mapping[tuple[Subject, str], Summary]) -> bool:
    """Whether it has a score, and no less of it than KEPT points under the ordinary network's in the same place."""
    _, tests = reference()
    score = next((test.score for test in tests if test.network == own.model and test.score), None)
    if score is None:
        return False
    (ours, _), (theirs, _) = (_figure(subject, score, figures) for subject in (variant, own))
    return ours is not None and theirs is not None and lost(score, ours, theirs) <= KEPT


def _for_latency(tests: Sequence[Points]) -> float:
    return max((test.points or 0.0 for test in tests if test.metric == "latency"), default=0.0)


def _total(
    kind: Kind, place: _Place, virtual: bool, tests: Sequence[Test], chosen: Mapping[str, tuple[Points, ...]]
) -> Score:
    got = {(one.network, one.metric): one for each in chosen.values() for one in each}
    sections, missing = [], []
    for name in SECTIONS:
        mine = [
            got.get((test.network, test.metric))
            or Points(name, test.network, test.metric, "", test.reference, why=f"{test.network} was not measured there")
            for test in tests
            if test.section == name
        ]
        values = [one.points for one in mine if one.points is not None]
        complete = bool(mine) and len(values) == len(mine)
        missing += [one.why for one in mine if one.points is None]
        sections.append(Section(name, tuple(mine), mean(values) if complete else None))
    whole = [section.points for section in sections if section.points is not None]
    total = mean(whole) if len(whole) == len(sections) else None
    return Score(kind, *place, virtual, tuple(sections), total, tuple(dict.fromkeys(missing)))
