"""Make `synthetic-run-2/`, the stored run of schema 2 that the golden tests read.

    python -m tests.golden.make_run

Its figures are SYNTHETIC TEST DATA from a seeded generator: nothing in it was measured. A run is made once for each
schema version and is kept, so that every later bench is tested on reading it; `synthetic-run/` is of schema 1.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.measure import answers, order
from bench.measure.order import Entry, Place
from bench.plan import Plan
from bench.preprocess import Preprocess
from bench.records import (
    Answers,
    Artifact,
    ArtifactFile,
    Cpu,
    Device,
    Measurement,
    RunRecord,
    Sample,
    SamplesRecord,
    Task,
    Tensor,
    Trial,
    Verified,
)
from bench.results.folder import RunFolder

HERE = Path(__file__).parent
NAME = "synthetic-run-2"
REFERENCE = "torch"


class Made(NamedTuple):
    """What is made up of a variant: one inference in ms, bytes deployed, peak bytes, the part of right answers."""

    ms: float
    deployed: int
    peak: float
    right: float


class Net(NamedTuple):
    task: Task
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    samples: int
    source: str


NETS = {
    "lenet5": Net("classification", (1, 28, 28), (10,), 431_080, 250, "synthetic digits"),
    "unet": Net("segmentation", (3, 16, 24), (2, 16, 24), 31_043_586, 16, "synthetic masks"),
    "unet-small": Net("segmentation", (3, 16, 24), (2, 16, 24), 122_098, 16, "synthetic masks"),
}
MADE = {
    "lenet5": {
        "baseline": Made(0.41, 1_726_103, 8.1e6, 0.984),
        "half": Made(0.42, 864_400, 8.2e6, 0.984),
        "fr-auto:20x": Made(0.46, 86_500, 7.9e6, 0.93),
    },
    "unet": {
        "baseline": Made(812.0, 124_200_512, 512e6, 0.985),
        "fr-auto": Made(197.0, 8_702, 201e6, 0.94),
    },
    "unet-small": {"baseline": Made(9.1, 490_300, 21e6, 0.985)},
}
PLAN = {
    "name": NAME,
    "description": "synthetic test data: nothing here was measured",
    "protocol": {"launches": 5, "reference_launches": 1, "memory_launches": 3, "min_seconds": 0.2},
    "cases": [
        {"model": model, "variants": list(variants), "protocol": {"warmup_iterations": 1, "min_iterations": 3}}
        if model == "unet"
        else {"model": model, "variants": list(variants)}
        for model, variants in MADE.items()
    ],
}
DESKTOP = Device(
    serial="desktop", kind="desktop", name="Synthetic desktop", os="Linux 6.1", abis=("x86_64",),
    cpus=tuple(Cpu(index=i, name="Synthetic core", max_khz=3_000_000, cluster=(0, 1)) for i in range(2)),
    ram_bytes=16_000_000_000, facts={"kernel": "6.1.0"},
)  # fmt: skip
PHONE = Device(
    serial="emulator-5554", kind="phone", name="Synthetic phone", os="Android 14", abis=("x86_64",), virtual=True,
    cpus=tuple(Cpu(index=i, name="Cortex-A55", max_khz=1_800_000, cluster=(0, 1)) for i in range(2)),
    ram_bytes=4_000_000_000, facts={"ro.soc.model": "SYN-1"},
)  # fmt: skip
PLACES = (Place(PHONE.serial, "ncnn"), Place("desktop", REFERENCE, reference=True), Place("desktop", "ncnn"))


def artifacts(model: str, variant: str) -> Iterator[Artifact]:
    net, made, graph = NETS[model], MADE[model][variant], 2_000
    method = variant != "baseline"
    notes = ("26 layers kept in their small space",) if variant.startswith("fr") else ()
    for runtime, files in (
        ("ncnn", (("graph", "a", graph), ("weights", "b", made.deployed - graph))),
        (REFERENCE, (("torchscript", "c", 4 * net.parameters),)),
    ):
        ours = runtime == "ncnn"
        yield Artifact(
            model=model, variant=variant, runtime=runtime, ordinary=not method,
            files=tuple(
                ArtifactFile(role=role, path=Path(f"/synthetic/{model}-{role}"), sha256=digit * 64, bytes=size)
                for role, digit, size in files
            ),
            deployed=tuple(role for role, _, _ in files),
            weights_format="frq" if ours and notes else "runtime", execution="resident" if notes else "stock",
            inputs=(Tensor(name="in0", shape=net.input),), outputs=(Tensor(name="out0", shape=net.output),),
            task=net.task, parameters=net.parameters, macs=10 * net.parameters, notes=notes,
            coefficients=net.parameters // 20 if notes else None,
            verified=(Verified(output="out0", max_abs_delta=3.1e-6, max_abs_reference=17.0, headroom=0.02),) * ours,
        )  # fmt: skip


def samples(trial: Trial, dice: np.random.Generator) -> Iterator[Sample]:
    subject, made = trial.subject, MADE[trial.subject.model][trial.subject.variant]
    is_reference = subject.runtime == REFERENCE
    slower = (1.9 if is_reference else 1.0) * (1.0 if subject.device == "desktop" else 1.06)
    match trial.pass_:
        case "size":
            yield Sample("deployed", 0, float(made.deployed))
        case "memory":
            peak = round(made.peak * (6.0 if is_reference else 1.0) * dice.normal(1, 0.002))
            yield Sample("vm_hwm", 0, float(peak))
            yield Sample("pss", 0, float(round(0.9 * peak)))
            yield Sample("anonymous", 0, float(round(0.8 * peak)))
        case "latency":
            ns = 1e6 * made.ms * slower * dice.normal(1, 0.01)
            if subject.variant.startswith("fr") and not is_reference:
                yield Sample("decode", 0, float(round(0.4 * ns)))
            yield Sample("load", 0, float(round(1.4 * ns)))
            yield Sample("first_inference", 0, float(round(1.7 * ns)))
            for i in range(3 if subject.model == "unet" else 60):
                yield Sample("latency", i, float(round(ns * (1 + dice.gamma(2, 0.01)))))


def answered(trial: Trial) -> Answers:
    """The same answers wherever a variant ran, but for rounding; variants are wrong on samples of their own."""
    subject = trial.subject
    net, right = NETS[subject.model], MADE[subject.model][subject.variant].right
    labels: NDArray[Any] = np.random.default_rng(7).integers(0, net.output[0], (net.samples, *net.output[1:]))
    dice = np.random.default_rng([ord(letter) for letter in f"{subject.model} {subject.variant}"])
    wrong = dice.random(labels.shape) > right
    answer = np.where(wrong, (labels + 1) % net.output[0], labels)
    outputs = dice.normal(0, 0.5, (net.samples, *net.output)).astype(np.float32)
    np.put_along_axis(outputs, answer[:, None], dice.uniform(3, 9, answer[:, None].shape).astype(np.float32), axis=1)
    rounding = 0 if subject.runtime == REFERENCE else 3.3e-6
    return answers.all_facts([outputs + np.float32(rounding)], [outputs], labels, net.task)


def measurement(trial: Trial, dice: np.random.Generator) -> Measurement:
    status, reason = "ok", ""
    subject = trial.subject
    phone_latency = subject.device == PHONE.serial and trial.pass_ == "latency"
    if phone_latency and (subject.model, subject.variant) == ("unet", "baseline") and trial.launch in (1, 3):
        status, reason = "failed", "out_of_memory: 124174344 bytes for the weights of conv_17"
    elif phone_latency and (subject.model, subject.variant, trial.launch) == ("lenet5", "half", 2):
        status, reason = "tagged", "the phone throttles for heat (thermal status 2)"
    found = () if status == "failed" else tuple(samples(trial, dice))
    conditions = {"warmup_iterations": 10, "cpus_allowed": "0-1", "abi": "x86_64"} if trial.pass_ == "latency" else {}
    if subject.device == PHONE.serial:
        conditions |= {"battery_percent": 80, "thermal_status": 0 if status != "tagged" else 2}
    return Measurement(
        trial=trial, status=status, reason=reason, samples=found, conditions=conditions,
        started="2026-11-26T12:00:00.000+00:00", wall_s=1.0, runner_s=0.9,
    )  # fmt: skip


def main() -> None:
    plan = Plan.model_validate(PLAN)
    entries = [
        Entry(model, variant, dict.fromkeys(PLACES, ("fp32",)))
        for model, variants in MADE.items()
        for variant in variants
    ]
    dice = np.random.default_rng(2_304_07973)
    draft = RunFolder.create(HERE, NAME, datetime(2026, 11, 26))
    for trial in order.trials(plan, entries):
        device = DESKTOP if trial.subject.device == "desktop" else PHONE
        draft.append(measurement(trial, dice), device, answered(trial) if trial.pass_ == "accuracy" else None)
    digits = Preprocess(resize="none", crop=False, channels="grey")
    draft.write_record(
        RunRecord(
            id=f"20261126T120000-{NAME}", name=NAME, started="2026-11-26T12:00:00+00:00",
            finished="2026-11-26T12:03:20+00:00", bench_version="0.2.0", plan=plan.model_dump(mode="json"),
            reference=REFERENCE, versions={"torch": "2.13.0", "numpy": "2.4.6"},
            samples={
                model: SamplesRecord(
                    source=net.source, count=net.samples, labelled=True,
                    preprocess=digits if model == "lenet5" else None,
                )
                for model, net in NETS.items()
            },
            toolchain={
                "ncnn, emulator-5554": {"compiler": "zig 0.16", "sha256": "d" * 64, "bytes": 3_500_000}
            },
            devices=(DESKTOP, PHONE), artifacts=tuple(a for m in MADE for v in MADE[m] for a in artifacts(m, v)),
            transferred_bytes={"emulator-5554": 125_900_000}, wall_s=200.0, runner_s=180.0, preparation_s=12.0,
        )
    )  # fmt: skip
    draft.consolidate()
    shutil.rmtree(draft.path / "parts")
    shutil.rmtree(HERE / NAME, ignore_errors=True)
    draft.path.rename(HERE / NAME)


if __name__ == "__main__":
    main()
