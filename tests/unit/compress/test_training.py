"""Training of ordinary and compressed networks on real digits: what it learns, and that nothing can stop it."""

from __future__ import annotations

import io
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.compress import training
from bench.compress.checkpoint import Checkpoint
from bench.compress.frequency import layers, train
from bench.compress.training import Images, Recipe
from bench.data import digits
from bench.errors import CorruptData, UsageError
from bench.networks import resolve
from bench.records import Progress


@cache
def data() -> digits.Digits:
    return digits.load()


def some(count: int) -> Images:
    """Digits of every class."""
    return Images(data().train_inputs[: 8 * count : 8], data().train_labels[: 8 * count : 8])


def silent(done: float, words: str) -> None:
    pass


def lenet5() -> nn.Module:
    torch.manual_seed(0)
    return resolve("lenet5").learner()


def state_bytes(network: nn.Module) -> bytes:
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getvalue()


# --- interruption --------------------------------------------------------------------------------------------------


def trained(kind: str, checkpoint: Checkpoint | None = None, progress: Progress = silent) -> bytes:
    """The weights after a training that has everything which a state can be forgotten of."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(864, 10)
    )
    recipe = Recipe(epochs=6, batch=30, rate=0.01, distortion=0.5, seed=4, half=0.2)
    random = np.random.default_rng(1)
    samples = Images(random.random((400, 1, 28, 28), np.float32), random.integers(10, size=400))
    if kind == "ordinary":
        training.fit(network, samples, recipe, progress, checkpoint=checkpoint)
    else:
        train.train(network, samples, train.targets(network, 100), recipe, progress, checkpoint=checkpoint)
    return state_bytes(network)


KILLED = """
import sys
sys.path.insert(0, {tests!r})
import torch
from pathlib import Path
from bench.compress.checkpoint import Checkpoint
from tests.unit.compress.test_training import trained
torch.set_num_threads(1)
checkpoint = Checkpoint(Path({path!r}), pause_s=0)
trained({kind!r}, checkpoint, lambda done, words: print(checkpoint.path.exists(), done, flush=True))
"""


@pytest.mark.parametrize("kind", ["ordinary", "frequency"])
def test_a_killed_training_goes_on_to_the_same_bytes(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "training.ckpt"
    script = KILLED.format(tests=str(Path(__file__).parent), path=str(path), kind=kind)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            saved, done = line.split()
            if saved == "True" and float(done) > 0.4:
                process.kill()
                break
    state = Checkpoint(path).load()
    assert state
    assert 0 < state["step"] < 84
    told: list[float] = []
    resumed = trained(kind, Checkpoint(path), lambda done, _: told.append(done))
    assert len(told) == 84 - state["step"]
    assert resumed == trained(kind)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "training.ckpt", pause_s=0)
    first = trained("frequency", checkpoint)
    state = checkpoint.load()
    assert state
    assert trained("frequency", checkpoint) == first


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"", lambda data: b"text" * 100])
def test_a_damaged_checkpoint_is_refused(damage: object, tmp_path: Path) -> None:
    assert callable(damage)
    checkpoint = Checkpoint(tmp_path / "training.ckpt")
    assert checkpoint.load() is None
    checkpoint.save({"step": 3, "network": {"weight": torch.ones(5)}})
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    with pytest.raises(CorruptData, match=r"training\.ckpt is not a whole checkpoint"):
        checkpoint.load()


def test_a_checkpoint_runs_no_code_when_it_is_read(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> object:
            return (tmp_path.joinpath, ("run",))

    checkpoint = Checkpoint(tmp_path / "training.ckpt")
    torch.save({"step": 1, "network": Code()}, checkpoint.path)
    with pytest.raises(CorruptData):
        checkpoint.load()


def test_a_write_that_fails_leaves_the_last_state(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "training.ckpt")
    checkpoint.save({"step": 3})
    with pytest.raises(AttributeError):
        checkpoint.save({"step": 4, "network": lambda: None})  # cannot be stored
    assert checkpoint.load() == {"step": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["training.ckpt"]


# --- what is learnt ------------------------------------------------------------------------------------------------


def test_training_learns_digits_to_exactly_its_total() -> None:
    """A short training: well above what an untrained network does, at the total, in float16 values."""
    network, told = lenet5(), []
    samples = Images(data().train_inputs[::2], data().train_labels[::2])
    test = Images(data().test_inputs[::4], data().test_labels[::4])
    recipe = Recipe(epochs=3, batch=50, rate=0.04, distortion=0.0, seed=0, half=0.1)
    kept = train.targets(network, 776)
    train.train(network, samples, kept, recipe, lambda *step: told.append(step), test=test)
    assert {name: site.coefficients.numel() for name, site in layers.sites(network).items()} == kept
    for parameter in network.parameters():
        assert torch.equal(parameter, parameter.half().float())
    reached = training.accuracy(network, test)
    assert reached > 0.7
    # The last steps were taken with float16 values, and short trainings are at their target in time.
    assert told[-1] == (1.0, told[-1][1])
    assert told[-1][1].endswith(f"{reached:.1%} right, 776 kept")
    assert told[0][1].startswith("epoch 1/3, loss 2.")
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_seed_decides_and_nothing_else() -> None:
    def weights(seed: int, disturbance: int) -> bytes:
        network = lenet5()
        torch.manual_seed(disturbance)
        recipe = Recipe(epochs=1, batch=100, rate=0.1, distortion=1.0, seed=seed)
        train.train(network, some(300), train.targets(network, 776), recipe, silent)
        return state_bytes(network)

    assert weights(3, 0) == weights(3, 1)
    assert weights(3, 0) != weights(4, 0)


def test_training_leaves_the_generator_of_torch_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    training.fit(lenet5_ordinary := nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), some(50), brief(), silent)
    assert not lenet5_ordinary.training
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    training.fit(lenet5_ordinary, some(50), brief(), silent)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(torch.rand(3), expected)


def brief() -> Recipe:
    return Recipe(epochs=1, batch=25, rate=0.01, distortion=1.0, seed=1)


def test_fine_tuning_repairs_what_truncation_broke() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 40), nn.ReLU(), nn.Linear(40, 10))
    training.fit(network, some(400), Recipe(epochs=8, batch=20, rate=0.005, distortion=0, seed=1), silent)
    whole = training.accuracy(network, some(400))
    layers.compress(network, {"1.weight": 1000, "3.weight": 200})
    cut = training.accuracy(network, some(400))
    train.fine_tune(network, some(400), Recipe(epochs=4, batch=20, rate=0.01, distortion=0, seed=1, half=0.5), silent)
    tuned = training.accuracy(network, some(400))
    assert cut < whole - 0.1
    assert tuned > (cut + whole) / 2
    assert sum(site.coefficients.numel() for site in layers.sites(network).values()) == 1200


# --- images and maps -----------------------------------------------------------------------------------------------


def test_distortion_of_nothing_changes_nothing() -> None:
    images, labels = torch.from_numpy(some(10).inputs), torch.from_numpy(some(10).answers)
    same, answers = training.distorted(images, labels, 0.0)
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)
    assert not torch.allclose(training.distorted(images, labels, 1.0)[0], images, atol=0.1)
    assert answers is labels


def test_classes_of_pixels_move_with_their_image() -> None:
    digit = torch.from_numpy(some(20).inputs)
    images, maps = training.distorted(digit, (digit[:, 0] > 0.5).long(), 1.0)
    ours, theirs = images[:, 0] > 0.5, maps == 1
    assert set(maps.unique().tolist()) == {0, 1}
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.8


class Given(nn.Module):
    """Answers with its input, and has a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.one


def test_accuracy_is_top1_of_classes_and_dice_of_maps() -> None:
    logits = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    assert training.accuracy(Given(), Images(logits, np.array([0, 1, 2, 0, 1])), batch=2) == pytest.approx(0.6)
    maps = np.array([[[1, 1], [0, 0]], [[0, 0], [0, 0]], [[1, 0], [0, 0]]])
    found = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 1], [0, 0]]])
    two = np.stack((1 - found, found), axis=1).astype(np.float32)
    assert training.accuracy(Given(), Images(two, maps)) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_accuracy_of_several_classes_of_pixels_is_the_mean_over_those_that_are_there() -> None:
    expected = np.array([[[1, 1], [2, 0]]])
    found = np.array([[[1, 0], [2, 0]]])
    of_four = np.eye(4, dtype=np.float32)[found].transpose(0, 3, 1, 2)
    assert training.accuracy(Given(), Images(of_four, expected)) == pytest.approx((2 / 3 + 1) / 2)


def test_accuracy_of_pictures_is_the_share_of_variance_that_is_explained() -> None:
    pictures = np.random.default_rng(0).random((4, 1, 3, 3), np.float32)
    assert training.accuracy(Given(), Images(pictures, pictures)) == pytest.approx(1)
    mean = np.broadcast_to(pictures.mean((1, 2, 3), keepdims=True), pictures.shape).copy()
    assert training.accuracy(Given(), Images(mean, pictures)) == pytest.approx(0, abs=1e-5)


def test_an_autoencoder_learns_to_give_its_input_back() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 784), nn.Unflatten(1, (1, 28, 28))
    )
    told: list[str] = []
    samples = Images(some(400).inputs, some(400).inputs)
    recipe = Recipe(epochs=20, batch=20, rate=0.003, distortion=0.5, seed=1)
    training.fit(network, samples, recipe, lambda _, words: told.append(words), teacher=Given(), test=samples)
    assert training.accuracy(network, samples) > 0.5
    assert told[-1].endswith("% explained")


def test_several_classes_of_pixels_are_learnt() -> None:
    torch.manual_seed(0)
    inputs = np.random.default_rng(0).random((40, 1, 8, 8), np.float32)
    samples = Images(inputs, np.digitize(inputs[:, 0], (0.3, 0.6)).astype(np.int64))
    network = nn.Sequential(nn.Conv2d(1, 16, 1), nn.ReLU(), nn.Conv2d(16, 3, 1))
    training.fit(network, samples, Recipe(epochs=60, batch=8, rate=0.02, distortion=0, seed=1), silent)
    assert training.accuracy(network, samples) > 0.8


class Pair(nn.Linear):
    """Answers with two tensors."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        return super().forward(x), x


@pytest.mark.parametrize(
    ("network", "answers", "words"),
    [
        (nn.Linear(4, 3), np.array([0, 3]), "has class 3, but the network has 3 classes"),
        (nn.Linear(4, 3), np.array([0, -1]), "the network has 3 classes"),
        (nn.Linear(4, 3), np.zeros((2, 5, 5), np.int64), "output of 3 cannot learn answers of 5×5"),
        (nn.Linear(4, 3), np.zeros((2, 4), np.float32), "output of 3 cannot learn answers of 4"),
        (Pair(4, 3), np.array([0, 1]), "answers with a tuple, and training knows one tensor only"),
    ],
)
def test_answers_that_a_network_cannot_learn_are_refused(
    network: nn.Module, answers: training.Answers, words: str
) -> None:
    samples = Images(np.zeros((2, 4), np.float32), answers)
    with pytest.raises(UsageError, match=words):
        training.fit(network, samples, brief(), silent)
