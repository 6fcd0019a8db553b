"""What the history keeps of the passes that are done where somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bench.analyse import summaries
from bench.analyse.kept import launches
from bench.plan import Case, Plan, Protocol
from bench.records import Device, RunRecord


def frame_of(passes: Mapping[str, int]) -> pd.DataFrame:
    """Launches of ten samples each, of passes whose metric has their name."""
    rows = [
        {
            "trial": f"{name}/m/v/p1/ncnn/t1/fp32/{launch}", "model": "m", "variant": "v", "device": "p1",
            "runtime": "ncnn", "pass": name, "threads": 1, "precision": "fp32", "launch": launch, "order": 0,
            "virtual": False, "translated": False, "status": "ok", "reason": "", "metric": name, "index": i,
            "value": 1e6 + i,
        }
        for name, count in passes.items()
        for launch in range(count)
        for i in range(10)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_single_launch_of_load_is_not_kept_and_others_beside_are_part_of_the_protocol(tmp_path: Path) -> None:
    plan = Plan(name="a", cases=(Case(model="m"),), protocol=Protocol(sustained_seconds=60, beside=2, load=1))
    run = RunRecord(
        id="r", name="a", started="2026-11-26T10:00:00+00:00", bench_version="0", plan=plan.model_dump(mode="json"),
        reference="torch", versions={}, toolchain={}, artifacts=(),
        devices=(Device(serial="p1", kind="phone", name="P", os="Android", abis=("arm64-v8a",)),),
    )  # fmt: skip
    frame = frame_of({"latency": 3, "contended": 3, "sustained": 1})
    frame.loc[(frame["metric"] == "contended") & (frame["index"] == 9), "value"] += 100
    rows = launches(run, frame, summaries(frame, run, {}), tmp_path).to_pylist()
    assert {row["metric"] for row in rows} == {"latency", "contended"}
    assert {row["value"] for row in rows if row["metric"] == "contended"} == {1e6 + 4.5 + 10}  # one waited
    words = {row["metric"]: row["protocol"] for row in rows}
    assert words["contended"] == f"{words['latency']}, means beside 2 copies and 1 threads"
