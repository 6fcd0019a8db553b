"""A cascade in torch's worker: the same keys as the native runner's, and the same answers."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench.compress.cascade.module import Both
from bench.data import packed
from bench.measure import lines
from bench.measure.job import Files, Job, Mode
from bench.plan import Protocol
from bench.runtimes.torch.member import WORKER

SAMPLES = np.random.default_rng(3).normal(size=(30, 4)).astype(np.float32)
COUNT = 2 * len(SAMPLES)


def launch(folder: Path, made: Both, mode: Mode) -> lines.Reading:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name, network in (("small", made.small), ("robust", made.robust)):
            traced = torch.jit.trace(network.eval(), torch.from_numpy(SAMPLES[:1]))
            traced.save(str(folder / f"{name}.pt"))
    packed.write(folder / "samples", [SAMPLES])
    files = Files(str(folder / "robust.pt"), "-", str(folder / "samples"), str(folder / "answers"))
    options = {
        "small_graph": str(folder / "small.pt"), "threshold": str(made.gate.threshold),
        "temperature": str(made.temperature), "cycle": "samples",
    }  # fmt: skip
    protocol = Protocol(
        warmup_iterations=1, warmup_seconds=0, min_iterations=COUNT, max_iterations=COUNT, min_seconds=0
    )
    job = Job(mode, files, ("in0",), ("out0", "out1"), "runtime", "stock", further=options)
    (folder / "job").write_text(job.text(protocol))
    done = subprocess.run([*WORKER, folder / "job"], capture_output=True, text=True, check=False)
    return lines.read(done.stdout.splitlines(), done.returncode, done.stderr)


def test_it_answers_as_the_module_does_and_tells_which_way_each_inference_went(tmp_path: Path) -> None:
    torch.manual_seed(2)
    made = Both(nn.Linear(4, 3), nn.Linear(4, 3), 0.6, 0.5).eval()
    with torch.no_grad():
        answers, asked = made(torch.from_numpy(SAMPLES))
    assert 0 < asked.sum() < len(SAMPLES)
    reading = launch(tmp_path, made, "accuracy")
    assert reading.answers is not None
    assert reading.answers.counts == (3, 1)
    found = np.fromfile(tmp_path / "answers", "<f4").reshape(-1, 4)
    np.testing.assert_allclose(found[:, :3], answers.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[:, 3], asked.numpy())
    ways = [one.value for one in launch(tmp_path, made, "latency").samples if one.metric == "asked_inference"]
    assert len(ways) == COUNT
    assert sum(ways) == 2 * asked.sum()
