"""What a launch that served several networks printed: put together by phase, and refused where it does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.errors import RunnerFailed
from bench.measure import lines
from bench.measure.job import CONTRACT, Service

ENVIRONMENT = {"event": "environment", "contract": CONTRACT}
END = {"event": "end", "status": "ok", "exit": 0, "ns": 5}


def served(phase: int, network: int, **changes: Any) -> dict[str, Any]:
    known = {"event": "served", "phase": phase, "network": network, "granted": 5, "cpu": -1, "rss": 7, "inferences": 1}
    return known | changes


def request(phase: int, network: int, ns: int, answer: str) -> dict[str, Any]:
    return {"event": "request", "phase": phase, "network": network, "ns": ns, "answer": answer}


def phase(i: int) -> dict[str, Any]:
    return {"event": "phase", "i": i, "ns": 9, "rss": 14, "own_rss": 2, "own_cpu": 1}


SWITCHED = {"event": "switched", "phase": 1, "network": 0, "candidate": 2, "way": "capacity", "ns": -1, "bytes": 3}
GOOD = [
    ENVIRONMENT, served(0, 0), served(0, 1), phase(0), SWITCHED, served(1, 0), served(1, 1), phase(1),
    request(0, 0, 4, "own"), request(0, 0, 6, "later"), request(1, 1, 8, "none"), END,
]  # fmt: skip


def read(events: list[dict[str, Any]]) -> lines.Reading:
    return lines.read([json.dumps(event) for event in events], 0)


def test_requests_belong_to_their_network_and_phase() -> None:
    found = read(GOOD).serving
    assert found is not None
    assert [(one.phase, one.network) for one in found.served] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (found.served[0].own, found.served[0].later, found.served[3].none) == ((4,), (6,), (8,))
    assert found.served[0].cpu is None
    assert (found.exchanges[0].way, found.exchanges[0].ns) == ("capacity", None)
    assert found.phases[1].rss == 14


def test_a_launch_that_served_nothing_has_nothing_of_it() -> None:
    assert read([ENVIRONMENT, END]).serving is None


@pytest.mark.parametrize(
    "events",
    [
        GOOD[:2] + GOOD[3:],
        [event for event in GOOD if event != phase(0)],
        [*GOOD[:-1], request(0, 2, 4, "own"), END],
        [*GOOD[:-1], request(0, 0, 4, "perhaps"), END],
        [*GOOD[:-1], request(0, 0, -4, "own"), END],
        [*GOOD[:-1], request(64, 0, 4, "own"), END],
        [*GOOD[:-1], served(0, 16), END],
        [*GOOD[:-1], SWITCHED | {"way": "by foot"}, END],
        [*GOOD[:-1], SWITCHED | {"bytes": 2**60}, END],
    ],
)
def test_events_that_do_not_fit_together_are_refused(events: list[dict[str, Any]]) -> None:
    with pytest.raises(RunnerFailed):
        read(events)


def test_a_service_is_a_job_file_of_its_own() -> None:
    text = Service(["/a.job", "/b.job"], [10, 0.5], 4, [(3000, [(0, 250), (1, 500)]), (10, [(1, 1), (0, 2)])]).text()
    assert dict(line.split(" = ") for line in text.splitlines()) == {
        "contract": "3", "mode": "serve", "candidates": "/a.job,/b.job", "networks": "2", "rate1": "10000",
        "rate2": "500", "period_us": "4000", "phases": "2", "phase1": "3000,0@250,1@500", "phase2": "10,1@1,0@2",
    }  # fmt: skip
