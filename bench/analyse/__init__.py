"""From stored samples to statistics, verdicts and comparisons: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.findings import Findings
from bench.records import RunRecord

if TYPE_CHECKING:
    import pandas as pd


def analyse(frame: pd.DataFrame, run: RunRecord) -> Findings:
    """All that can be said about a run. `frame` has one row per sample, as in `results/README.md`.

    Raises CorruptData when the frame or the stored plan is not of this format.
    """
    # pandas and scipy take a second to import; a run wants them only at its end.
    from bench.analyse.compare import compare
    from bench.analyse.summary import summarise

    summaries = summarise(frame, run)
    return Findings(summaries, compare(summaries))
