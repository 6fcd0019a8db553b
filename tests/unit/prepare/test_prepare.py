"""Prepare, whole: a user's small network, real samples, real pnnx, the real native runner of this host."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import plan, prepare
from bench.cache import Cache
from bench.campaign import asked
from bench.campaign.changes import Changes, changed
from bench.data import packed
from bench.errors import ExportRefused
from bench.prepare import Prepared
from bench.prepare.case import RunHere
from bench.prepare.variant import UNTRAINED
from bench.records import Artifact, ArtifactFile
from tests.preparing import prepared, stage, this_host

ROOT = Path(__file__).parents[3]
NET = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 6 * 6, 32), nn.ReLU(),
        nn.Linear(32, 4),
    )
"""


@pytest.fixture(scope="module")
def run_here() -> Iterator[RunHere]:
    with this_host() as run:
        yield run


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.py"
    path.write_text(NET)
    return path


def flags(net: Path, *variants: str, **changes: Any) -> Changes:
    return Changes([f"{net}:build"], variants, input=["1x12x12"], samples=6, label="mine", **changes)


@pytest.fixture(scope="module")
def small(net: Path, cache: Cache, run_here: RunHere) -> Prepared:
    return prepared(flags(net, "baseline", "half", "fr-dense:20x", "fr-factored:20x"), cache, run_here)


def test_every_variant_is_there_for_every_runtime_and_proven(small: Prepared) -> None:
    made = {(a.variant, a.runtime) for a in small.artifacts}
    assert made == {(v, r) for v in ("baseline", "half", "fr-dense:20x", "fr-factored:20x") for r in ("torch", "ncnn")}
    for a in small.artifacts:
        assert (a.model, a.task, a.ordinary) == ("mine", "classification", a.variant == "baseline")
        assert [t.shape for t in (*a.inputs, *a.outputs)] == [(1, 12, 12), (4,)]
        assert a.parameters == 8 * 9 + 8 + 8 * 36 * 32 + 32 + 32 * 4 + 4
        if a.runtime == "ncnn":
            (verified,) = a.verified
            assert verified.headroom <= 0.1
        for file in a.files:
            assert file.bytes == file.path.stat().st_size
            assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    for expected in small.expected.values():
        (outputs,) = expected.outputs
        assert outputs.shape == (6, 4)
        # Samples are told apart: an answer made of biases alone would agree with anything.
        assert outputs.std(axis=0).max() > 1e-2 * np.abs(outputs).max()


def test_a_network_that_nobody_trained_says_so_in_every_variant(small: Prepared) -> None:
    assert not any(a.trained for a in small.artifacts)
    assert all(UNTRAINED in a.notes for a in small.artifacts)
    assert any("random" in note for note in small.notes)


def test_forms_of_one_package_share_weights_and_answers(small: Prepared) -> None:
    dense, factored = (small.artifact(f"fr-{form}:20x", "ncnn") for form in ("dense", "factored"))
    assert dense.weights_format == factored.weights_format == "frq"
    assert (dense.execution, factored.execution) == ("dense", "factored")
    assert dense.coefficients == factored.coefficients
    assert dense.file("weights").sha256 == factored.file("weights").sha256
    a, b = (small.expected[f"fr-{form}:20x"].outputs[0] for form in ("dense", "factored"))
    assert np.abs(a - b).max() <= 1e-4 * np.abs(a).max()


def test_compressed_variants_are_smaller_and_are_another_network(small: Prepared) -> None:
    ordinary, half, fr = (small.artifact(v, "ncnn") for v in ("baseline", "half", "fr-dense:20x"))
    assert (ordinary.weights_format, ordinary.execution) == ("runtime", "stock")
    assert ordinary.deployed_bytes > 1.8 * half.deployed_bytes > 3 * fr.deployed_bytes
    (base,), (rounded,) = (small.expected[v].outputs for v in ("baseline", "half"))
    assert 0 < np.abs(base - rounded).max() < 1e-2 * np.abs(base).max()


def test_samples_are_packed_once_for_all_variants(small: Prepared) -> None:
    (inputs,) = packed.read(small.samples.path)
    assert inputs.shape == (6, 1, 12, 12)
    assert small.samples_record.count == 6
    assert not small.samples_record.labelled
    files = small.files(["ncnn"])
    assert files[0] == small.samples
    assert {f.role for f in files} == {"samples", "graph", "weights"}


def test_a_second_time_costs_neither_torch_nor_a_runner(cache: Cache, run_here: RunHere) -> None:
    """Of a network that comes with bench: a user's own Python may import whatever it likes."""
    changes = Changes(["unet-small"], ["baseline", "fr-auto:20x"], input_size=(32, 48), samples=2)
    first = prepared(changes, cache, run_here)
    program = """
import json, sys
from pathlib import Path
from bench import plan, prepare
from bench.cache import Cache
from bench.campaign import asked
from bench.campaign.changes import Changes, changed
changes = Changes(["unet-small"], ["baseline", "fr-auto:20x"], input_size=(32, 48), samples=2)
wanted = asked.checked(changed(plan.suite("quick"), changes))
(case,) = wanted.plan.cases
found = prepare.case(
    case, wanted.networks[case.label], wanted.runtimes_of(case), Cache(Path(sys.argv[1])), None, None
)
heavy = [name for name in ("torch", "sklearn", "mlxtend") if name in sys.modules]
print(json.dumps([heavy, [a.model_dump(mode="json") for a in found.artifacts]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(cache.root)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    heavy, artifacts = json.loads(done.stdout)
    assert heavy == []
    assert artifacts == [a.model_dump(mode="json") for a in first.artifacts]


def test_what_a_phone_gets_is_the_same_from_an_empty_cache(
    small: Prepared, net: Path, run_here: RunHere, tmp_path: Path
) -> None:
    again = prepared(flags(net, "fr-factored:20x"), Cache(tmp_path), run_here)
    first = small.artifact("fr-factored:20x", "ncnn")
    for role in ("graph", "weights"):
        assert again.artifact("fr-factored:20x", "ncnn").file(role).sha256 == first.file(role).sha256


def test_a_runner_that_computes_something_else_is_noticed(net: Path, run_here: RunHere, tmp_path: Path) -> None:
    """One wrong output of all is enough, and nothing of the refused artifact stays in the cache."""

    def wrong(artifact: Artifact, samples: ArtifactFile, count: int) -> tuple[Any, ...]:
        (outputs,) = (one.copy() for one in run_here(artifact, samples, count))
        outputs[3, 2] += 0.01 * np.abs(outputs).max()
        return (outputs,)

    with pytest.raises(ExportRefused):
        prepared(flags(net, "baseline"), Cache(tmp_path), wrong)
    kept = [json.loads(p.read_text()) for p in (tmp_path / "artifacts").glob("*/artifact.json")]
    assert {artifact["runtime"] for artifact in kept} <= {"torch"}


def test_weights_of_a_users_own_are_what_is_measured(
    small: Prepared, net: Path, cache: Cache, run_here: RunHere, tmp_path: Path
) -> None:
    network = asked.checked(changed(plan.suite("quick"), flags(net, "baseline"))).networks["mine"]
    module = network.build(seed=5)
    torch.save({"state_dict": module.state_dict()}, tmp_path / "state.pt")
    found = prepared(flags(net, "baseline", "fr:20x", weights=tmp_path / "state.pt"), cache, run_here)
    assert all(a.trained for a in found.artifacts)
    (inputs,) = packed.read(found.samples.path)
    with torch.no_grad():
        answers = module(torch.from_numpy(inputs.astype(np.float32))).numpy()
    assert np.allclose(found.expected["baseline"].outputs[0], answers, atol=1e-5)
    files = [p.artifact("baseline", "ncnn").file("weights").sha256 for p in (found, small)]
    assert files[0] != files[1]


def test_a_package_that_a_variant_names_is_what_is_measured(
    net: Path, cache: Cache, run_here: RunHere, small: Prepared, tmp_path: Path
) -> None:
    base = changed(plan.suite("quick"), flags(net, "fr:50x"))
    job = prepared(flags(net, "fr:50x"), cache, run_here).artifact("fr:50x", "ncnn")
    package = tmp_path / "mine.frq"
    package.write_bytes(job.file("weights").path.read_bytes())
    own = plan.Variant(method="fr", weights=package, label="own")
    case = base.cases[0].model_copy(update={"variants": (own,)})
    wanted = asked.checked(base.model_copy(update={"cases": (case,)}))
    found = prepare.case(
        wanted.plan.cases[0], wanted.networks["mine"], wanted.runtimes_of(wanted.plan.cases[0]), cache, run_here, stage
    )
    assert found.artifact("own", "ncnn").coefficients == job.coefficients
    assert found.artifact("own", "ncnn").coefficients != small.artifact("fr-dense:20x", "ncnn").coefficients
    assert found.artifact("own", "ncnn").trained


def test_a_network_that_answers_every_sample_alike_says_so(
    small: Prepared, cache: Cache, run_here: RunHere, tmp_path: Path
) -> None:
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        "import torch\n\n\nclass Deaf(torch.nn.Linear):\n    def forward(self, x):\n"
        "        return super().forward(1e-9 * x.flatten(1))\n\n\ndef build():\n    return Deaf(144, 10)\n"
    )
    found = prepared(flags(deaf, "baseline"), cache, run_here)
    assert [note for note in found.notes if "mine (baseline) answers every sample alike" in note]
    assert not [note for note in small.notes if "alike" in note]
