"""Since which night: by the trend where it can tell, else by the nights since the baseline, one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.campaign import past, since
from bench.campaign.compared import between
from bench.findings import Verdict
from bench.report.nightly import Since
from bench.results.history import History
from tests.unit.campaign.test_past import night


def nights(history: History, factors: list[float]) -> None:
    for number, factor in enumerate(factors):
        history.add(night(number, factor, artifact="slow" if factor > 1.2 else "a"))


def verdict(history: History, results: Path, baseline: past.Side, after: str) -> Verdict:
    found = between(baseline, past.side(after, history, results), history, 0.03, {"variant": ("v",)}, itself=False)
    return next(v for v in found if v.metric == "latency" and v.values[1] is not None)


@pytest.mark.parametrize(
    ("factors", "baseline", "first", "count", "how"),
    [
        ([1, 1, 1.4], "n1", "n2", 1, "verdicts"),
        ([1, 1, 1.4, 1.4], "n1", "n2", 2, "verdicts"),
        ([1, 1.4, 1, 1.4, 1.4], "n0", "n3", 2, "verdicts"),
        ([1, 1, 1.001, 1, 1, 1.001, 1.4, 1.4, 1.4], "n5", "n6", 3, "trend"),
        ([1, 1.4, 1.4, 1.4, 1, 1, 1.001, 1, 1.4], "n7", "n8", 1, "verdicts"),
    ],
)
def test_the_first_night_is_found(
    tmp_path: Path, factors: list[float], baseline: str, first: str, count: int, how: str
) -> None:
    history, last = History(tmp_path / "history"), f"n{len(factors) - 1}"
    nights(history, factors)
    side = past.side(baseline, history, tmp_path)
    v = verdict(history, tmp_path, side, last)
    change = since.for_the_worse(since.trends([v], history, 0.03).get((v.metric, v.right)))
    tonight = Since("tonight", f"/runs/{last}", "", 1, "verdicts")
    found = since.first(v, change, side, history, 0.03, tonight)
    assert (Path(found.folder).name, found.nights, found.found_by) == (first, count, how)


def test_a_change_for_the_better_is_none_for_the_worse(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    nights(history, [1.4] * 6 + [1.0] * 6)
    v = verdict(history, tmp_path, past.side("n0", history, tmp_path), "n11")
    found = since.trends([v], history, 0.03)[v.metric, v.right]
    assert len(found.changes) == 1
    assert since.for_the_worse(found) is None
