"""How long `bench report` takes over many runs: 100 runs with 10,000 samples each.

    python -m benchmarks.report [RUNS [SAMPLES]]

The runs are SYNTHETIC: figures from a seeded generator, written to a temporary folder in the format of a real run.
Printed are the seconds of the command, those of the processor (which other work beside does not add to), the size of
its page, and the same for one of the runs alone.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bench.plan import Plan
from bench.records import (
    SCHEMA_VERSION,
    Artifact,
    ArtifactFile,
    Device,
    Measurement,
    RunRecord,
    Sample,
    SamplesRecord,
    Subject,
    Tensor,
    Trial,
)
from bench.results.folder import RunFolder

LAUNCHES = 5
VARIANTS = {"baseline": (412_000.0, 1_726_103, 0.98), "fr-auto": (190_000.0, 86_500, 0.95)}
"""By variant, one inference in ns, bytes deployed, and the part of right answers."""
PICTURES = 250


def make(results: Path, count: int, samples: int) -> list[str]:
    """So many synthetic runs of a LeNet-5, a night each on one of four phones; returns their names."""
    dice = np.random.default_rng(20_261_126)
    names = []
    for number in range(count):
        serial = f"SYNTHETIC{number % 4}"
        phone = Device(serial=serial, kind="phone", name="Synthetic phone", os="Android 15", abis=("arm64-v8a",))
        started = datetime(2026, 8, 1, tzinfo=UTC) + timedelta(days=number)
        folder = RunFolder.create(results, "synthetic", started)
        for order, (trial, found, answers) in enumerate(_trials(serial, samples, dice)):
            measured = Measurement(
                trial=trial.model_copy(update={"order": order}), status="ok", samples=found, wall_s=1.0,
                started=started.isoformat(),
            )  # fmt: skip
            folder.append(measured, phone, answers)
        folder.write_record(_record(number, started, phone))
        folder.consolidate()
        names.append(folder.path.name)
    return names


def _trials(serial: str, samples: int, dice: np.random.Generator):  # type: ignore[no-untyped-def]
    each = samples // (LAUNCHES * len(VARIANTS))
    for variant, (ns, deployed, right) in VARIANTS.items():
        subject = Subject(model="lenet5", variant=variant, device=serial, runtime="ncnn")
        yield Trial(subject=subject, pass_="size"), (Sample("deployed", 0, float(deployed)),), None
        rank = (dice.random(PICTURES) > right).astype(float)
        label = np.arange(PICTURES) % 10
        facts = {
            "max_abs_delta": np.full(PICTURES, 1e-6), "max_abs_reference": np.full(PICTURES, 9.0),
            "answer": (label + rank) % 10, "confidence": dice.uniform(0.8, 1, PICTURES), "agrees": np.ones(PICTURES),
            "label": label.astype(float), "rank": rank,
        }  # fmt: skip
        yield Trial(subject=subject, pass_="accuracy"), (), facts
        for launch in range(3):
            peak = tuple(Sample(m, 0, round(8e6 * dice.normal(1, 0.002))) for m in ("vm_hwm", "pss", "anonymous"))
            yield Trial(subject=subject, pass_="memory", launch=launch), peak, None
        for launch in range(LAUNCHES):
            median = ns * dice.normal(1, 0.01)
            times = np.round(median * (1 + dice.gamma(2, 0.01, each)))
            once = (Sample("load", 0, 1.4 * median), Sample("first_inference", 0, 1.7 * median))
            timed = tuple(Sample("latency", i, float(value)) for i, value in enumerate(times))
            yield Trial(subject=subject, pass_="latency", launch=launch), (*once, *timed), None


def _record(number: int, started: datetime, phone: Device) -> RunRecord:
    plan = Plan.model_validate({"name": "synthetic", "cases": [{"model": "lenet5", "variants": list(VARIANTS)}]})
    return RunRecord(
        id=f"synthetic-{number}", name="synthetic", started=started.isoformat(), finished=started.isoformat(),
        bench_version=f"schema {SCHEMA_VERSION}", plan=plan.model_dump(mode="json"), reference="torch", versions={},
        samples={"lenet5": SamplesRecord(source="synthetic digits", count=PICTURES, labelled=True)}, toolchain={},
        devices=(phone,),
        artifacts=tuple(
            Artifact(
                model="lenet5", variant=variant, runtime="ncnn", ordinary=variant == "baseline", task="classification",
                files=(ArtifactFile(role="weights", path=Path("synthetic"), sha256="a" * 64, bytes=deployed),),
                deployed=("weights",), inputs=(Tensor(name="in0", shape=(1, 28, 28)),),
                outputs=(Tensor(name="out0", shape=(10,)),),
            )
            for variant, (_, deployed, _) in VARIANTS.items()
        ),
    )  # fmt: skip


def timed(results: Path, names: list[str], page: Path) -> None:
    begun, before = time.monotonic(), _processor_s()
    command = [sys.executable, "-m", "bench.cli", "report", *names, "--results", str(results), "--quiet"]
    subprocess.run([*command, *(["--out", str(page)] if len(names) > 1 else [])], check=True, stdout=subprocess.DEVNULL)
    seconds, busy = time.monotonic() - begun, _processor_s() - before
    size = (page if len(names) > 1 else results / names[0] / "report.html").stat().st_size
    print(
        f"bench report of {len(names)} synthetic runs: {seconds:.1f} s ({busy:.1f} s of processor), "
        f"a page of {size / 1e6:.2f} MB"
    )


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    count, samples = (int(text) for text in (sys.argv[1:] + ["100", "10000"][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        begun = time.monotonic()
        names = make(results, count, samples)
        print(f"{count} synthetic runs of {samples:,} samples made in {time.monotonic() - begun:.1f} s")
        timed(results, names, Path(folder) / "page.html")
        timed(results, names[:1], Path(folder) / "page.html")


if __name__ == "__main__":
    main()
