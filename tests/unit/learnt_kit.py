"""Trainings on a phone, made up."""

from __future__ import annotations

from typing import Any

from bench.learnt import Right, Trained, TrainingRecord, Tried
from bench.records import Device, RunRecord

SERIAL = "emulator-5554"
_COMMON: dict[str, Any] = {
    "id": "20261127T010203-train-lenet5", "started": "2026-11-27T01:02:03+00:00", "bench_version": "0",
    "model": "lenet5", "source": "1,000 pictures", "device": SERIAL, "matrix": "float32", "seed": 1, "threads": 1,
    "alphas": (5.0, 50.0),
}  # fmt: skip


def learnt(neurons: int, right: int, desktop: int | None = None, **changes: Any) -> TrainingRecord:
    trained = Trained(
        neurons=neurons, inputs=784, samples=3500, package_bytes=20 * neurons + 64, matrix_bytes=4 * neurons**2,
        alpha=50.0, shift=15.8, condition=1.7e5, residual=1e-5, iterations=3, tries=1, products_s=0.5, factor_s=0.25,
        solve_s=1.0, seconds=2.0, peak_rss=20_000_000 + 4 * neurons**2, right=right, of=1000,
        tried=(Tried(alpha=50.0, iterations=3, right=400, of=500),), kernels=("fma",), threads=1,
    )  # fmt: skip
    beside = {"desktop": Right(right=desktop, of=1000, alpha=50.0)} if desktop is not None else {}
    return TrainingRecord(**_COMMON | {"neurons": neurons, "trained": trained} | beside | changes)


def failed(neurons: int, reason: str, **changes: Any) -> TrainingRecord:
    return TrainingRecord(**_COMMON | {"neurons": neurons, "status": "failed", "reason": reason} | changes)


def run(**device: Any) -> RunRecord:
    phone = Device(
        **{"serial": SERIAL, "kind": "phone", "name": "Pixel 8", "os": "Android 16", "abis": ("x86_64",)}
        | {"virtual": True}
        | device
    )
    return RunRecord(
        id="20261127T010203-train-lenet5", name="train-lenet5", started="2026-11-27T01:02:03+00:00", finished="then",
        bench_version="0", plan={"name": "train-lenet5", "cases": [{"model": "lenet5"}]}, reference="torch",
        versions={}, toolchain={}, devices=(phone,), artifacts=(),
    )  # fmt: skip
