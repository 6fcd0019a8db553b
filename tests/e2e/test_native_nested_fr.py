"""One file in several capacities: what the runner answers at each, in every form, and after a switch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench import runtimes
from bench.cache import Cache
from bench.compress import method
from bench.compress.frequency import package
from bench.compress.method import Destination, Exported, Narrowed, Request
from bench.runtimes.runtime import Shown
from tests.e2e.native_kit import EXITS, Run, execute, job_text, packed
from tests.unit.compress.compress_kit import learnt, small

NESTED = method("nested-fr")


class Net(nn.Module):
    """Norms of an image, pooling and a linear layer: what resident graphs take in, and what they do not."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        self.b = nn.Conv2d(32, 48, 3, padding=1, bias=False)
        self.c = nn.Conv2d(48, 32, 3, padding=1, bias=False)
        self.d = nn.Linear(32 * 36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (self.a, self.b, self.c):
            x = F.relu(F.instance_norm(layer(x)))
        out: torch.Tensor = self.d(F.max_pool2d(x, 2).flatten(1))
        return out


NETWORK = small(Net, 3, 12, 12)
X = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Made:
    """A package, and its files for the runner in one form and capacity."""

    package: bytes
    folder: Path
    exported: Exported

    def run(self, mode: str = "accuracy", **changes: str | int | None) -> Run:
        roles = {file.role: self.folder / file.path.name for file in self.exported.files}
        (self.folder / "samples.bsmp").write_bytes(packed(X.numpy()))
        keys = {**roles, **self.exported.options, "mode": mode, "execution": self.exported.execution, **changes}
        (self.folder / "job").write_text(job_text(self.folder, **keys))
        return execute(self.folder / "job")


def exported(form: str, capacity: int | None, folder: Path, packages: Path) -> Made:
    torch.manual_seed(3)
    made = NESTED.compress(learnt(NETWORK, packages), Request("600", one_shot=True))
    folder.mkdir(parents=True)
    to = Destination(
        runtimes.runtime("ncnn"), NETWORK.inputs, Shown((X.numpy(),), None),  # type: ignore[arg-type]
        folder, Cache(packages), "key",
    )  # fmt: skip
    narrowed = None if capacity is None else Narrowed(str(capacity), "")
    return Made(made, folder, NESTED.export(NETWORK, made, form, to, narrowed))


def wanted(made: Made, form: str, capacity: int) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = NESTED.restored(NETWORK, made.package, form, Narrowed(str(capacity), ""))(X).numpy().ravel()
    return found


def close(found: np.ndarray | None, expected: np.ndarray) -> bool:
    assert found is not None
    return bool(np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("form", NESTED.executions)
def test_the_runner_answers_as_torch_does_at_every_capacity(
    form: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = tmp_path_factory.getbasetemp() / "packages"
    weights = set()
    answers = []
    for capacity in (1, 2, 3, 4):
        made = exported(form, capacity, tmp_path / str(capacity), packages)
        run = made.run()
        expected = wanted(made, form, capacity)
        assert close(run.outputs, expected), (run.events, run.stderr)
        own = package.read(made.package).at(capacity)
        assert run.event("decode")["coefficients"] == own.coefficients
        weights.add((made.folder / "weights.frq").read_bytes())
        answers.append(expected)
    assert len(weights) == 1  # the same file for all
    assert not any(close(a, b) for a, b in pairwise(answers))
    whole = exported(form, None, tmp_path / "whole", packages)
    assert close(whole.run(capacity=None).outputs, answers[-1])


@pytest.mark.parametrize(("form", "own"), [("auto", 2), ("resident", 1), ("factored", 4), ("dense", 3)])
def test_a_switch_ends_where_a_fresh_load_does(
    form: str, own: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The runner itself compares what each capacity answers with what it answered there before, bit for bit."""
    made = exported(form, own, tmp_path / "made", tmp_path_factory.getbasetemp() / "packages")
    run = made.run("switch", walks=3, answers=None)
    assert run.status == 0, run.stderr
    told, whole = run.event("capacities"), package.read(made.package)
    bytes_of = [sum(t.values.nbytes for t in whole.at(capacity).tensors) for capacity in (1, 2, 3, 4)]
    assert (told["own"], told["bytes"]) == (own, bytes_of)
    switches = [event for event in run.events if event["event"] == "switch"]
    assert len(switches) == told["switches"] == 18
    for one in switches:
        assert one["bytes"] == abs(bytes_of[one["from"] - 1] - bytes_of[one["to"] - 1])
        assert one["ns"] > 0


def test_a_capacity_that_there_is_not_is_refused(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = exported("dense", 1, tmp_path / "made", tmp_path_factory.getbasetemp() / "packages")
    run = made.run(capacity=5)
    assert run.status == EXITS["bad_job"]
    assert "capacity = 5: the network has 4" in run.event("error")["message"]
    alone = made.folder / "weights.frq"
    alone.write_bytes(package.write(package.read(alone.read_bytes()).at(2)))
    assert made.run(capacity=1).status == 0
    assert made.run(capacity=2).status == EXITS["bad_job"]
    assert made.run("switch", walks=1, answers=None).status == EXITS["unsupported"]


def test_a_missing_graph_of_another_capacity_is_told(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = exported("resident", 2, tmp_path / "made", tmp_path_factory.getbasetemp() / "packages")
    (made.folder / "graph3.param").unlink()
    assert made.run().status == 0
    run = made.run("switch", walks=1, answers=None)
    assert run.status == EXITS["missing_file"]
    assert "graph3.param" in run.event("error")["message"]


def roles(made: Made) -> Sequence[str]:
    return [file.role for file in made.exported.files]


def test_only_forms_with_ranks_in_the_graph_have_a_graph_for_each_capacity(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = tmp_path_factory.getbasetemp() / "packages"
    assert roles(exported("factored", 2, tmp_path / "a", packages)) == ["graph", "weights"]
    made = exported("auto", 2, tmp_path / "b", packages)
    assert set(roles(made)) == {"graph1", "graph", "graph3", "graph4", "weights"}
    assert set(made.exported.roles) == {"graph1", "graph3", "graph4"}
