"""Cascades of small networks: what is chosen, what the package holds, and what a package of others can do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench import compress
from bench.cache import Cache
from bench.compress.cascade.method import METHOD
from bench.compress.cascade.module import Both
from bench.compress.cascade.package import read
from bench.compress.cascade.target import parsed
from bench.compress.learner import Data, Learner
from bench.compress.method import Request
from bench.compress.training import Images
from bench.errors import BenchError, CorruptData, UnknownName, UsageError
from bench.export import eager, steps
from bench.networks import Network
from tests.unit.compress.compress_kit import quiet, small


def network() -> Network:
    torch.manual_seed(1)
    return small(
        lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)), 6, trained=False, task="classification",
        learns=True,
    )  # fmt: skip


def images(n: int, seed: int) -> Images:
    """Three classes that lie close enough to each other for doubts."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    centres = np.random.default_rng(0).normal(size=(3, 6))
    return Images((centres[labels] + random.normal(size=(n, 6))).astype(np.float32), labels.astype(np.int64))


def learner(folder: Path, *, validation: bool = True) -> Learner:
    held = images(200, 3) if validation else None
    data = Data(images(300, 1), images(200, 2), "made up", "key", True, validation=held)
    return Learner(network(), Cache(folder), quiet, data)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return METHOD.compress(learner(tmp_path_factory.mktemp("cache")), Request("dense-small:4x:-2pt", epochs=3))


def test_both_networks_come_back_and_each_sample_has_the_answer_of_one(package: bytes) -> None:
    made = METHOD.restored(network(), package, "stock")
    assert isinstance(made, Both)
    inputs = torch.from_numpy(images(50, 4).inputs)
    with torch.no_grad():
        answers, asked = made(inputs)
        first, second = made.small(inputs), made.robust(inputs)
    assert torch.equal(answers, torch.where(asked[:, None] > 0, second, first))
    sure = (first.double() / made.temperature).softmax(1).amax(1)
    assert torch.equal(asked > 0, sure < made.gate.threshold)


def test_the_goal_is_kept_on_the_validation_part(package: bytes) -> None:
    made = read(package).cascade
    _, robust, both = made.accuracy
    assert both >= robust - 0.02 - 1e-9
    assert made.samples == 200
    assert METHOD.size(network(), package).notes[-1].startswith("On 200 validation samples small is asked for")


def test_a_cascade_without_a_validation_part_is_refused_with_the_flag_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none are held out") as refused:
        METHOD.compress(learner(tmp_path, validation=False), Request("dense-small:4x", epochs=1))
    assert "--validation" in refused.value.fix


def test_a_goal_that_the_ordinary_network_does_not_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="out of reach"):
        METHOD.compress(learner(tmp_path), Request("dense-small:4x:100%", epochs=1))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cascade:dense-small:4x", UsageError), ("dense-small,cascade:4x", UsageError), ("nothing:4x", UnknownName),
        ("dense-small", UsageError), ("dense-small:4x:-100pt", UsageError), ("dense-small:4x:0%", UsageError),
        ("dense-small:4x:200%", UsageError), (":4x", UsageError), ("dense-small:", UsageError), ("half:3x", UsageError),
    ],
)  # fmt: skip
def test_a_target_that_makes_no_cascade_is_refused(text: str, error: type[BenchError], tmp_path: Path) -> None:
    with pytest.raises(error):
        METHOD.compress(learner(tmp_path), Request(text, epochs=1))


def test_a_target_names_a_variant_and_what_may_be_lost() -> None:
    asked = parsed("distil:16kB:97.5%")
    assert (asked.small, asked.accuracy(0.5)) == ("distil:16kB", 0.975)
    assert parsed("dense-small:20x").accuracy(0.95) == pytest.approx(0.945)
    assert compress.described("cascade:dense-small:20x:-1pt").target == "dense-small:20x:-1pt"


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_package_is_refused(package: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(package) - 1))
    broken = bytearray(package)
    broken[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.booleans())
    with pytest.raises(CorruptData):
        read(package[:place] if cut else bytes(broken))


def test_a_sample_beside_the_threshold_alone_may_answer_either_way() -> None:
    """A gate of which one sample of three is so close that rounding may decide it."""
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.eye(2))
        second.weight.copy_(-5 * torch.eye(2))
    samples = (np.array([[4, 0], [1, 0], [0, 0.2]], np.float32),)
    edge = float(torch.softmax(torch.tensor([1.0, 0.0]).double(), 0)[0])
    made = Both(first, second, edge, 1.0).eval()
    found = eager.answers(made, samples)
    scores, asked = steps.doubt(made, samples, found)
    assert asked.tolist() == [0, 1, 0]
    assert scores[0] == scores[2] == 0 < scores[1]
