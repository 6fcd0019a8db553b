"""Several capacities for ncnn: the same two files for all, of which the runner computes what each network answers."""

from __future__ import annotations

import filecmp
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench import runtimes
from bench.cache import Cache
from bench.compress import method
from bench.compress.method import Destination, Exported, Narrowed, Request
from bench.compress.nested import package, packing
from bench.export import eager
from bench.networks import Network
from bench.runtimes.runtime import Shown
from tests.e2e.native_kit import measure
from tests.unit.compress.compress_kit import learnt, small

NESTED = method("nested")
SAMPLES = np.random.default_rng(2).normal(size=(2, 3, 6, 6)).astype(np.float32)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.second, self.up = nn.Conv2d(16, 24, 3), nn.ConvTranspose2d(24, 16, 2)
        self.last = nn.Linear(16 * 25, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.norm(self.first(x)).relu()).relu()
        return self.last(self.up(x).flatten(1))


def network() -> Network:
    def make() -> nn.Module:
        torch.manual_seed(1)
        made = Net()
        with torch.no_grad():
            made.norm.running_mean.normal_(0, 0.1)
            made.norm.weight.uniform_(0.5, 1.5)
        return made.eval()

    return small(make, 3, 6, 6, task="classification")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return NESTED.compress(learnt(network(), tmp_path_factory.mktemp("cache")), Request("6x:3", one_shot=True))


def exported(made: bytes, folder: Path, capacity: int, runtime: str = "ncnn", form: str = "shared") -> Exported:
    folder.mkdir()
    narrowed = None if capacity == 3 else Narrowed(str(capacity), "")
    module = NESTED.restored(network(), made, form, narrowed)
    shown = Shown((SAMPLES,), eager.answers(module, [SAMPLES]))
    to = Destination(runtimes.runtime(runtime), network().inputs, shown, folder, Cache(folder.parent / "cache"), "key")
    return NESTED.export(network(), made, form, to, narrowed)


def test_all_capacities_are_the_same_files_and_each_answers_as_its_network(made: bytes, tmp_path: Path) -> None:
    folders = {capacity: tmp_path / str(capacity) for capacity in (1, 2, 3)}
    for capacity, folder in folders.items():
        found = exported(made, folder, capacity)
        assert (found.weights_format, found.execution, found.notes) == ("nested", "stock", ())
        assert found.options == {"capacity": str(capacity)}
        for name in ("graph.param", "weights.nested"):
            assert filecmp.cmp(folder / name, folders[1] / name, shallow=False)
        text, weights = (folder / "graph.param").read_text(), (folder / "weights.nested").read_bytes()
        form = {"weights_format": "nested", "execution": "stock", "capacity": capacity}
        run = measure(folder, text, weights, SAMPLES, **form)
        assert run.status == 0, run.events
        wanted = eager.answers(packing.restored(network(), package.read(made), capacity), [SAMPLES]).values[0]
        np.testing.assert_allclose(run.outputs.reshape(wanted.shape), wanted, rtol=1e-3, atol=1e-4)


def test_apart_a_capacity_is_an_ordinary_network(made: bytes, tmp_path: Path) -> None:
    whole, smaller = (exported(made, tmp_path / str(one), one, form="apart") for one in (3, 1))
    assert (smaller.weights_format, smaller.options, smaller.notes) == ("runtime", {}, ())
    assert sum(file.bytes for file in smaller.files) < sum(file.bytes for file in whole.files) / 2


def test_a_runtime_that_loads_no_such_file_says_what_it_got(made: bytes, tmp_path: Path) -> None:
    found = exported(made, tmp_path / "torch", 2, runtime="torch")
    assert found.weights_format == "runtime"
    assert "Capacity 2 of 3 is an ordinary network in files of its own" in found.notes[0]
    assert not NESTED.switches("shared", runtimes.runtime("torch"))
    assert NESTED.switches("shared", runtimes.runtime("ncnn"))
    assert not NESTED.switches("apart", runtimes.runtime("ncnn"))
