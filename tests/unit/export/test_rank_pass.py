"""The numbers of our own layers' parameters are the same in the exporter and in the runner."""

from __future__ import annotations

import re

import pytest

from bench.export import layers
from bench.export.rank_pass import LowRankPass, RankPass
from bench.runtimes.ncnn.build import source_folder


def header(name: str) -> str:
    return (source_folder() / "runner" / "layers" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "ours"), [("rank_pass.h", RankPass), ("low_rank_pass.h", LowRankPass)])
def test_the_runner_and_the_exporter_name_the_same_numbers(name: str, ours: type[RankPass] | type[LowRankPass]) -> None:
    listed = re.findall(r"P\((\d+), \w+, (\w+), ", header(name))
    assert {word.upper(): number for number, word in listed} == {one.name: str(one) for one in ours}


def test_both_load_large_matrices_in_the_same_pieces() -> None:
    assert f"kPiece = 1 << {layers.PIECE.bit_length() - 1};" in header("low_rank_pass.cpp")
    assert layers.pieces(1000, 600) == [436, 436, 128]
    assert layers.pieces(3, 1 << 20) == [1, 1, 1]
