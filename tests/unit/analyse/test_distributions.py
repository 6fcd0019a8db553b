"""Latencies made small enough to be shown."""

import numpy as np
import pandas as pd

from bench.analyse.distributions import DOTS, distributions, thinned
from bench.records import Subject

SUBJECT = Subject(model="net", variant="baseline", device="phone", runtime="ncnn")


def frame(values: list[float], launch: int, status: str = "ok", reason: str = "") -> pd.DataFrame:
    common = SUBJECT.model_dump() | {"launch": launch, "status": status, "reason": reason, "metric": "latency"}
    return pd.DataFrame([common | {"value": value} for value in values])


def test_thinning_keeps_the_extremes_and_is_the_same_every_time() -> None:
    values = np.random.default_rng(3).gamma(2, 5, 10_000)
    some = thinned(values)
    assert len(some) == DOTS
    assert (min(some), max(some)) == (values.min(), values.max())
    assert set(some) <= set(values)
    assert some == thinned(values)


def test_few_samples_are_all_kept() -> None:
    assert thinned(np.array([3.0, 1.0, 2.0])) == (3.0, 1.0, 2.0)


def test_a_launch_has_its_own_quantiles_and_its_tag() -> None:
    first, second = distributions(
        pd.concat([frame([1, 2, 3, 4, 5], 0), frame([9.0], 1, "tagged", "hot"), frame([], 2)], ignore_index=True)
    )
    assert (first.subject, first.launch, first.samples, first.quantiles[2], first.reason) == (SUBJECT, 0, 5, 3.0, "")
    assert (second.launch, second.quantiles, second.reason) == (1, (9.0,) * 5, "hot")


def test_failed_launches_have_no_distribution() -> None:
    assert distributions(frame([1.0], 0, "failed", "out of memory")) == ()
