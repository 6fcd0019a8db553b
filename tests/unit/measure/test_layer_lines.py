"""What a launch printed of its layers, honest or hostile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import RunnerFailed
from bench.measure import lines
from bench.measure.layer_lines import Blob, LayerTime

HEAD: dict[str, Any] = {"event": "layers", "count": 2, "iterations": 9, "ns": 40, "whole": 38}
FIRST: dict[str, Any] = {
    "event": "layer", "i": 0, "name": "conv", "type": "Convolution", "ns": 30, "read": -1, "bytes": 96, "weights": -1,
    "deferred": 0, "inputs": ["in0"], "outputs": [{"name": "a", "shape": [2, 3, 4]}],
}  # fmt: skip
SECOND: dict[str, Any] = FIRST | {"i": 1, "name": "pass", "ns": 5, "weights": 7, "inputs": ["a"]}
END: dict[str, Any] = {"event": "end", "status": "ok", "exit": 0, "ns": 100}
ANSWERS: dict[str, Any] = {"event": "answers", "path": "/x", "samples": 1, "bytes": 192, "counts": [24, 24]}


def read(*events: dict[str, Any]) -> lines.Reading:
    return lines.read([json.dumps(event) for event in (*events, END)], 0)


def test_layers_add_up() -> None:
    found = read(HEAD, FIRST, SECOND, ANSWERS).layers
    assert found is not None
    assert (found.iterations, found.median, found.plain, found.total) == (9, 40, 38, 35)
    assert found.layers[0] == LayerTime(
        "conv", "Convolution", 30, None, 96, None, False, ("in0",), (Blob("a", (2, 3, 4)),)
    )
    assert found.layers[1].weights == 7


def test_a_launch_of_another_mode_has_none() -> None:
    assert read().layers is None


def test_a_runtime_that_times_itself_has_no_plain_inference() -> None:
    found = read(HEAD | {"whole": -1}, FIRST, SECOND).layers
    assert found is not None
    assert found.plain is None


@pytest.mark.parametrize(
    "events",
    [
        (FIRST,),
        (HEAD, FIRST),
        (HEAD, SECOND),
        (HEAD, FIRST, FIRST),
        (HEAD, FIRST, SECOND, SECOND | {"i": 2}),
        (HEAD, HEAD, FIRST, SECOND),
        (HEAD | {"count": 0},),
        (HEAD | {"count": 10_001},),
        (HEAD | {"iterations": 0},),
        (HEAD, FIRST, SECOND | {"ns": -1}),
        (HEAD, FIRST, SECOND | {"ns": 1.5}),
        (HEAD, FIRST, SECOND | {"name": None}),
        (HEAD, FIRST, SECOND | {"inputs": "a"}),
        (HEAD, FIRST, SECOND | {"inputs": ["a"] * 1001}),
        (HEAD, FIRST, SECOND | {"outputs": [["a", [1]]]}),
        (HEAD, FIRST, SECOND | {"outputs": [{"name": "a", "shape": [0]}]}),
        (HEAD, FIRST, SECOND | {"outputs": [{"name": "a", "shape": [1] * 9}]}),
        (HEAD, FIRST, SECOND | {"outputs": [{"shape": [1]}]}),
        (HEAD, FIRST, SECOND, ANSWERS | {"counts": [24, 23, 1]}),
    ],
)
def test_what_contradicts_itself_is_refused(events: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(RunnerFailed):
        read(*events)


def test_names_are_cut_and_made_printable() -> None:
    found = read(HEAD, FIRST | {"name": "\x1b[31m" + "x" * 1000}, SECOND).layers
    assert found is not None
    name = found.layers[0].name
    assert name.isprintable()
    assert len(name) < 310


BLOB = st.fixed_dictionaries({"name": st.just("a") | st.none(), "shape": st.lists(st.integers(-1, 4), max_size=3)})
VALUE = st.none() | st.integers() | st.sampled_from(["", "a", [], ["a"], [1], {}, 0.5]) | st.lists(BLOB, max_size=2)


@given(st.sampled_from(sorted(FIRST)), VALUE)
def test_whatever_a_layer_says_it_is_understood_or_refused(key: str, value: Any) -> None:
    try:
        found = read(HEAD | {"count": 1}, FIRST | {key: value}).layers
    except RunnerFailed:
        return
    assert found is None or all(one.ns >= 0 for one in found.layers)
