"""Some samples of a run, with what was answered to each: stored pictures joined with the stored facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from bench.analyse.judge import by_subject
from bench.analyse.scores import SCORES
from bench.evidence import Answered, Example
from bench.records import Answers, RunRecord, Subject
from bench.results.pictures import Stored

MAIN = ("top1", "dice", "psnr")
"""The scores that a sample has of its own, of which a task has one."""


def examples(
    stored: Sequence[Stored], frame: pd.DataFrame, run: RunRecord, answers: Mapping[str, Answers]
) -> tuple[Example, ...]:
    """The examples of each network in the order of its samples; none of a run that stored no pictures."""
    if not stored:
        return ()
    answered = by_subject(frame, answers)
    return tuple(_examples(stored, answered, run))


def _examples(stored: Sequence[Stored], answered: Mapping[Subject, Answers], run: RunRecord) -> Iterator[Example]:
    tasks = {artifact.model: artifact.task for artifact in run.artifacts}
    by_place: dict[tuple[str, int, str, str], Stored] = {}
    for one in stored:
        by_place[one.record.model, one.record.index, one.record.kind, one.record.variant] = one
    for model, index, kind, _ in sorted(by_place, key=lambda place: place[:2]):
        if kind != "input" or model not in tasks:
            continue
        shown = by_place[model, index, "input", ""]
        truth = by_place.get((model, index, "truth", ""))
        subjects = _subjects(model, answered, run)
        found = [_answered(s, index, answered[s], by_place, run) for s in subjects if _has(answered[s], index)]
        yield Example(
            model, tasks[model], index, shown.png, truth.png if truth else b"", _label(model, index, answered, run),
            tuple(found), shown.record.worst,
        )  # fmt: skip


def _has(facts: Answers, index: int) -> bool:
    return bool(facts) and index < len(next(iter(facts.values())))


def _subjects(model: str, answered: Mapping[Subject, Answers], run: RunRecord) -> list[Subject]:
    """The first of each variant, on a phone where one answered."""
    phones = {device.serial for device in run.devices if device.kind == "phone"}
    variants = dict.fromkeys(a.variant for a in run.artifacts if a.model == model)
    found = []
    for variant in variants:
        mine = [s for s in answered if (s.model, s.variant) == (model, variant)]
        mine.sort(key=lambda s: s.device not in phones)
        found += mine[:1]
    return found


def _answered(
    subject: Subject, index: int, facts: Answers, by_place: Mapping[tuple[str, int, str, str], Stored], run: RunRecord
) -> Answered:
    trained = all(a.trained for a in run.artifacts if (a.model, a.variant) == (subject.model, subject.variant))
    known = [SCORES[name] for name in MAIN if SCORES[name].fits(facts)]
    score = float(known[0].columns(facts)[index, 0]) if known and trained else None
    agrees = float(facts["agrees"][index]) if "agrees" in facts else None
    kept = [by_place.get((subject.model, index, kind, subject.variant)) for kind in ("answer", "reference")]
    own = kept[0] if kept[0] and kept[0].record.subject == subject else None
    return Answered(
        subject,
        score,
        agrees,
        _class(subject.model, facts["answer"][index], run) if "answer" in facts else "",
        float(facts["confidence"][index]) if "confidence" in facts else None,
        own.png if own else b"",
        kept[1].png if kept[1] else b"",
    )


def _label(model: str, index: int, answered: Mapping[Subject, Answers], run: RunRecord) -> str:
    for subject, facts in answered.items():
        if subject.model == model and "label" in facts and _has(facts, index):
            return _class(model, facts["label"][index], run)
    return ""


def _class(model: str, number: float, run: RunRecord) -> str:
    """Its name, where the samples have names."""
    names = run.samples[model].classes if model in run.samples else ()
    return names[int(number)] if 0 <= int(number) < len(names) else str(int(number))
