"""Runs of many methods on one network, stored as `bench run` stores them. SYNTHETIC TEST DATA: nothing was measured.

`python -m tests.rivals FOLDER` writes one of about thirty variants, to look at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.plan import Plan
from bench.records import (
    Answers,
    Artifact,
    ArtifactFile,
    Device,
    Made,
    Measurement,
    RunRecord,
    Sample,
    SamplesRecord,
    Subject,
    Tensor,
    Trial,
)
from bench.results.folder import RunFolder

PHONE = Device(serial="emulator-5554", kind="phone", name="Synthetic", os="Android 14", abis=("x86_64",), virtual=True)
DESKTOP = Device(serial="desktop", kind="desktop", name="Synthetic desktop", os="Linux", abis=("x86_64",))
COUNT, CLASSES = 1_000, 10


class One(NamedTuple):
    """A variant: its label, one inference in µs, bytes, peak memory in MB, the part of right answers."""

    label: str
    us: float
    deployed: int
    mb: float
    right: float
    epochs: int | None = 30
    labels: bool = True
    status: str = "ok"

    @property
    def method(self) -> str:
        return self.label.partition(":")[0]

    @property
    def target(self) -> str | None:
        return self.label.partition(":")[2] or None


FEW = (
    One("baseline", 86.2, 1_724_634, 4.86, 0.984),
    One("fr:16kB", 60.0, 16_000, 3.1, 0.981),
    One("fr:2kB", 34.5, 1_990, 2.47, 0.965),
    One("prune:16kB", 30.0, 15_800, 2.6, 0.976),
    One("prune:2kB", 14.5, 1_965, 2.27, 0.90),
    One("half", 86.0, 862_500, 4.9, 0.984, epochs=None),
)


def many() -> tuple[One, ...]:
    """Seven families at sizes from 1.6 kB to 110 kB."""
    dice = np.random.default_rng(12)
    families = {
        "fr": (1.0, 1.0, 0.004), "tucker": (1.5, 1.2, 0.014), "prune": (0.42, 0.75, 0.010), "int8": (0.7, 0.9, 0.020),
        "dense-small": (0.40, 0.74, 0.013), "prune,int8": (0.36, 0.7, 0.008), "distil": (0.41, 0.76, 0.011),
    }  # fmt: skip
    found = [FEW[0], FEW[-1]]
    for method, (slow, heavy, loss) in families.items():
        for size in (1_600, 5_500, 27_000, 110_000):
            us = slow * (18 + 20 * np.log10(size / 400)) * dice.normal(1, 0.05)
            right = 0.985 - loss * (110_000 / size) ** 0.42 * dice.normal(1, 0.12)
            bytes_ = int(size * dice.normal(0.99, 0.02))
            kb = f"{size / 1000:g}kB"
            found.append(One(f"{method}:{kb}", us, bytes_, heavy * (2.2 + size / 60_000), float(right)))
    return tuple(found)


def store(
    results: Path, name: str, ones: Sequence[One], *, model: str = "lenet5", launches: int = 5, count: int = COUNT,
    devices: Sequence[Device] = (PHONE,), threads: Sequence[int] = (1,), packed: bool = True,
) -> RunFolder:  # fmt: skip
    """A finished run of these variants on these devices."""
    cases = [{"model": model, "variants": [_variant(one) for one in ones], "threads": list(threads)}]
    plan = Plan.model_validate({"name": name, "cases": cases, "desktop": []})
    draft = RunFolder.create(results, name, datetime(2026, 11, 26))
    dice = np.random.default_rng(5)
    for order, (trial, one, device) in enumerate(_trials(model, ones, launches, devices, threads)):
        failed = one.status == "failed" and trial.pass_ == "latency"
        tagged = one.status == "tagged" and trial.pass_ == "latency"
        measurement = Measurement(
            trial=trial.model_copy(update={"order": order}), started="2026-11-26T12:00:00.000+00:00", wall_s=1.0,
            status="failed" if failed else "tagged" if tagged else "ok",
            reason="out of memory" if failed else "the phone was warm" if tagged else "",
            samples=() if failed else tuple(_samples(trial, one, dice, packed=packed)),
        )  # fmt: skip
        draft.append(measurement, device, _answers(one, count) if trial.pass_ == "accuracy" else None)
    draft.write_record(
        RunRecord(
            id=f"20261126T120000-{name}", name=name, started="2026-11-26T12:00:00+00:00",
            finished="2026-11-26T12:03:20+00:00", bench_version="0.5.0", plan=plan.model_dump(mode="json"),
            reference="torch", versions={}, toolchain={}, devices=tuple(devices),
            samples={model: SamplesRecord(source="synthetic digits", count=count, labelled=True)},
            artifacts=tuple(_artifact(model, one) for one in ones),
        )
    )  # fmt: skip
    draft.consolidate()
    return draft


def _variant(one: One) -> dict[str, object] | str:
    if one.label == "baseline":
        return "baseline"
    return {"method": one.method, "target": one.target, "label": one.label.replace(",", "+")}


def _trials(
    model: str, ones: Sequence[One], launches: int, devices: Sequence[Device], threads: Sequence[int]
) -> Iterator[tuple[Trial, One, Device]]:
    for device in devices:
        for one in ones:
            for count in threads:
                subject = Subject(
                    model=model, variant=one.label.replace(",", "+"), device=device.serial, runtime="ncnn",
                    threads=count,
                )  # fmt: skip
                for pass_, times in (("size", 1), ("accuracy", 1), ("memory", 3), ("latency", launches)):
                    if pass_ != "size" or count == threads[0]:
                        for n in range(times):
                            yield Trial.model_validate({"subject": subject, "pass_": pass_, "launch": n}), one, device


def _samples(trial: Trial, one: One, dice: np.random.Generator, *, packed: bool) -> Iterator[Sample]:
    match trial.pass_:
        case "size":
            yield Sample("deployed", 0, float(one.deployed))
            if packed:
                yield Sample("downloaded", 0, float(round(0.93 * one.deployed)))
        case "memory":
            yield Sample("vm_hwm", 0, float(round(1e6 * one.mb * dice.normal(1, 0.003))))
        case "latency":
            ns = 1e3 * one.us * dice.normal(1, 0.006) / trial.subject.threads**0.5
            yield Sample("load", 0, 3 * ns)
            yield Sample("first_inference", 0, 2 * ns)
            for i in range(60):
                yield Sample("latency", i, float(round(ns * (1 + dice.gamma(2, 0.005)))))


def _answers(one: One, count: int) -> Answers:
    """Samples have a difficulty; a variant is wrong on the hardest, and on a few by chance."""
    labels = np.random.default_rng(7).integers(0, CLASSES, count)
    hard = np.random.default_rng(8).random(count)
    chance = np.random.default_rng(sum(map(ord, one.label))).normal(0, 0.01, count)
    wrong = np.argsort(np.argsort(hard + chance)) >= round(one.right * count)
    answer = np.where(wrong, (labels + 1) % CLASSES, labels).astype(float)
    return {
        "max_abs_delta": np.full(count, 1e-6), "max_abs_reference": np.full(count, 9.0), "answer": answer,
        "agrees": np.ones(count), "label": labels.astype(float),
        "rank": wrong.astype(float),
    }  # fmt: skip


def _artifact(model: str, one: One) -> Artifact:
    ordinary = one.label == "baseline"
    made = None
    if not ordinary and one.epochs is not None:
        made = Made(
            method=one.method, target=one.target, seed=1, epochs=one.epochs, pictures=1_797, labels=one.labels,
            seconds=95.0 + len(one.label),
        )  # fmt: skip
    return Artifact(
        model=model, variant=one.label.replace(",", "+"), runtime="ncnn", ordinary=ordinary,
        files=(ArtifactFile(role="weights", path=Path("/synthetic"), sha256="a" * 64, bytes=one.deployed),),
        deployed=("weights",), inputs=(Tensor(name="in0", shape=(1, 28, 28)),),
        outputs=(Tensor(name="out0", shape=(CLASSES,)),), task="classification", parameters=431_080, macs=2_293_000,
        made=made,
    )  # fmt: skip


if __name__ == "__main__":
    store(Path(sys.argv[1]), "rivals", many())
