"""Make `synthetic-run-5/`, the stored run of schema 5 that the golden tests read.

    python -m tests.golden.make_run

Its figures are SYNTHETIC TEST DATA from a seeded generator: nothing in it was measured. A run is made once for each
schema version and is kept, so that every later bench is tested on reading it; `synthetic-run/` is of schema 1,
`synthetic-run-2/` of schema 2, and so on. This one has every pass, a virtual phone and one that says it is real, so
that clocks, heat, energy and layers are in it; and a network with two capacities, a cascade, and corrupted samples.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.confidence import Calibration, Cascade
from bench.corrupted import CorruptedRecord, DriftRecord
from bench.layered import LayerRecord
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
NAME = "synthetic-run-5"
REFERENCE = "torch"


class Made(NamedTuple):
    """What is made up of a variant: one inference in ms, bytes deployed, peak bytes, the part of right answers, and how
    wide and high a picture may be before memory ends (0: it takes no other)."""

    ms: float
    deployed: int
    peak: float
    right: float
    side: int = 0


class Net(NamedTuple):
    task: Task
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    samples: int
    source: str


CASCADE = "cascade:half:97_"
TEXTS = {"nested:16x:2@0.5": "nested:16x:2@1/2", CASCADE: "cascade:half:97%"}
"""What a plan says where that is not the label."""
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
        "nested:16x:2@0.5": Made(0.11, 868_300, 4.2e6, 0.95),
        "nested:16x:2": Made(0.41, 868_300, 8.1e6, 0.98),
        CASCADE: Made(0.2, 2_590_503, 9.9e6, 0.982),
    },
    "unet": {
        "baseline": Made(812.0, 124_200_512, 512e6, 0.985, 416),
        "fr-auto": Made(197.0, 8_702, 201e6, 0.94, 2_016),
    },
    "unet-small": {"baseline": Made(9.1, 490_300, 21e6, 0.985, 1_184)},
}
SECONDS = 150
MORE = {"beside": 1, "load": 2, "sustained_seconds": SECONDS, "energy_seconds": 60, "largest_side": 4_096,
        "profile_launches": 3, "switch_launches": 3}  # fmt: skip
DRIFT = DriftRecord(
    samples=tuple(range(0, 250, 5)), seed=1,
    sets=(
        CorruptedRecord(sha256="1" * 64), CorruptedRecord(name="blur", text="blur", severities=(1, 3), sha256="2" * 64),
        CorruptedRecord(name="noise", text="noise", severities=(5,), sha256="3" * 64),
    ),
)  # fmt: skip
HARMS = {"": 0.0, "blur": 0.1, "noise": 0.45}
"""The part of right answers that each corruption costs."""
PLAN = {
    "name": NAME,
    "description": "synthetic test data: nothing here was measured",
    "protocol": {"launches": 5, "reference_launches": 1, "memory_launches": 3, "min_seconds": 0.2, **MORE},
    "cases": [
        {
            "model": model,
            "variants": [TEXTS.get(name, name) for name in variants],
            "protocol": {"warmup_iterations": 1, "min_iterations": 3, **MORE},
        }
        if model == "unet"
        else {
            "model": model,
            "variants": [TEXTS.get(name, name) for name in variants],
            "protocol": MORE | {"min_seconds": 0.2, "reference_launches": 1, "drift": ["blur:1", "blur:3", "noise:5"]},
        }
        if model == "lenet5"
        else {"model": model, "variants": [TEXTS.get(name, name) for name in variants]}
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
REAL = Device(
    serial="SYN5R1AL", kind="phone", name="Synthetic phone with clusters", os="Android 15", abis=("arm64-v8a",),
    cpus=tuple(
        Cpu(index=i, name=name, max_khz=khz, min_khz=300_000, cluster=cluster)
        for name, khz, cluster in (("Cortex-A510", 1_800_000, (0, 1)), ("Cortex-X3", 2_900_000, (2, 3)))
        for i in cluster
    ),
    ram_bytes=8_000_000_000, facts={"ro.soc.model": "SYN-2"},
)  # fmt: skip
DEVICES = {device.serial: device for device in (DESKTOP, PHONE, REAL)}
SPEED = {DESKTOP.serial: 1.0, PHONE.serial: 1.06, REAL.serial: 1.7}
FULL_HZ, HOT_HZ = 2.9e9, 1.9e9
"""Clocks of the phone with clusters, cold and when it throttles."""
PLACES = (
    Place(PHONE.serial, "ncnn"),
    Place(REAL.serial, "ncnn"),
    Place("desktop", REFERENCE, reference=True),
    Place("desktop", "ncnn"),
)


def artifacts(model: str, variant: str) -> Iterator[Artifact]:
    net, made, graph = NETS[model], MADE[model][variant], 2_000
    method = variant != "baseline"
    asks, nested = variant.startswith("cascade"), variant.startswith("nested")
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
            weights_format="frq" if ours and notes else "nested" if ours and nested else "runtime",
            execution="resident" if notes else "stock",
            options={"capacity": "1" if "@" in variant else "2"} if ours and nested else {},
            width="capacity 1 of 2" if "@" in variant else None,
            calibration=calibrated(cascade=asks) if model == "lenet5" else None,
            cascade=cascade() if asks else None,
            inputs=(Tensor(name="in0", shape=net.input),), outputs=(Tensor(name="out0", shape=net.output),),
            task=net.task, parameters=net.parameters, macs=10 * net.parameters, notes=notes,
            coefficients=net.parameters // 20 if notes else None,
            verified=(Verified(output="out0", max_abs_delta=3.1e-6, max_abs_reference=17.0, headroom=0.02),) * ours,
        )  # fmt: skip


def calibrated(*, cascade: bool) -> Calibration:
    return Calibration(
        temperatures=(1.4, 1.2) if cascade else (1.3,), samples=800, nll=(0.11, 0.09), ece=(0.031, 0.012)
    )


def cascade() -> Cascade:
    return Cascade(
        small="half", threshold=0.8, temperature=1.4, goal="97%", samples=800, accuracy=(0.93, 0.984, 0.982), asked=0.2
    )


def samples(trial: Trial, dice: np.random.Generator) -> Iterator[Sample]:
    subject, made = trial.subject, MADE[trial.subject.model][trial.subject.variant]
    is_reference = subject.runtime == REFERENCE
    ns = 1e6 * made.ms * (1.9 if is_reference else 1.0) * SPEED[subject.device] * dice.normal(1, 0.01)
    match trial.pass_:
        case "size":
            yield Sample("deployed", 0, float(made.deployed))
        case "memory":
            peak = round(made.peak * (6.0 if is_reference else 1.0) * dice.normal(1, 0.002))
            yield Sample("vm_hwm", 0, float(peak))
            yield Sample("pss", 0, float(round(0.9 * peak)))
            yield Sample("anonymous", 0, float(round(0.8 * peak)))
        case "latency":
            if subject.variant.startswith("fr") and not is_reference:
                yield Sample("decode", 0, float(round(0.4 * ns)))
            yield Sample("load", 0, float(round(1.4 * ns)))
            yield Sample("first_inference", 0, float(round(1.7 * ns)))
            yield from timed("latency", ns * (1.5 if slow(trial) else 1.0), subject.model, dice)
            if subject.device == REAL.serial:
                yield Sample("clock", 0, HOT_HZ if slow(trial) else FULL_HZ)
        case "contended":
            yield from timed("contended", 1.6 * ns, subject.model, dice)
        case "switch":
            yield from switched(made, dice)
        case "energy":
            yield Sample("energy", 0, ns * 1e-9 * 3.2 * dice.normal(1, 0.03))
        case "largest":
            yield Sample("largest_picture", 0, float(made.side**2))
        case "profile":
            total = sum(layer.ns for layer in layered(trial))
            yield Sample("layers", 0, float(total))
            yield Sample("layered", 0, float(round(1.01 * total)))
            yield Sample("plain", 0, float(round((0.8 if subject.model == "unet" else 1.01) * total)))
        case "sustained":
            yield from heated(trial, ns, dice)


def switched(made: Made, dice: np.random.Generator) -> Iterator[Sample]:
    for change in range(4):
        for metric, value in (("switch", 0.9e6 * made.ms), ("switch_first", 1.2e6 * made.ms)):
            yield Sample(metric, change, float(round(value * dice.normal(1, 0.02))))
        yield Sample("paged", change, 600_000.0)
    yield Sample("capacity_bytes", 0, 860_000.0 if made.ms > 0.2 else 260_000.0)


def layered(trial: Trial) -> tuple[LayerRecord, ...]:
    """Five layers; the second takes thrice what its work predicts, and one is deferred where FR is resident."""
    subject = trial.subject
    total = 1e6 * MADE[subject.model][subject.variant].ms * SPEED[subject.device] * (1 + 0.01 * trial.launch)
    fr = subject.variant.startswith("fr")
    kinds = (
        ("Convolution", "conv1", 4_000_000, 0.3), ("Convolution", "conv2", 2_000_000, 0.45),
        ("RankPass" if fr else "ReLU", "", 0, 0.02), ("RankCore" if fr else "Convolution", "conv3", 3_000_000, 0.2),
        ("InnerProduct", "head", 100_000, 0.03),
    )  # fmt: skip
    return tuple(
        LayerRecord(
            "-", type_, module, round(total * share), 4_096 * (not fr or place != 2), macs, macs // 2 + 8_192,
            fr and place == 2, () if fr and place == 2 else (16, 8, 8),
        )
        for place, (type_, module, macs, share) in enumerate(kinds)
    )  # fmt: skip


def slow(trial: Trial) -> bool:
    """The one launch that ran at a lower clock than the rest."""
    subject = trial.subject
    return (subject.device, subject.variant, trial.pass_, trial.launch) == (REAL.serial, "fr-auto:20x", "latency", 3)


def timed(metric: str, ns: float, model: str, dice: np.random.Generator) -> Iterator[Sample]:
    for i in range(3 if model == "unet" else 60):
        yield Sample(metric, i, float(round(ns * (1 + dice.gamma(2, 0.01)))))


def heated(trial: Trial, ns: float, dice: np.random.Generator) -> Iterator[Sample]:
    """Second by second; the phone with clusters becomes warm and lowers its clock. The heavier the network, the sooner,
    so that compressing unet delays it."""
    real = trial.subject.device == REAL.serial
    begins = {"baseline": 45, "fr-auto": 80}.get(trial.subject.variant, 10 * SECONDS)
    for second in range(0, SECONDS, max(1, round(1e-9 * ns))):
        warm = float(np.clip((second - begins) / 30, 0, 1)) if real else 0.0
        hz = FULL_HZ + warm * (HOT_HZ - FULL_HZ)
        yield Sample("sustained", second, float(round(ns * FULL_HZ / hz * dice.normal(1, 0.004))))
        if real:
            yield Sample("sustained_clock", second, float(round(hz, -5)))
        if real and second % 10 == 0:
            yield Sample("sustained_skin", second, round(31 + 11 * (1 - np.exp(-second / 60)), 1))
            yield Sample("sustained_status", second, float(np.ceil(2 * warm)))


def answered(trial: Trial) -> Answers:
    """The same answers wherever a variant ran, but for rounding; variants are wrong on samples of their own."""
    subject = trial.subject
    net, right = NETS[subject.model], MADE[subject.model][subject.variant].right
    if trial.pass_ == "drift":
        shown = DRIFT.sets[trial.launch]
        net = net._replace(samples=len(DRIFT.samples) * len(shown.severities))
        right -= HARMS[shown.name] * (1.3 if subject.variant.startswith("fr") else 1)
    labels: NDArray[Any] = np.random.default_rng(7).integers(0, net.output[0], (net.samples, *net.output[1:]))
    if trial.pass_ == "drift":
        labels = np.tile(labels[: len(DRIFT.samples)], len(DRIFT.sets[trial.launch].severities))
    dice = np.random.default_rng([ord(letter) for letter in f"{subject.model} {subject.variant}"])
    wrong = dice.random(labels.shape) > right
    answer = np.where(wrong, (labels + 1) % net.output[0], labels)
    outputs = dice.normal(0, 0.5, (net.samples, *net.output)).astype(np.float32)
    np.put_along_axis(outputs, answer[:, None], dice.uniform(3, 9, answer[:, None].shape).astype(np.float32), axis=1)
    rounding = 0 if subject.runtime == REFERENCE else 3.3e-6
    ours = [outputs + np.float32(rounding)]
    if subject.variant.startswith("cascade"):
        went = (dice.random((net.samples, 1)) < 0.2).astype(np.float32)
        return answers.all_facts(
            [*ours, went], [outputs, went], labels, net.task, calibrated(cascade=True), cascade=True
        )  # fmt: skip
    calibration = calibrated(cascade=False) if subject.model == "lenet5" else None
    return answers.all_facts(ours, [outputs], labels, net.task, calibration)


def is_asked(trial: Trial) -> bool:
    """A digit has one size; only a phone with a battery has energy to measure, which is absent elsewhere, not zero."""
    if trial.pass_ == "energy":
        return trial.subject.device == REAL.serial
    if trial.pass_ == "switch":
        return trial.subject.variant.startswith("nested")
    if trial.pass_ == "profile":
        return not trial.subject.variant.startswith(("nested", "cascade"))
    return trial.pass_ != "largest" or MADE[trial.subject.model][trial.subject.variant].side > 0


def measurement(trial: Trial, dice: np.random.Generator) -> Measurement:
    status, reason = "ok", ""
    subject = trial.subject
    what = (subject.device, trial.pass_, subject.model, subject.variant)
    if what == (PHONE.serial, "latency", "unet", "baseline") and trial.launch in (1, 3):
        status, reason = "failed", "out_of_memory: 124174344 bytes for the weights of conv_17"
    elif what == (REAL.serial, "energy", "lenet5", "half") and trial.launch == 4:
        status, reason = "failed", "the fuel gauge counted 1 step of 0.5 mAh; 240 s of load would suffice"
    elif (*what, trial.launch) == (PHONE.serial, "latency", "lenet5", "half", 2):
        status, reason = "tagged", "the phone throttles for heat (thermal status 2)"
    elif slow(trial):
        status, reason = "tagged", "it ran at 1.90 GHz, its other launches at 2.90 GHz"
    found = () if status == "failed" else tuple(samples(trial, dice))
    return Measurement(
        trial=trial, status=status, reason=reason, samples=found, conditions=conditions(trial, status),
        started=f"2026-11-26T12:{trial.order // 60 % 60:02}:{trial.order % 60:02}.000+00:00", wall_s=1.0, runner_s=0.9,
    )  # fmt: skip


def conditions(trial: Trial, status: str) -> dict[str, Any]:
    device, found = DEVICES[trial.subject.device], {}
    if trial.pass_ in ("latency", "contended", "sustained"):
        cpus = "0-3" if device is REAL else "0-1"
        found = {"warmup_iterations": 10, "cpus_allowed": cpus, "abi": device.abis[0]}
    if device is not DESKTOP:
        found |= {"battery_percent": 80, "thermal_status": 2 if status == "tagged" and device is PHONE else 0}
    if device is REAL:
        found |= {"skin_celsius": 31.0 + trial.order % 7 / 10, "charging": False}
    return found


def main() -> None:
    plan = Plan.model_validate(PLAN)
    entries = [
        Entry(model, variant, dict.fromkeys(PLACES, ("fp32",)))
        for model, variants in MADE.items()
        for variant in variants
    ]
    dice = np.random.default_rng(2_304_07973)
    draft = RunFolder.create(HERE, NAME, datetime(2026, 11, 26))
    asked = (trial for trial in order.trials(plan, entries) if is_asked(trial))
    for place, one in enumerate(asked):
        trial = one.model_copy(update={"order": place})
        facts = answered(trial) if trial.pass_ in ("accuracy", "drift") else None
        layers = layered(trial) if trial.pass_ == "profile" else ()
        draft.append(measurement(trial, dice), DEVICES[trial.subject.device], facts, layers)
    digits = Preprocess(resize="none", crop=False, channels="grey")
    draft.write_record(
        RunRecord(
            id=f"20261126T120000-{NAME}", name=NAME, started="2026-11-26T12:00:00+00:00",
            finished="2026-11-26T12:03:20+00:00", bench_version="0.3.0", plan=plan.model_dump(mode="json"),
            reference=REFERENCE, versions={"torch": "2.13.0", "numpy": "2.4.6"},
            samples={
                model: SamplesRecord(
                    source=net.source, count=net.samples, labelled=True,
                    preprocess=digits if model == "lenet5" else None, drift=DRIFT if model == "lenet5" else None,
                )
                for model, net in NETS.items()
            },
            toolchain={
                "ncnn, emulator-5554": {"compiler": "zig 0.16", "sha256": "d" * 64, "bytes": 3_500_000}
            },
            devices=tuple(DEVICES.values()), artifacts=tuple(a for m in MADE for v in MADE[m] for a in artifacts(m, v)),
            transferred_bytes={"emulator-5554": 125_900_000, REAL.serial: 0}, wall_s=200.0, runner_s=180.0,
            preparation_s=12.0, commit="5ca1ab1e" * 5,
            command=("bench", "run", "--plan", "a plan.toml", "--device", PHONE.serial, "--device", REAL.serial),
        )
    )  # fmt: skip
    draft.consolidate()
    shutil.rmtree(draft.path / "parts")
    shutil.rmtree(HERE / NAME, ignore_errors=True)
    draft.path.rename(HERE / NAME)


if __name__ == "__main__":
    main()
