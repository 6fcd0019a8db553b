"""The runner's output lines, and what a launch that ends badly is said to have."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import RunnerFailed
from bench.measure import lines
from bench.records import Sample

GOOD = [
    {"event": "environment", "contract": 1, "cpus_allowed": "0-1"},
    {"event": "load", "ns": 5},
    {"event": "first_inference", "ns": 7},
    {"event": "warmup", "iterations": 10, "ns": 100},
    {"event": "iteration", "i": 0, "ns": 3},
    {"event": "iteration", "i": 1, "ns": 4},
    {"event": "memory", "vm_hwm": 4096, "rss": 4096, "pss": -1, "anonymous": 1024},
    {"event": "end", "status": "ok", "exit": 0, "ns": 2_000_000_000},
]


def text(events: list[dict[str, object]]) -> list[str]:
    return [json.dumps(e) for e in events]


def test_a_good_launch() -> None:
    reading = lines.read(text(GOOD), 0)
    assert reading.samples == (
        Sample("load", 0, 5.0),
        Sample("first_inference", 0, 7.0),
        Sample("latency", 0, 3.0),
        Sample("latency", 1, 4.0),
        Sample("vm_hwm", 0, 4096.0),
        Sample("anonymous", 0, 1024.0),
    )
    assert (reading.warmup_iterations, reading.runner_s, reading.environment["cpus_allowed"]) == (10, 2.0, "0-1")


@pytest.mark.parametrize(
    ("events", "status", "reason"),
    [
        (GOOD[:-1], 0, "without its end marker"),
        (GOOD[:3], 137, "out of memory"),
        ([], 127, "not there"),
        ([], 126, "wrong ABI"),
        ([], 139, "signal 11"),
        (
            [
                {"event": "error", "kind": "bad_job", "message": "key x"},
                {"event": "end", "status": "error", "exit": 2, "ns": 1},
            ],
            2,
            "bad_job: key x",
        ),
        ([{"event": "load", "ns": "5"}], 0, "no whole number"),
        ([{"event": "load", "ns": True}], 0, "no whole number"),
        ([{"event": "dance"}], 0, "does not know"),
    ],
)
def test_a_bad_launch_says_why(events: list[dict[str, object]], status: int, reason: str) -> None:
    with pytest.raises(RunnerFailed, match=reason):
        lines.read(text(events), status)


@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from(text(GOOD))), max_size=8), st.integers(0, 255))
def test_any_output_is_understood_or_refused(output: list[str], status: int) -> None:
    try:
        reading = lines.read(output, status)
    except RunnerFailed:
        return
    assert status == 0
    assert text(GOOD)[-1] in output
    assert all(s.value >= 0 for s in reading.samples)
