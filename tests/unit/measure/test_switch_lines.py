"""The runner's events of changes between capacities, and what is believed of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.errors import RunnerFailed
from bench.measure import lines
from bench.records import Sample

HEAD = {"event": "capacities", "own": 2, "bytes": [100, 250, 600], "switches": 4}
STEPS = [
    {"event": "switch", "i": 0, "from": 2, "to": 1, "ns": 30, "bytes": 150, "first": 7},
    {"event": "switch", "i": 1, "from": 1, "to": 2, "ns": 40, "bytes": 150, "first": 8},
    {"event": "switch", "i": 2, "from": 2, "to": 3, "ns": 50, "bytes": 350, "first": 9},
    {"event": "switch", "i": 3, "from": 3, "to": 2, "ns": 60, "bytes": 350, "first": 10},
]
END = {"event": "end", "status": "ok", "exit": 0, "ns": 1}


def read(*events: dict[str, Any]) -> lines.Reading:
    return lines.read([json.dumps(one) for one in (*events, END)], 0)


def test_the_changes_to_the_capacity_that_was_loaded_are_its_samples() -> None:
    assert read(HEAD, *STEPS).samples == (
        Sample("switch", 0, 40.0), Sample("switch", 1, 60.0),
        Sample("switch_first", 0, 8.0), Sample("switch_first", 1, 10.0),
        Sample("paged", 0, 150.0), Sample("paged", 1, 350.0),
        Sample("capacity_bytes", 0, 250.0),
    )  # fmt: skip


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_change_is_missed(lost: int) -> None:
    with pytest.raises(RunnerFailed, match="switch"):
        read(HEAD, *STEPS[:lost], *STEPS[lost + 1 :])


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": 2}, {"to": 0}, {"from": 3}, {"to": 1.5}, {"ns": 0}, {"ns": "x"}, {"bytes": -1}, {"first": None},
        {"i": 1},
    ],
)  # fmt: skip
def test_a_change_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RunnerFailed):
        read(HEAD, STEPS[0] | wrong, *STEPS[1:])


@pytest.mark.parametrize(
    "wrong",
    [{"own": 4}, {"own": 0}, {"bytes": [1]}, {"bytes": 3}, {"bytes": [1] * 65}, {"bytes": [1, "x"]}, {"switches": 0}],
)
def test_capacities_that_contradict_themselves_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RunnerFailed):
        read(HEAD | wrong, *STEPS)


def test_a_change_before_the_capacities_are_known_is_refused() -> None:
    with pytest.raises(RunnerFailed, match="switch"):
        read(STEPS[0], HEAD)
