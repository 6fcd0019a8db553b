"""nested: every capacity is a part of the next one to the bit, and each is what its package restores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.compress import method, training
from bench.compress.learner import Learner
from bench.compress.method import Request, Sight
from bench.compress.narrower import structure
from bench.compress.nested import package, packing
from bench.compress.nested.target import nesting
from bench.compress.result import compressed
from bench.errors import CorruptData, UsageError
from bench.networks import Network
from bench.networks.count import examples, run
from tests.unit.compress.compress_kit import learning, learnt, small

NESTED = method("nested")


class Net(nn.Module):
    """A batch norm, a sum, a depthwise and a transposed convolution, a concatenation and a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.point = nn.Conv2d(16, 16, 1)
        self.up, self.side = nn.ConvTranspose2d(16, 12, 1), nn.Conv2d(16, 20, 3, padding=1)
        self.hidden = nn.Linear(32 * 16, 24)
        self.last = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = x + self.point(self.depthwise(x))
        y = torch.cat([self.up(x), self.side(x)], 1).flatten(1)
        return self.last(self.hidden(y).relu())


def network(seed: int = 1) -> Network:
    def make() -> nn.Module:
        torch.manual_seed(seed)
        made = Net()
        with torch.no_grad():
            made.norm.running_mean.normal_(0, 0.1)
            made.norm.weight.uniform_(0.5, 1.5)
        return made.eval()

    return small(make, 3, 4, 4, task="classification")


def learner(folder: Path) -> Learner:
    dice = np.random.default_rng(3)
    classes = dice.integers(0, 4, 60)
    inputs = dice.normal(size=(60, 3, 4, 4)) + classes[:, None, None, None]
    return learning(network(), folder, inputs, classes.astype(np.int64))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return NESTED.compress(learner(tmp_path_factory.mktemp("cache")), Request("8x:4", epochs=2))


def test_every_capacity_has_the_weights_of_the_one_before_to_the_bit(made: bytes) -> None:
    found = package.read(made)
    assert found.count == 4
    sizes = [len(package.write(found.alone(one))) for one in range(1, 5)]
    assert sizes == sorted(set(sizes))
    for tensor in (one for one in found.tensors if one.columns is not None):
        rows, columns = np.array(found.lists[tensor.rows]), np.array(found.lists[tensor.columns or 0])
        for capacity in range(1, 5):
            inner = tensor.values[rows <= capacity][:, columns <= capacity].astype(np.float32)
            assert np.array_equal(found.at(package.unscaled(tensor), capacity), inner)


def test_growing_trains_what_is_new_and_only_that(made: bytes) -> None:
    """The largest is no longer the network that it was pruned from, but its first rows are the seed's."""
    found = package.read(made)
    whole = packing.restored(network(), found, 4)
    ordinary = network().build()
    assert not torch.allclose(whole.hidden.weight, ordinary.hidden.weight, atol=1e-3)


def test_norms_are_each_capacity_s_own_and_so_are_biases_of_channels_that_all_have(made: bytes) -> None:
    found = package.read(made)
    assert sum(bool(tensor.scales) for tensor in found.tensors) == 1  # the normed convolution
    own = [found.lists[tensor.rows] for tensor in found.tensors if tensor.own]
    assert own[0] == found.lists[found.tensors[0].rows]  # what is left of the norm
    assert own[-1] == (1,) * 4  # the classifier's
    assert all(max(levels) == 1 for levels in own[1:])


def test_a_restored_capacity_answers_what_a_whole_network_without_the_other_channels_does(made: bytes) -> None:
    """Built in another way: the largest network with everything beyond the capacity set to zero."""
    found = package.read(made)
    inputs = examples(network().inputs)
    sites = structure.sites(network().build())
    for capacity in (1, 2, 3):
        ours = packing.restored(network(), found, capacity)
        whole = packing.restored(network(), found, 4)
        theirs = dict(whole.named_parameters())
        levels = {name: np.array(found.lists[found.sites[2 * number + 1]]) for number, name in enumerate(sites)}
        with torch.no_grad():
            for name, parameter in ours.named_parameters():
                layer = name.rpartition(".")[0]
                out = torch.from_numpy(levels[layer] <= capacity)
                axis = 1 if layer == "up" and parameter.dim() > 1 else 0
                target = theirs[name]
                target.zero_()
                if parameter.dim() == 1:
                    target[out] = parameter
                    continue
                into = np.array(found.lists[found.sites[2 * list(sites).index(layer)]]) <= capacity
                columns = torch.ones(1, dtype=torch.bool) if layer == "depthwise" else torch.from_numpy(into)
                where = (out[:, None] & columns[None, :]) if axis == 0 else (columns[:, None] & out[None, :])
                target[where] = parameter.reshape(-1, *parameter.shape[2:])
            (got,), (wanted,) = run(ours, inputs), run(whole, inputs)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_what_came_of_a_compression_says_what_each_capacity_answers(tmp_path: Path) -> None:
    learns = learner(tmp_path)
    found = compressed(NESTED, learns, Request("8x:4", epochs=2))
    assert learns.data is not None
    assert [(one.number, one.of) for one in found.capacities] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    stored = package.read(found.package)
    for one in found.capacities:
        alone = packing.restored(network(), stored, one.number)
        assert one.accuracy == training.accuracy(alone, learns.data.test)
        assert one.bytes == len(package.write(stored.alone(one.number)))
    counts = [one.coefficients for one in found.capacities]
    assert counts == sorted(set(counts))
    assert (counts[-1], found.capacities[-1].accuracy) == (found.coefficients, found.accuracy)
    assert [one["accuracy"] for one in found.as_json()["capacities"]] == [one.accuracy for one in found.capacities]


def test_the_same_request_gives_the_same_bytes(made: bytes, tmp_path: Path) -> None:
    assert NESTED.compress(learner(tmp_path), Request("8x:4", epochs=2)) == made


@pytest.mark.parametrize("ranking", ["l1", "taylor", "trr"])
def test_every_ranking_makes_a_package(ranking: str, tmp_path: Path) -> None:
    made = NESTED.compress(learner(tmp_path), Request("8x:3", budget=ranking, one_shot=True))
    assert package.read(made).count == 3


def test_without_training_the_largest_is_the_network_itself(tmp_path: Path) -> None:
    made = NESTED.compress(learnt(network(), tmp_path), Request("8x:3", one_shot=True))
    (ours,), (theirs,) = (run(one, examples(network().inputs)) for one in (
        NESTED.restored(network(), made, "shared"), network().build(),
    ))  # fmt: skip
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)


def test_a_width_is_one_of_the_capacities(made: bytes, tmp_path: Path) -> None:
    sight = Sight(network().inputs, (), learnt(network(), tmp_path).cache, "")
    narrowed = NESTED.narrowed(network(), made, "shared", "1/2", sight)
    assert narrowed.plan == "2"
    assert "capacity 2 of 4" in narrowed.told
    smaller = NESTED.restored(network(), made, "shared", narrowed)
    assert sum(p.numel() for p in smaller.parameters()) < sum(
        p.numel() for p in NESTED.restored(network(), made, "shared").parameters()
    )
    with pytest.raises(UsageError, match="4 capacities"):
        NESTED.narrowed(network(), made, "shared", "1/3", sight)


@pytest.mark.parametrize("width", ["auto", {"*": "1/2"}])
def test_other_widths_are_refused(width: str | dict[str, str]) -> None:
    with pytest.raises(UsageError, match="none of them"):
        NESTED.check_width("shared", width)


@pytest.mark.parametrize(
    "text", ["4x:1", "4x:17", "4x:", "4x:a", ":4", "4x:5:5", "4x:-1", "nothing:3", "4x:3.5", "4x:²"]
)
def test_targets_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        NESTED.check(Request(text))


def test_a_target_says_the_smallest_and_how_many() -> None:
    assert nesting("16x:4").capacities == 4
    assert nesting("20kB").capacities == 5
    assert nesting("16x:4").smallest.amount == 16


def test_a_network_without_room_for_the_capacities_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no room for 16 capacities"):
        NESTED.compress(learnt(network(), tmp_path), Request("2.2x:16", one_shot=True))


def test_the_package_of_another_network_and_a_damaged_one_are_refused(made: bytes) -> None:
    other = small(lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 9), nn.Linear(9, 4)), 3, 4, 4)
    with pytest.raises(UsageError, match="does not fit"):
        NESTED.restored(other, made, "shared")
    with pytest.raises(CorruptData):
        NESTED.restored(network(), made[:-1], "shared")
