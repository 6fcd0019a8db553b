"""The time of a cascade, from frames in the stored form."""

from __future__ import annotations

from bench.analyse.reliability import reliability
from tests.unit.analyse.test_summary import find, launch, only, run


def test_each_way_of_a_cascade_counts_by_its_median_in_the_share_of_its_inferences() -> None:
    """Three of four inferences are the small network's alone; one inference was interrupted for a second."""
    times = [1e6, 1e6, 1e6, 5e6] * 20
    times[3] = 1e9
    ways = [0.0, 0.0, 0.0, 1.0] * 20
    found = find(*(launch(i, {"latency": times, "asked_inference": ways}) for i in range(5)))
    latency = only(found, "latency").statistics
    assert latency is not None
    assert latency.median == 2e6
    assert latency.p95 == 5e6
    assert latency.means
    assert not [s for s in found.summaries if s.metric == "asked_inference"]


def test_a_launch_without_ways_stands_for_its_median() -> None:
    latency = only(find(*(launch(i, {"latency": [1e6, 1e6, 9e6]}) for i in range(5))), "latency").statistics
    assert latency is not None
    assert (latency.median, latency.means) == (1e6, False)


def test_without_answers_nothing_can_be_relied_on() -> None:
    assert list(reliability({}, run())) == []
