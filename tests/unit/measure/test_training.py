"""What a training printed: read whole, or refused with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.errors import RunnerFailed, UsageError
from bench.measure import training
from bench.measure.training import Places, Training

TRAINED: dict[str, Any] = {
    "event": "trained", "package": "/data/x.elm", "bytes": 88, "neurons": 10, "inputs": 4, "samples": 50,
    "alpha": "0.5", "residual": "1.5e-05", "iterations": 3, "condition": "12345.6", "shift": "0.5", "tries": 1,
    "products_ns": 10**9, "factor_ns": 2 * 10**9, "solve_ns": 5 * 10**8, "matrix": 4194304, "right": 9, "of": 10,
}  # fmt: skip
EVENTS: list[dict[str, Any]] = [
    {"event": "environment", "threads": 2, "kernels_used": ["avx2"]},
    {"event": "progress", "stage": "factor", "done": 1, "total": 2},
    {"event": "solution", "alpha": "0.5", "iterations": 3, "residual": "1e-4", "right": 4, "of": 5},
    TRAINED,
    {"event": "memory", "vm_hwm": 1000},
    {"event": "end", "status": "ok", "exit": 0, "ns": 4 * 10**9},
]


def printed(*events: dict[str, Any]) -> list[str]:
    return [json.dumps(event) for event in events]


def test_a_whole_training_is_read() -> None:
    found = training.read(["WARNING: linker", *printed(*EVENTS)], 0)
    assert (found.products_s, found.factor_s, found.solve_s, found.seconds) == (1, 2, 0.5, 4)
    assert (found.accuracy, found.condition, found.peak_rss, found.threads) == (0.9, 12345.6, 1000, 2)
    assert found.tried == (training.Tried(alpha=0.5, iterations=3, right=4, of=5),)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("alpha", 0.5), ("alpha", "nan"), ("alpha", "1e999"), ("condition", "0x10"), ("condition", None), ("bytes", -1),
        ("neurons", "10"), ("right", 11), ("products_ns", 2**60),
    ],
)  # fmt: skip
def test_a_figure_that_cannot_be_is_refused(key: str, value: object) -> None:
    events = [event | {key: value} if event is TRAINED else event for event in EVENTS]
    with pytest.raises(RunnerFailed):
        training.read(printed(*events), 0)


@pytest.mark.parametrize("name", ["environment", "trained", "memory", "end"])
def test_a_launch_that_lacks_an_event_is_no_training(name: str) -> None:
    with pytest.raises(RunnerFailed):
        training.read(printed(*(event for event in EVENTS if event["event"] != name)), 0)


def test_the_runners_own_reason_comes_first() -> None:
    error = {"event": "error", "kind": "out_of_memory", "message": "9 neurons need 1 MiB\x1b[2J"}
    with pytest.raises(RunnerFailed, match="9 neurons need 1 MiB") as caught:
        training.read(printed(EVENTS[0], error, {"event": "end", "status": "error", "exit": 7, "ns": 1}), 7)
    assert caught.value.left == 7
    assert "\x1b" not in caught.value.what


def test_the_job_has_what_was_asked_for_and_no_empty_keys() -> None:
    asked = Training(10, 3, 7, (0.5, 50.0), "file", 2)
    text = training.text(asked, Places("/a", "", "", "/b"))
    assert "alphas = 0.5,50\n" in text
    assert "matrix = file\n" in text
    assert "validation" not in text
    assert "test" not in text
    with pytest.raises(UsageError):
        training.text(asked, Places("/a #b", "", "", "/b"))


def test_progress_is_told_and_nonsense_is_passed_over() -> None:
    told: list[tuple[float, str]] = []
    line = training.watch(lambda fraction, words: told.append((fraction, words)))
    for text in ('{"event":"progress","stage":"factor","done":1,"total":2}', '{"event":"progress"', '{"event":"load"}'):
        line(text)
    assert told == [(pytest.approx(0.6), "factor: 1 of 2")]
