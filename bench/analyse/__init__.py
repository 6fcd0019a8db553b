"""From stored samples to statistics, verdicts and comparisons: pure functions."""

from __future__ import annotations

import pandas as pd

from bench.analyse.compare import compare
from bench.analyse.summary import summarise
from bench.findings import Findings
from bench.records import RunRecord


def analyse(frame: pd.DataFrame, run: RunRecord) -> Findings:
    """All that can be said about a run. `frame` has one row per sample, as in `results/README.md`.

    Raises CorruptData when the frame or the stored plan is not of this format.
    """
    summaries = summarise(frame, run)
    return Findings(summaries, compare(summaries))
