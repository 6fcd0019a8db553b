"""What a network's answers are worth: its scores, each with an interval over samples, from the stored facts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bench.analyse.scores import Estimate, scores
from bench.caveats import Caveat
from bench.findings import Launch, Statistics, Summary
from bench.records import METRICS, Answers, RunRecord, Subject

FIDELITY = ("max_abs_delta", "max_abs_reference")
"""Facts whose largest value over samples and outputs is a figure of its own."""


def by_subject(frame: pd.DataFrame, answers: Mapping[str, Answers]) -> dict[Subject, Answers]:
    """The answers of each subject's accuracy trial that did not fail; `answers` are by the trial's id."""
    rows = frame[(frame["pass"] == "accuracy") & (frame["status"] != "failed")].drop_duplicates("trial")
    found = {}
    for row in rows.to_dict("records"):
        if (trial := str(row["trial"])) in answers:
            found[Subject.model_validate({name: row[name] for name in Subject.model_fields})] = answers[trial]
    return found


def tags(frame: pd.DataFrame) -> dict[Subject, str]:
    """Why the accuracy trial of a subject was tagged, of those that were."""
    rows = frame[(frame["pass"] == "accuracy") & (frame["status"] == "tagged")].drop_duplicates("trial")
    return {
        Subject.model_validate({name: row[name] for name in Subject.model_fields}): str(row["reason"])
        for row in rows.to_dict("records")
    }


def judge(
    answered: Mapping[Subject, Answers],
    run: RunRecord,
    metrics: Collection[str] = METRICS,
    tagged: Mapping[Subject, str] | None = None,
) -> Iterator[Summary]:
    """A summary for each score of each subject that is among `metrics`, under the caveats of its place and of its
    trial, if that was `tagged`."""
    untrained = {(a.model, a.variant) for a in run.artifacts if not a.trained}
    devices = {device.serial: device for device in run.devices}
    for subject, facts in answered.items():
        device = devices.get(subject.device)
        virtual, translated = bool(device and device.virtual), bool(device and device.translated)
        reason = (tagged or {}).get(subject)
        caveats = (
            *([Caveat("virtual", "virtual")] if virtual else ()),
            *([Caveat("answers-tagged", reason)] if reason else ()),
        )
        found = {name: estimate for name, estimate in scores(facts, metrics).items() if name in METRICS}
        for metric in FIDELITY if set(FIDELITY) <= set(metrics) else ():
            worst = [float(np.max(v)) for fact, v in facts.items() if fact.partition(".")[0] == metric]
            if worst:
                found[metric] = Estimate(max(worst), None, len(facts[metric]))
        for metric, estimate in found.items():
            # Weights that nobody trained are never right or wrong.
            if (
                METRICS[metric].better != "equal"
                and metric not in FIDELITY
                and (subject.model, subject.variant) in untrained
            ):
                continue
            figures = _statistics(estimate)
            yield Summary(subject, metric, METRICS[metric].unit, figures, virtual, translated, caveats)


def _statistics(estimate: Estimate) -> Statistics:
    """A score as a figure of one launch over `n` samples."""
    value = estimate.value
    launch = Launch(0, estimate.n, value, value)
    return Statistics(value, value, value, value, 0.0, None, None, estimate.n, (launch,), estimate.interval)


def unproven(summaries: Sequence[Summary], run: RunRecord) -> tuple[Summary, ...]:
    """The summaries; those of subjects with wrong answers, or with files that changed during the run, are unusable:
    another network's speed is of no interest."""
    failed = {
        s.subject: f"accuracy pass {s.caveats[0].text}"
        for s in summaries
        if METRICS[s.metric].pass_ == "accuracy" and s.statistics is None
    }
    changed = {
        s.subject: f"a file of it on {s.subject.device} changed during the run"
        for s in summaries
        if f"{s.subject.model}/{s.subject.variant}" in run.damaged.get(s.subject.device, ())
    }
    failed = changed | failed
    return tuple(
        replace(s, caveats=(*s.caveats, Caveat("wrong-answers", failed[s.subject])))
        if s.subject in failed and METRICS[s.metric].pass_ not in ("size", "accuracy")
        else s
        for s in summaries
    )
