"""Tuning with labels or without: the same effort, and no label that was not to be looked at changes a bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from bench import plan
from bench.cache import Cache
from bench.compress import method, objective, training, tuning
from bench.compress.learner import Learner
from bench.compress.method import Request
from bench.compress.result import compressed
from bench.compress.training import Images, Matching
from bench.errors import UsageError
from bench.networks import Network
from bench.prepare.compression import learner_of
from tests.unit.compress.compress_kit import learning, learnt, quiet, small

UNLABELLED = Request(fine_tune=3, one_shot=True, labels=False)


def teacher() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 3)).eval()


def inputs(count: int = 90) -> NDArray[Any]:
    return np.random.default_rng(1).normal(size=(count, 6))


def labels(seed: int, count: int = 90) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 3, count)


def state(module: nn.Module) -> list[bytes]:
    return [tensor.detach().numpy().tobytes() for tensor in module.state_dict().values()]


def student(network: Network) -> nn.Module:
    torch.manual_seed(5)
    made = network.build()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


@pytest.mark.parametrize("task", ["classification", "other"])
def test_without_labels_permuted_labels_change_nothing_to_the_bit(task: str, tmp_path: Path) -> None:
    network = small(teacher, 6, task=task)
    made = [
        tuning.tuned(
            learning(network, tmp_path / str(seed), inputs(), labels(seed)), student(network), UNLABELLED, ("a",)
        )
        for seed in (2, 3)
    ]
    assert state(made[0]) == state(made[1])
    told = tuning.tuned(
        learning(network, tmp_path / "told", inputs(), labels(2)),
        student(network),
        Request(fine_tune=3, one_shot=True),
        ("a",),
    )
    assert state(told) != state(made[0])


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("fr", Request("3x", one_shot=True, fine_tune=2, labels=False)),
        ("fr", Request("3x", epochs=2, labels=False)),
        ("distil", Request("3x", epochs=2, labels=False)),
    ],
)
def test_no_method_sees_labels_that_are_not_to_be_used(name: str, asked: Request, tmp_path: Path) -> None:
    network = small(teacher, 6, task="classification")
    made = [
        method(name).compress(learning(network, tmp_path / str(seed), inputs(), labels(seed)), asked) for seed in (2, 3)
    ]
    assert made[0] == made[1]


def test_answers_that_are_not_to_be_used_are_never_read() -> None:
    class Telltale:
        def __len__(self) -> int:
            return 4

        def read(self, indices: NDArray[np.int64] | None = None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            return np.ones((4, 2), np.float32), np.full(4, 7)

    found, answers = training.Unlabelled(Telltale()).read()
    assert found.shape == (4, 2)
    assert answers.tolist() == [0, 0, 0, 0]


def test_the_student_comes_nearer_to_the_teacher(tmp_path: Path) -> None:
    network = small(teacher, 6, task="classification")
    learner = learning(network, tmp_path, inputs(600), labels(2, 600))
    images = torch.from_numpy(inputs(600).astype(np.float32))

    def apart(module: nn.Module) -> float:
        with torch.no_grad():
            return objective.matched(module(images), network.build()(images), "classes").item()

    begun = apart(student(network))
    assert apart(tuning.tuned(learner, student(network), Request(fine_tune=40, labels=False), ("a",))) < begun / 2


def test_several_outputs_are_matched_together(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(6, 3), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"one": self.one(x), "other": self.other(x)}

    network = small(lambda: Two().eval(), 6)
    learner = learning(network, tmp_path, inputs(), labels(2))
    object.__setattr__(learner.data, "labelled", False)
    made = tuning.tuned(learner, student(network), Request(fine_tune=20, labels=False), ("a",))
    for layer in ("one", "other"):
        before, after, right = (
            module.get_submodule(layer).weight for module in (student(network), made, network.build())
        )
        assert (after - right).norm() < (before - right).norm()


@pytest.mark.parametrize(("kind", "shape"), [("classes", (5, 4)), ("classes", (2, 3, 4, 4)), ("values", (5, 4))])
def test_what_is_matched_is_nothing_where_both_are_the_same_and_more_elsewhere(
    kind: Matching, shape: tuple[int, ...]
) -> None:
    answers = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    assert objective.matched(answers, answers, kind).item() == pytest.approx(0, abs=1e-6)
    assert objective.matched(answers + torch.randn(shape), answers, kind).item() > 0.01


def test_a_mask_of_one_channel_is_matched_by_value_since_its_softmax_is_always_one() -> None:
    assert objective.matched(torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4), "classes").item() == pytest.approx(1)


def test_without_labels_and_without_a_trained_network_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    network = small(teacher, 6, task="classification", trained=False, twin=teacher)
    with pytest.raises(UsageError, match="learns from what the ordinary network answers, and that is not trained"):
        tuning.tuned(learning(network, tmp_path, inputs(), labels(2)), student(network), UNLABELLED, ("a",))
    with pytest.raises(UsageError, match="there is no data"):
        tuning.tuned(learnt(small(teacher, 6), tmp_path), student(network), UNLABELLED, ("a",))


def test_a_budget_by_the_loss_is_refused_without_labels(tmp_path: Path) -> None:
    learner = learning(small(teacher, 6, task="classification"), tmp_path, inputs(), labels(2))
    with pytest.raises(UsageError, match="takes labels, and none are to be used"):
        method("fr").compress(learner, Request("3x", budget="sensitivity", one_shot=True, labels=False))


def convolution(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2)).eval()


def learner_with(folder: Path, network: Network, *, labelled: bool) -> Learner:
    data = plan.Data(path=folder / "pictures")
    return learner_of(network, data, Cache(folder / "cache"), quiet, labels=labelled)


def test_a_folder_of_pictures_without_labels_is_enough_and_nothing_is_scored(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    (tmp_path / "pictures").mkdir()
    for number in range(12):
        Image.fromarray(random.integers(0, 255, (9, 9, 3), np.uint8)).save(tmp_path / f"pictures/{number}.png")
    network = small(convolution, 3, 8, 8, task="classification")
    with pytest.raises(UsageError, match="has no labels to learn from") as caught:
        learner_with(tmp_path, network, labelled=True)
    assert "--unlabelled" in caught.value.fix
    learner = learner_with(tmp_path, network, labelled=False)
    made = compressed(method("fr"), learner, Request("3x", one_shot=True, fine_tune=1, labels=False))
    assert (made.accuracy, made.accuracy_before, made.tested) == (None, None, 0)
    assert made.notes[0].startswith("No labels were used to make it smaller")
    assert "answers to 12 pictures" in made.notes[0]
    assert "no score was computed" in made.notes[1]


def test_labelled_data_is_scored_although_its_labels_taught_nothing(tmp_path: Path) -> None:
    network = small(teacher, 6, task="classification")
    learner = learning(network, tmp_path, inputs(), labels(2))
    made = compressed(method("fr"), learner, Request("3x", one_shot=True, fine_tune=1, labels=False))
    assert made.tested == 90
    assert made.accuracy is not None
    (note,) = made.notes
    assert note.startswith("No labels were used")
    assert not compressed(method("fr"), learner, Request("3x", one_shot=True, fine_tune=1)).notes


def test_pictures_whose_labels_are_of_another_task_count_as_unlabelled(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (40 * number, 90, 30)).save(tmp_path / "pictures" / name / f"{number}.png")
    network = small(lambda: nn.Conv2d(3, 2, 3, padding=1).eval(), 3, 8, 8, task="segmentation")
    with pytest.raises(UsageError, match="is for classification, but small does segmentation"):
        learner_with(tmp_path, network, labelled=True)
    found = learner_with(tmp_path, network, labelled=False).data
    assert found is not None
    assert not found.labelled


def test_progress_says_explained_of_values_and_right_of_classes(tmp_path: Path) -> None:
    told: list[str] = []
    recipe = training.Recipe(epochs=1, batch=50, rate=1e-3, distortion=0, seed=1)
    for answers, word in ((labels(2), "right"), (np.zeros((90, 3), np.float32), "explained")):
        data = Images(inputs().astype(np.float32), answers)
        training.fit(teacher(), data, recipe, lambda done, words: told.append(words), test=data)
        assert told[-1].endswith(word)
