"""A change of capacity against loading the same network: afresh from the same file, and from files of its own."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bench.analyse.capacities import switched
from bench.analyse.statistics import statistics
from bench.findings import Summary
from bench.plan import Case, Plan, Variant
from bench.records import METRICS, RunRecord, Subject

SHARED = Variant(method="nested", execution="shared", target="8x", width="1/2", label="shared")
APART = Variant(method="nested", execution="apart", target="8x", width="1/2", label="apart")
OTHER = Variant(method="nested", execution="apart", target="8x", width="1/4", label="other")


def subject(variant: str = "shared") -> Subject:
    return Subject(model="m", variant=variant, device="p", runtime="ncnn")


def rows(metric: str, values: list[list[float]], variant: str = "shared") -> list[dict[str, Any]]:
    return [
        subject(variant).model_dump() | {
            "pass": METRICS[metric].pass_, "metric": metric, "launch": launch, "iteration": n, "value": value,
        }
        for launch, launched in enumerate(values)
        for n, value in enumerate(launched)
    ]  # fmt: skip


def summary(found: list[dict[str, Any]]) -> Summary:
    first = found[0]
    figures = statistics([row["value"] for row in found], [row["launch"] for row in found])
    metric = first["metric"]
    return Summary(subject(first["variant"]), metric, METRICS[metric].unit, figures, True, False, ())


def found(*variants: Variant) -> Any:
    five = range(5)
    parts = [
        rows("switch", [[2e6, 2.2e6 + k] for k in five]),
        rows("switch_first", [[1e5, 1.2e5]] * 5),
        rows("paged", [[300.0, 700.0]] * 5),
        rows("capacity_bytes", [[1000.0]] * 5),
        rows("load", [[4e6 + k] for k in five]),
        rows("load", [[6e6 + k] for k in five], "apart"),
        rows("load", [[9e6 + k] for k in five], "other"),
    ]
    plan = Plan(name="a", cases=(Case(model="m", variants=variants),))
    run = RunRecord(
        id="r", name="a", started="", bench_version="0", plan=plan.model_dump(mode="json"), reference="torch",
        versions={}, toolchain={}, devices=(), artifacts=(),
    )  # fmt: skip
    frame = pd.DataFrame([row for part in parts for row in part])
    (one,) = switched(frame, [summary(part) for part in parts], run)
    return one


def test_a_change_is_held_against_both_ways_of_loading() -> None:
    one = found(SHARED, OTHER, APART)
    assert one.subject == subject()
    assert (one.bytes, one.paged, one.changes, one.launches) == (1000, (300, 700), 10, 5)
    assert one.slowest == pytest.approx(2.2e6 + 4)
    assert one.fresh.ratio == pytest.approx(4 / 2.1, rel=1e-3)
    assert one.fresh.bounds[0] <= one.fresh.ratio <= one.fresh.bounds[1]
    assert one.apart.subject == subject("apart")
    assert one.apart.ratio == pytest.approx(6 / 2.1, rel=1e-3)
    assert one.virtual


def test_another_width_is_not_the_same_network_apart() -> None:
    one = found(SHARED, OTHER)
    assert one.apart is None
    assert one.fresh is not None
