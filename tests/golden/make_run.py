"""Make `synthetic-run/`, the stored run that the golden tests read.

    python tests/golden/make_run.py

Its figures are SYNTHETIC TEST DATA from a seeded generator: nothing in it was measured. It was made once for each
schema version and is kept, so that every later bench is tested on reading it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from bench.store import RunFolder

from bench.measure import order
from bench.plan import Plan
from bench.records import Artifact, ArtifactFile, Cpu, Device, Measurement, RunRecord, Sample, Trial

HERE = Path(__file__).parent
NAME = "synthetic-run"
PLAN = {
    "name": NAME,
    "description": "synthetic test data: nothing here was measured",
    "protocol": {"launches": 5, "reference_launches": 1, "memory_launches": 3, "min_seconds": 0.2},
    "cases": [
        {"model": "lenet5"},
        {"model": "unet", "input_size": [160, 240], "protocol": {"warmup_iterations": 1, "min_iterations": 3}},
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
MS = {  # one inference in milliseconds: baseline, dense, factored
    "lenet5": {"baseline": 0.41, "fr-dense": 0.415, "fr-factored": 0.46},
    "unet": {"baseline": 812.0, "fr-dense": 905.0, "fr-factored": 197.0},
}
BYTES = {
    "lenet5": {"baseline": 1_726_103, "fr-dense": 16_702, "fr-factored": 17_344},
    "unet": {"baseline": 124_200_512, "fr-dense": 4_310, "fr-factored": 8_702},
}
RSS = {
    "lenet5": {"baseline": 8.1e6, "fr-dense": 8.2e6, "fr-factored": 7.9e6},
    "unet": {"baseline": 512e6, "fr-dense": 520e6, "fr-factored": 201e6},
}
ACCURACY = {"baseline": 0.984, "fr-dense": 0.972, "fr-factored": 0.972}


def artifact(model: str, variant: str) -> Artifact:
    total, graph = BYTES[model][variant], 2_000
    files = tuple(
        ArtifactFile(role=role, path=Path(f"/synthetic/{model}-{variant}.{role}"), sha256=digit * 64, bytes=size)
        for role, digit, size in (("graph", "a", graph), ("weights", "b", total - graph), ("torchscript", "c", 9_000))
    )
    lenet = model == "lenet5"
    fr = variant != "baseline"
    return Artifact(
        model=model, variant=variant, files=files, weights_format="frq" if fr else "ncnn",
        execution="stock" if not fr else "dense" if variant == "fr-dense" else "factored",
        input_shape=(1, 28, 28) if lenet else (3, 160, 240), output_shape=(10,) if lenet else (2, 160, 240),
        task="classification" if lenet else "segmentation", parameters=431_080 if lenet else 31_043_586,
        coefficients=(7_668 if lenet else 759) if fr else None, trained=lenet,
        notes=() if lenet else ("untrained: speed and fidelity only",),
        verified_max_abs_delta=3.1e-6, verified_max_abs_reference=17.0, tolerance=1e-3,
    )  # fmt: skip


def samples(trial: Trial, dice: np.random.Generator) -> Iterator[Sample]:
    slower = {"torch": 1.9, "native": 1.0}[trial.runtime] * (1.0 if trial.device == "desktop" else 1.06)
    match trial.pass_:
        case "size":
            yield Sample("deployed", 0, float(BYTES[trial.model][trial.variant]))
        case "accuracy":
            exact = trial.runtime == "torch"
            yield Sample("agreement", 0, 1.0)
            yield Sample("max_abs_delta", 0, 0.0 if exact else 3.3e-6)
            yield Sample("max_abs_reference", 0, 17.0)
            if trial.model == "lenet5":
                yield Sample("accuracy", 0, ACCURACY[trial.variant])
        case "memory":
            peak = RSS[trial.model][trial.variant] * (6.0 if trial.runtime == "torch" else 1.0)
            peak = round(peak * dice.normal(1, 0.002))
            yield Sample("vm_hwm", 0, float(peak))
            yield Sample("pss", 0, float(round(0.9 * peak)))
            yield Sample("anonymous", 0, float(round(0.8 * peak)))
        case "latency":
            ns = 1e6 * MS[trial.model][trial.variant] * slower * dice.normal(1, 0.01)
            if trial.variant != "baseline" and trial.runtime == "native":
                yield Sample("decode", 0, float(round(0.4 * ns)))
            yield Sample("load", 0, float(round(1.4 * ns)))
            yield Sample("first_inference", 0, float(round(1.7 * ns)))
            for i in range(60 if trial.model == "lenet5" else 3):
                yield Sample("latency", i, float(round(ns * (1 + dice.gamma(2, 0.01)))))


def measurement(trial: Trial, dice: np.random.Generator) -> Measurement:
    status, reason = "ok", ""
    phone_latency = trial.device == PHONE.serial and trial.pass_ == "latency"
    if phone_latency and (trial.model, trial.variant) == ("unet", "fr-dense") and trial.launch in (1, 3):
        status, reason = "failed", "out_of_memory: 124174344 bytes for the weights of conv_17"
    elif phone_latency and (trial.model, trial.variant, trial.launch) == ("lenet5", "fr-dense", 2):
        status, reason = "tagged", "the phone throttles for heat (thermal status 2)"
    found = () if status == "failed" else tuple(samples(trial, dice))
    conditions = {"warmup_iterations": 10, "cpus_allowed": "0-1", "abi": "x86_64"} if trial.pass_ == "latency" else {}
    if trial.device == PHONE.serial:
        conditions |= {"battery_percent": 80, "thermal_status": 0 if status != "tagged" else 2}
    return Measurement(
        trial=trial, status=status, reason=reason, samples=found, conditions=conditions,
        started="2026-11-21T12:00:00.000+00:00", wall_s=1.0, runner_s=0.9,
    )  # fmt: skip


def main() -> None:
    plan = Plan.model_validate(PLAN)
    places = [order.Place(PHONE.serial, "native"), order.Place("desktop", "torch"), order.Place("desktop", "native")]
    dice = np.random.default_rng(2_304_07973)
    draft = RunFolder.create(HERE, NAME, datetime(2026, 11, 21))
    for trial in order.trials(plan, places):
        draft.append(measurement(trial, dice), DESKTOP if trial.device == "desktop" else PHONE)
    draft.write_record(
        RunRecord(
            id=f"20261121T120000-{NAME}", name=NAME, started="2026-11-21T12:00:00+00:00",
            finished="2026-11-21T12:03:20+00:00", bench_version="0.1.0", plan=plan.model_dump(mode="json"),
            versions={"torch": "2.13.0", "numpy": "2.4.6"},
            samples={"lenet5": "synthetic test data", "unet": "synthetic test data"},
            toolchain={
                "x86_64": {"compiler": "zig 0.16", "ncnn": "1.0.20261020", "sha256": "d" * 64, "bytes": 3_500_000}
            },
            devices=(DESKTOP, PHONE), artifacts=tuple(artifact(m, v) for m in MS for v in MS[m]),
            transferred_bytes={"emulator-5554": 125_900_000}, wall_s=200.0, runner_s=180.0, preparation_s=12.0,
        )
    )  # fmt: skip
    draft.consolidate()
    shutil.rmtree(draft.path / "parts")
    shutil.rmtree(HERE / NAME, ignore_errors=True)
    draft.path.rename(HERE / NAME)


if __name__ == "__main__":
    main()
