"""Answers by how sure they are: the bins of a reliability diagram (Guo et al. 2017), from the stored facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bench.confidence import BINS, Values, bins_of
from bench.evidence import Bin, Reliability
from bench.records import Answers, RunRecord, Subject


def reliability(answered: Mapping[Subject, Answers], run: RunRecord) -> Iterator[Reliability]:
    """Of each subject with labelled classes whose weights were trained."""
    untrained = {(a.model, a.variant) for a in run.artifacts if not a.trained}
    for subject, facts in answered.items():
        if not {"confidence", "rank"} <= set(facts) or (subject.model, subject.variant) in untrained:
            continue
        right = np.asarray(facts["rank"]) == 0
        scaled = _bins(np.asarray(facts["calibrated"]), right) if "calibrated" in facts else ()
        yield Reliability(subject, _bins(np.asarray(facts["confidence"]), right), scaled)


def _bins(confidence: Values, right: np.ndarray) -> tuple[Bin, ...]:
    bins = bins_of(confidence)
    found = []
    for number in range(BINS):
        mine = bins == number
        count = int(mine.sum())
        found.append(
            Bin(count, float(confidence[mine].mean()), float(right[mine].mean())) if count else Bin(0, 0.0, 0.0)
        )
    return tuple(found)
