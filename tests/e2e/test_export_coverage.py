"""Small networks of many kinds through export and the native runner: accepted and right, or refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.cache import Cache
from bench.measure import station
from benchmarks.coverage import of_functions, of_layers
from benchmarks.coverage.judge import judge

CASES = {case.name: case for case in (*of_layers.CASES, *of_functions.CASES)}


@pytest.fixture(scope="module")
def here() -> Iterator[station.Station]:
    found = station.desktop(("ncnn",), Cache(), lambda share, words: None)
    yield found
    station.leave(found)


@pytest.mark.parametrize(
    "name",
    [
        "batch_norm2d_alone", "group_norm", "layer_norm_image", "prelu_channels", "local_response_norm",
        "conv1d", "conv3d", "conv2d_circular", "avg_pool2d_ceil", "conv_transpose2d_groups",
        "lstm_states", "embedding_mean", "multihead_attention", "attention_causal", "bilinear",
        "window", "where", "variance", "matmul_heads", "broadcast_channels", "nested", "named", "nothing",
    ],
)  # fmt: skip
def test_what_ncnn_can_do_is_accepted_and_right(here: station.Station, name: str) -> None:
    verdict = judge(CASES[name], here)
    assert verdict.outcome == "correct", verdict.words


@pytest.mark.parametrize("name", [case.name for case in of_functions.DYNAMIC])
def test_what_no_graph_can_hold_is_refused_with_its_line(here: station.Station, name: str) -> None:
    verdict = judge(CASES[name], here)
    assert verdict.outcome == "refused"
    assert "of_functions.py:" in verdict.words
