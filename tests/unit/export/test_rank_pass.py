"""The numbers of RankPass's parameters are the same in the exporter and in the runner."""

from __future__ import annotations

import re

from bench.export.rank_pass import RankPass
from bench.runtimes.ncnn.build import source_folder


def test_the_runner_and_the_exporter_name_the_same_numbers() -> None:
    header = (source_folder() / "runner" / "layers" / "rank_pass.h").read_text(encoding="utf-8")
    listed = re.findall(r"P\((\d+), \w+, (\w+), ", header)
    assert {name.upper(): number for number, name in listed} == {one.name: str(one) for one in RankPass}
