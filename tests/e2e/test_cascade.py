"""A cascade from the plan to the report: trained, calibrated, measured on a virtual phone and here, by two runtimes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from bench.compress.cascade.module import Both
from bench.export import onnx_file
from bench.records import Artifact, Tensor
from bench.results.folder import RunFolder
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, Finished, bench, run
from tests.e2e.loaded_kit import LATENCY, launched

pytestmark = pytest.mark.timeout(1200)

SAMPLES, ITERATIONS = 60, 120
PLAN = f"""
name = "cascading"
desktop = ["onnxruntime"]
{QUICK.replace("min_iterations = 3", f"min_iterations = {ITERATIONS}", 1)}
[[cases]]
model = "lenet300"
data = {{ samples = {SAMPLES}, validation = 0.2 }}
variants = [
  {{ name = "baseline", effort = {{ epochs = 2 }} }},
  {{ name = "cascade", target = "dense-small:40x:-1pt", label = "both", effort = {{ epochs = 2 }} }},
]
"""


@pytest.fixture(scope="module")
def finished(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("cascade")
    (folder / "plan.toml").write_text(PLAN)
    asked = ("--device", virtual_phone.serial, "--plan", folder / "plan.toml", "--results", folder / "results")
    return run(*asked, env=env)


def test_it_is_measured_on_the_phone_and_by_a_library_here(finished: Finished, virtual_phone: VirtualPhone) -> None:
    assert set(finished.frame.status) == {"ok"}, set(finished.frame.reason)
    mine = finished.frame[finished.frame.variant == "both"]
    places = {(virtual_phone.serial, "ncnn"), ("desktop", "onnxruntime")}
    assert set(zip(mine.device, mine.runtime, strict=True)) == places
    proved = [a for a in finished.record.artifacts if a.variant == "both"]
    assert {a.runtime for a in proved} == {"ncnn", "onnxruntime"}
    assert all(one.headroom <= 1 for a in proved for one in a.verified)


def test_the_samples_that_asked_are_those_that_the_small_network_was_not_sure_of(
    finished: Finished, virtual_phone: VirtualPhone
) -> None:
    """Of an answer by the small network the confidence at its temperature is at least the threshold."""
    (artifact,) = (a for a in finished.record.artifacts if a.variant == "both" and a.runtime == "ncnn")
    assert artifact.cascade is not None
    facts = RunFolder(finished.folder).answers()[f"accuracy/lenet300/both/{virtual_phone.serial}/ncnn/t1/fp32/0"]
    asked = facts["asked"].astype(bool)
    assert 0 < asked.sum() < SAMPLES
    assert (facts["calibrated"][~asked] >= artifact.cascade.threshold - 1e-6).all()
    (share,) = finished.summaries("asked", variant="both", device=virtual_phone.serial)
    assert share["statistics"]["median"] == pytest.approx(asked.mean())
    ways = finished.frame[
        (finished.frame.variant == "both") & (finished.frame.device == virtual_phone.serial)
        & (finished.frame.metric == "asked_inference") & (finished.frame.launch == 0)
    ]  # fmt: skip
    assert len(ways) == ITERATIONS
    assert ways["value"].mean() == pytest.approx(asked.mean()), "each sample in turn, twice"


def test_the_temperatures_are_of_the_validation_part_and_ship_with_the_files(finished: Finished) -> None:
    by_variant: dict[str, Artifact] = {a.variant: a for a in finished.record.artifacts if a.runtime == "ncnn"}
    alone, both = by_variant["baseline"].calibration, by_variant["both"].calibration
    assert alone is not None
    assert both is not None
    assert len(alone.temperatures) == 1
    assert len(both.temperatures) == 2
    assert both.temperatures[1] == pytest.approx(alone.temperatures[0]), "the ordinary network is the same one"
    assert alone.samples == both.samples == 800, "a fifth of the digits to train on"


def test_the_report_has_both_sections_on_the_page_the_terminal_and_in_files(
    finished: Finished, env: dict[str, str]
) -> None:
    said = " ".join(bench("report", finished.folder, env=env).stdout.split())
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    text = (finished.folder / "report.md").read_text(encoding="utf-8")
    for name, title in (("cascade", "Cascades"), ("confidence", "Confidence")):
        assert f'id="{name}"' in page
        assert f"## {title}" in text
    assert "and lenet300 itself is asked where the confidence of that is below " in text
    assert "On 800 validation samples: " in text
    assert "virtual" in text.split("## Cascades")[1].split("\n## ")[0]
    assert "both" in said
    summary = pd.read_csv(finished.folder / "summary.csv", skiprows=1)
    assert Counter(summary[summary.metric == "asked"]["variant"]) == {"both": 2}
    assert set(summary[summary.metric == "calibrated_ece"]["variant"]) == {"baseline", "both"}


def test_a_library_with_threads_of_its_own_runs_both_networks(tmp_path: Path) -> None:
    """Each has its own, which together are no more than two networks' threads."""
    torch.manual_seed(2)
    made = Both(nn.Linear(4, 3), nn.Linear(4, 3), 0.6, 0.5).eval()
    samples = np.random.default_rng(3).normal(size=(30, 4)).astype(np.float32)
    for name, network in (("small", made.small), ("robust", made.robust)):
        onnx_file.export(
            network, (Tensor(name="in0", shape=(4,)),), (samples,), 1, tmp_path / f"{name}.onnx", half=False
        )
    changes = {
        "small_graph": tmp_path / "small.onnx", "small_weights": "-", "outputs": "out0,asked", "threshold": "0.6",
        "temperature": "0.5", "cycle": "samples", "threads": 2,
    }  # fmt: skip
    done = launched("onnxruntime", tmp_path / "robust.onnx", (samples,), tmp_path, **changes)
    assert done.status == 0, done.events
    with torch.no_grad():
        answers, asked = made(torch.from_numpy(samples))
    assert 0 < asked.sum() < len(samples)
    np.testing.assert_allclose(done.values(30)[:, :3], answers.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(done.values(30)[:, 3], asked.numpy())
    timed = launched(
        "onnxruntime",
        tmp_path / "robust.onnx",
        (samples,),
        tmp_path,
        **changes | LATENCY,
        mode="latency",
        beside=0,
        load=1,
        answers=None,
    )
    assert timed.status == 0, timed.events
    assert {event["asked"] for event in timed.events if event["event"] == "iteration"} <= {0, 1}
