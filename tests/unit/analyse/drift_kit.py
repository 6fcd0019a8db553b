"""Runs with planted answers to corrupted samples, put together launch by launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analyse.drift import drift
from bench.corrupted import CorruptedRecord, DriftRecord
from bench.drifted import Drift
from bench.plan import Case, Plan, Protocol, Variant
from bench.records import Answers, Artifact, Device, RunRecord, SamplesRecord, Subject, Tensor, Trial

N = 200
SETS = (
    CorruptedRecord(),
    CorruptedRecord(name="noise", text="Gaussian noise", severities=(1, 3, 5)),
    CorruptedRecord(name="blur", text="blur", severities=(1, 3, 5)),
)
Right = NDArray[np.bool_]


def artifact(variant: str, *, trained: bool = True) -> Artifact:
    one = Tensor(name="in0", shape=(1, 16, 16))
    return Artifact(
        model="m", variant=variant, runtime="ncnn", ordinary=variant == "baseline", files=(), deployed=(),
        inputs=(one,), outputs=(one,), task="classification", trained=trained,
    )  # fmt: skip


def run_of(*variants: str, trained: bool = True, sets: Sequence[CorruptedRecord] = SETS) -> RunRecord:
    case = Case(model="m", variants=tuple(Variant(name=name) for name in variants))
    plan = Plan(name="a", cases=(case,), protocol=Protocol(drift=("noise", "blur")))
    phone = Device(serial="p1", kind="phone", name="P", os="Android", abis=("arm64-v8a",), virtual=True)
    here = Device(serial="desktop", kind="desktop", name="D", os="Linux", abis=("x86_64-linux-gnu",))
    record = DriftRecord(samples=tuple(range(N)), seed=1, sets=tuple(sets))
    return RunRecord(
        id="r", name="a", started="2026-11-26T10:00:00+00:00", bench_version="0", plan=plan.model_dump(mode="json"),
        reference="torch", versions={}, toolchain={}, devices=(here, phone),
        artifacts=tuple(artifact(name, trained=trained) for name in variants),
        samples={"m": SamplesRecord(source="made up", count=1000, labelled=True, drift=record)},
    )  # fmt: skip


def facts(right: Right, *, labels: bool = True) -> Answers:
    """Answers that are the label, 3, where they are right, and 4 where not."""
    known = {"answer": np.where(right, 3.0, 4.0), "confidence": np.full(len(right), 0.9), "agrees": np.ones(len(right))}
    if labels:
        known |= {"label": np.full(len(right), 3.0), "rank": np.where(right, 0.0, 1.0)}
    return known


class Shown:
    """The trials and answers of a run that is put together launch by launch."""

    def __init__(self, run: RunRecord) -> None:
        self.run = run
        self.rows: list[dict[str, object]] = []
        self.answers: dict[str, Answers] = {}

    def add(
        self, variant: str, rates: Mapping[str, Sequence[float]], *, device: str = "p1", seed: int = 1,
        labels: bool = True, failed: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """A variant that is right in so many cases of each set; the easiest samples are the same for all variants."""
        subject = Subject(model="m", variant=variant, device=device, runtime="ncnn")
        ease = np.random.default_rng(seed).random(N)
        assert self.run.samples["m"].drift
        for launch, one in enumerate(self.run.samples["m"].drift.sets):
            trial = Trial(subject=subject, pass_="drift", launch=launch)
            name = one.name or "clean"
            bad = name in failed
            self.rows.append(
                subject.model_dump()
                | {
                    "trial": trial.id, "pass": "drift", "launch": launch, "order": len(self.rows),
                    "virtual": device == "p1", "translated": False, "status": "failed" if bad else "ok",
                    "reason": "killed" if bad else "",
                    "metric": "", "index": 0, "value": float("nan"),
                }
            )  # fmt: skip
            if not bad:
                right = np.concatenate([ease < rate for rate in rates[name]])
                self.answers[trial.id] = facts(right, labels=labels)

    @property
    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    def found(self) -> dict[str, Drift]:
        return {f"{one.subject.variant}@{one.subject.device}": one for one in drift(self.frame, self.run, self.answers)}


GOOD = {"clean": [0.95], "noise": [0.9, 0.8, 0.7], "blur": [0.94, 0.93, 0.92]}
FRAGILE = {"clean": [0.94], "noise": [0.8, 0.6, 0.4], "blur": [0.93, 0.92, 0.91]}
