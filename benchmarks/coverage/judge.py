"""The verdict on one network: whether its export is accepted, and whether that is right."""

from __future__ import annotations

import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bench.cache import sha256_file
from bench.data import packed
from bench.errors import BenchError, ExportRefused
from bench.export import eager, ncnn, proof
from bench.measure import trial
from bench.measure.station import Station
from bench.networks.settle import settle
from bench.records import Artifact, ArtifactFile, Tensor, Verified
from benchmarks.coverage.cases import Case

SAMPLES = 2

Outcome = Literal["correct", "refused", "wrong", "traceback"]
"""`wrong`: accepted, and either no graph can compute it or it fails on samples that the proof has not seen."""


@dataclass(frozen=True)
class Verdict:
    """`error` is the largest difference of an output as a share of its largest value, over samples that the proof has
    not seen; None where the export is not accepted. `words` say why not."""

    name: str
    outcome: Outcome
    error: float | None
    seconds: float
    words: str


class _AcceptedAndWrong(Exception):
    """The proof has missed something."""


def judge(case: Case, station: Station) -> Verdict:
    """Export a network, run it by the native runner here, and compare it with the eager one."""
    begun = time.monotonic()
    try:
        verified = _exported(case, station)
    except _AcceptedAndWrong as error:
        return Verdict(case.name, "wrong", None, time.monotonic() - begun, str(error))
    except BenchError as error:
        return Verdict(case.name, "refused", None, time.monotonic() - begun, str(error))
    except Exception:  # what must never happen is counted
        return Verdict(case.name, "traceback", None, time.monotonic() - begun, traceback.format_exc())
    largest = max(one.max_abs_delta / max(one.max_abs_reference, 1e-30) for one in verified)
    outcome: Outcome = "correct" if case.static else "wrong"
    return Verdict(case.name, outcome, largest, time.monotonic() - begun, "")


def _exported(case: Case, station: Station) -> tuple[Verified, ...]:
    torch.manual_seed(0)
    network = case.build().eval()
    inputs = [
        Tensor(name=f"in{number}", shape=shape, dtype="int32" if case.whole else "float32")
        for number, shape in enumerate(case.shapes)
    ]
    given, fresh = _samples(inputs, 1), _samples(inputs, 2)
    if not case.whole:
        settle(network, *(torch.from_numpy(each) for each in _samples(inputs, 3)))
    expected = eager.answers(network, given)
    with tempfile.TemporaryDirectory(prefix="coverage-") as name:
        folder = Path(name)
        ncnn.export(network, inputs, given, expected, folder)
        artifact = Artifact(
            model=case.name, variant="baseline", runtime="ncnn", ordinary=True, deployed=("graph", "weights"),
            files=(_file(folder / "graph.param", "graph"), _file(folder / "weights.bin", "weights")),
            inputs=tuple(inputs), outputs=expected.outputs, task="other",
        )  # fmt: skip
        proof.compare(expected, _run(station, artifact, given, folder), "ncnn")
        try:
            return proof.compare(eager.answers(network, fresh), _run(station, artifact, fresh, folder), "ncnn")
        except ExportRefused as error:
            raise _AcceptedAndWrong(error.what) from error


def _samples(inputs: list[Tensor], seed: int) -> list[NDArray[Any]]:
    generator = np.random.default_rng(seed)
    return [
        generator.standard_normal((SAMPLES, *tensor.shape)).astype(np.float32)
        if tensor.dtype == "float32"
        else generator.integers(0, 10, (SAMPLES, *tensor.shape)).astype(np.int32)
        for tensor in inputs
    ]


def _run(station: Station, artifact: Artifact, samples: list[NDArray[Any]], folder: Path) -> tuple[Any, ...]:
    packed.write(folder / "samples.bin", samples)
    return trial.answered(station, artifact, _file(folder / "samples.bin", "samples"), SAMPLES)


def _file(path: Path, role: str) -> ArtifactFile:
    return ArtifactFile(role=role, path=path, sha256=sha256_file(path), bytes=path.stat().st_size)
