"""How much of its score each variant keeps on corrupted samples, and who loses more than the ordinary network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analyse import intervals
from bench.analyse.scores import SCORES, estimate, paired
from bench.caveats import Caveat
from bench.corrupted import CorruptedRecord, DriftRecord
from bench.drifted import Bounds, Cell, Drift, Kind, Score, Strip, Tile
from bench.errors import CorruptData
from bench.findings import Interval, Launch, Statistics, Summary
from bench.records import METRICS, Answers, RunRecord, Subject
from bench.results.pictures import Stored

Values = NDArray[np.float64]
Facts = Mapping[str, Values]
Place = tuple[object, ...]


@dataclass(frozen=True, eq=False)
class _Answered:
    """What a subject answered: the facts of the samples as they are, and by corruption those of each severity."""

    subject: Subject
    clean: Facts
    sets: Mapping[str, tuple[Facts, ...]]
    missing: tuple[str, ...]


def drift(frame: pd.DataFrame, run: RunRecord, answers: Mapping[str, Answers]) -> tuple[Drift, ...]:
    """Every subject that was shown corrupted samples, network by network; `answers` are by the id of their trial.

    Raises CorruptData for answers that do not fit the samples that the run says it showed.
    """
    rows = frame[frame["pass"] == "drift"].drop_duplicates("trial")
    places: dict[Place, list[_Answered]] = {}
    for key, trials in rows.groupby(list(Subject.model_fields), sort=False, observed=True):
        subject = Subject(**dict(zip(Subject.model_fields, cast(tuple[str, ...], key), strict=True)))
        shown = run.samples.get(subject.model)
        if shown and shown.drift and (found := _answered(subject, trials, shown.drift, answers)):
            s = subject
            places.setdefault((s.model, s.device, s.runtime, s.threads, s.precision), []).append(found)
    order = [(a.model, a.variant) for a in run.artifacts]
    for mine in places.values():  # launches of variants were shuffled
        mine.sort(key=lambda one: order.index((one.subject.model, one.subject.variant)))
    phones = {device.serial for device in run.devices if device.kind == "phone"}
    known: dict[tuple[object, ...], list[Drift]] = {}
    made: list[Drift] = []
    for mine in sorted(places.values(), key=lambda one: one[0].subject.device not in phones):
        same = (mine[0].subject.model, *map(_fingerprint, sorted(mine, key=lambda one: one.subject.variant)))
        if same not in known:
            known[same] = _of_place(mine, run)
        first = {one.subject.variant: one for one in known[same]}
        made += [
            replace(first[one.subject.variant], subject=one.subject, like=first[one.subject.variant].subject)
            for one in mine
        ]
    return tuple(made)


def _answered(
    subject: Subject, rows: pd.DataFrame, record: DriftRecord, answers: Mapping[str, Answers]
) -> _Answered | None:
    """None where not even the samples as they are were answered: then the failure is all there is to say."""
    sets: dict[str, tuple[Facts, ...]] = {}
    missing = []
    for row in rows.to_dict("records"):
        launch, trial = int(row["launch"]), str(row["trial"])
        if launch >= len(record.sets):
            raise CorruptData(
                f"{trial} was shown a set of samples that the run does not know", "Restore run.json from a copy."
            )
        one = record.sets[launch]
        if row["status"] == "failed" or trial not in answers:
            missing.append(f"{one.text}: {row['reason'] or 'its answers are gone'}")
        else:
            sets[one.name] = tuple(_parts(trial, answers[trial], one, len(record.samples)))
    if "" not in sets:
        return None
    return _Answered(subject, sets[""][0], {n: sets[n] for n in (one.name for one in record.sets) if n and n in sets},
                     tuple(missing))  # fmt: skip


def _parts(trial: str, facts: Facts, one: CorruptedRecord, count: int) -> Iterator[Facts]:
    if any(len(values) != count * len(one.severities) for values in facts.values()) or not facts:
        raise CorruptData(
            f"the answers of {trial} are not those to {len(one.severities)} × {count} samples",
            "Restore the file from a copy, or measure again.",
        )
    for number in range(len(one.severities)):
        yield {name: values[number * count : (number + 1) * count] for name, values in facts.items()}


def _fingerprint(one: _Answered) -> tuple[object, ...]:
    """Equal where the answers are the very same."""
    judged = ("answer", "rank", "both", "ours", "theirs")
    sets = (("", (one.clean,)), *one.sets.items())
    return (one.subject.variant, one.missing, *(
        (name, fact, np.asarray(values).tobytes())
        for name, parts in sets
        for facts in parts
        for fact, values in facts.items()
        if fact.partition(".")[0] in judged
    ))  # fmt: skip


def _of_place(mine: Sequence[_Answered], run: RunRecord) -> list[Drift]:
    """All variants of a network in one place."""
    model = mine[0].subject.model
    trained = all(a.trained for a in run.artifacts if a.model == model)
    score = _score(mine[0].clean, trained=trained)
    ordinary = {a.variant for a in run.artifacts if a.model == model and a.ordinary}
    record = run.samples[model].drift
    assert record is not None
    base = next((one for one in mine if one.subject.variant in ordinary), None)
    return _corrected(
        [
            _variant(one, None if one is base else base, score, record, ordinary=one.subject.variant in ordinary)
            for one in mine
        ]
    )


def _score(clean: Facts, *, trained: bool) -> Score:
    names: tuple[Score, ...] = ("top1", "dice")
    for name in names:
        if trained and SCORES[name].fits(clean):
            return name
    return "drift_agreement"


def _columns(one: _Answered, score: Score) -> tuple[Values, dict[str, Values]]:
    """The score of each sample as it is (N,), and by corruption in each severity (S, N)."""
    if score == "drift_agreement":
        before = one.clean["answer"]
        return np.ones(len(before)), {
            name: np.stack([(facts["answer"] == before).astype(np.float64) for facts in parts])
            for name, parts in one.sets.items()
        }
    columns = SCORES[score].columns
    return columns(one.clean)[:, 0], {
        name: np.stack([columns(facts)[:, 0] for facts in parts]) for name, parts in one.sets.items()
    }


def _variant(one: _Answered, base: _Answered | None, score: Score, known: DriftRecord, *, ordinary: bool) -> Drift:
    """One variant beside the ordinary network, where that answered under the same corruptions."""
    texts = {each.name: each.text for each in known.sets}
    severities = {each.name: each.severities for each in known.sets}
    clean, sets = _columns(one, score)
    own = _table(clean, sets)
    other = _table(*_columns(base, score)) if base and base.sets.keys() == one.sets.keys() else None
    mean, bounds, width = own.mean(axis=0), _resampled(own, other), own.shape[1]
    more = None if other is None else (own[:, :1] - own) - (other[:, :1] - other)
    p = intervals.sign_flips(more) if more is not None and len(clean) >= intervals.MIN_SAMPLES else None

    def kind(place: int, name: str, text: str, cells: Iterable[Cell] = ()) -> Kind:
        found = Kind(name, text, float(mean[place]), bounds[place], tuple(cells))
        if more is None:
            return found
        return replace(
            found, more=float(more[:, place].mean()), more_bounds=bounds[width + 1 + place],
            p=None if p is None else float(p[place]),
        )  # fmt: skip

    kinds = tuple(
        kind(place, name, texts[name], _cells(one, name, score, clean, sets[name], severities[name]))
        for place, name in enumerate(sets, 1)
    )
    complete = bool(sets) and not one.missing
    is_relative = complete and mean[0] > 0
    return Drift(
        one.subject, one.subject, score, len(clean), float(mean[0]),
        None if score == "drift_agreement" else _bounds(estimate(SCORES[score], one.clean).interval),
        kinds, kind(width - 1, "", "all of them") if complete else None,
        float(mean[-1] / mean[0]) if is_relative else None, bounds[width] if is_relative else None,
        ordinary, one.missing,
    )  # fmt: skip


def _table(clean: Values, sets: Mapping[str, Values]) -> Values:
    """Of each sample (N, …): its score as it is, its mean under each corruption, and that under all of them."""
    means = [values.mean(axis=0) for values in sets.values()]
    return np.stack([clean, *means, np.mean(means, axis=0) if means else clean], axis=1)


def _resampled(own: Values, other: Values | None) -> list[Bounds | None]:
    """Intervals of the means of each column, of the last ÷ the first, and with another network's table of how much
    further each falls from the first than the other's."""
    width = own.shape[1]
    count = width + 1 + (0 if other is None else width)
    if len(own) < intervals.MIN_SAMPLES:
        return [None] * count

    def one(means: Values, place: int) -> Values:
        column: Values = means[..., place]
        return column

    def relative(means: Values) -> Values:
        first = means[..., 0]
        return np.divide(means[..., width - 1], first, where=first > 0, out=np.zeros(first.shape))

    def further(means: Values, place: int) -> Values:
        fall: Values = (means[..., 0] - means[..., place]) - (means[..., width] - means[..., width + place])
        return fall

    wanted: list[intervals.Statistic] = [*(partial(one, place=place) for place in range(width)), relative]
    if other is not None:
        wanted += [partial(further, place=place) for place in range(width)]
    columns = own if other is None else np.hstack((own, other))
    return [_bounds(found) for found, _ in intervals.bootstraps(columns, wanted)]


def _bounds(found: Interval | None) -> Bounds | None:
    return (found.low, found.high) if found else None


def _cells(
    one: _Answered, name: str, score: Score, clean: Values, values: Values, severities: Sequence[int]
) -> Iterator[Cell]:
    for place, severity in enumerate(severities):
        mine = values[place]
        if score == "drift_agreement":
            interval = intervals.wilson(int(mine.sum()), len(mine))
            yield Cell(severity, float(mine.mean()), _bounds(interval), float(mine.mean() - 1), None, None)
            continue
        facts = one.sets[name][place]
        found, test = estimate(SCORES[score], facts), paired(SCORES[score], one.clean, facts)
        p = test.p_value
        if p is not None and score != "top1":
            p = float(intervals.sign_flips((mine - clean)[:, None])[0])
        yield Cell(severity, found.value, _bounds(found.interval), test.difference, _bounds(test.interval), p)


def _corrected(found: Sequence[Drift]) -> list[Drift]:
    """With each family of p-values corrected for its number: all cells, all corruptions of all variants, and the means
    over all corruptions."""
    cells = iter(intervals.holm([c.p for d in found for k in d.kinds for c in k.cells if c.p is not None]))
    kinds = iter(intervals.holm([k.p for d in found for k in d.kinds if k.p is not None]))
    overall = iter(intervals.holm([d.overall.p for d in found if d.overall and d.overall.p is not None]))
    made = []
    for one in found:
        own = []
        for kind in one.kinds:
            corrected = tuple(c if c.p is None else c._replace(p=next(cells)) for c in kind.cells)
            own.append(replace(kind, p=None if kind.p is None else next(kinds), cells=corrected))
        whole = one.overall
        if whole and whole.p is not None:
            whole = replace(whole, p=next(overall))
        made.append(replace(one, kinds=tuple(own), overall=whole))
    return made


def summaries(found: Sequence[Drift], run: RunRecord) -> Iterator[Summary]:
    """The mean over all corruptions of each subject, as a figure beside its others."""
    devices = {device.serial: device for device in run.devices}
    for one in found:
        if one.overall is None:
            continue
        device = devices.get(one.subject.device)
        virtual, translated = bool(device and device.virtual), bool(device and device.translated)
        metric = "drift_agreement" if one.score == "drift_agreement" else "drift_score"
        value, interval = one.overall.value, one.overall.bounds
        figures = Statistics(
            value, value, value, value, 0.0, None, None, one.n, (Launch(0, one.n, value, value),),
            Interval(*interval, "bootstrap") if interval else None,
        )  # fmt: skip
        caveats = (Caveat("virtual", "virtual"),) if virtual else ()
        yield Summary(one.subject, metric, METRICS[metric].unit, figures, virtual, translated, caveats)


def strips(stored: Sequence[Stored], run: RunRecord) -> tuple[Strip, ...]:
    """What each corruption made of one sample of each network, from the pictures that a run stored."""
    tiles: dict[tuple[str, str], dict[int, bytes]] = {}
    for one in stored:
        if one.record.kind == "corrupted":
            tiles.setdefault((one.record.model, one.record.corruption), {})[one.record.severity] = one.png
    found = []
    for model, shown in run.samples.items():
        for known in shown.drift.sets if shown.drift else ():
            own = tiles.get((model, known.name), {}) if known.name else {}
            if own:
                first = tiles.get((model, ""), {})
                found.append(Strip(model, known.name, known.text, tuple(
                    Tile(severity, png) for severity, png in sorted((first | own).items())
                )))  # fmt: skip
    return tuple(found)
