"""prune: the channels that matter least go, what is left computes what it did, and no target is exceeded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.compress import method, tensors
from bench.compress.learner import Learner
from bench.compress.method import Request
from bench.compress.narrower import package, scaling, structure
from bench.compress.narrower.family import Family
from bench.compress.prune import cutting, pruning, rankings
from bench.errors import CorruptData, UnknownName, UsageError
from bench.networks import Network
from bench.networks.count import count, examples, run
from tests.unit.compress.compress_kit import learning, learnt, small

PRUNE = method("prune")


class Coupled(nn.Module):
    """Batch norms, a residual sum, a depthwise and a grouped convolution, a concatenation, a transposed convolution and
    a flatten before a linear layer; random widths."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.point = nn.Conv2d(wide, wide, 1)
        self.grouped = nn.Conv2d(wide, 2 * narrow, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(2 * narrow, narrow, 1)
        self.hidden = nn.Linear(3 * narrow * 16, 24)
        self.last = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = x + self.point(self.depthwise(x))
        y = self.grouped(x).relu()
        y = torch.cat([self.up(y), y], 1).flatten(1)
        return self.last(self.hidden(y).relu())


def coupled(seed: int = 1, wide: int = 16, narrow: int = 8, *, task: str = "classification") -> Network:
    def make() -> nn.Module:
        torch.manual_seed(seed)
        made = Coupled(wide, narrow)
        with torch.no_grad():
            made.norm.running_mean.normal_(0, 0.1)
            made.norm.weight.uniform_(0.5, 1.5)
        return made.eval()

    return small(make, 3, 4, 4, task=task)


def classes(count: int = 60) -> tuple[NDArray[Any], NDArray[Any]]:
    random = np.random.default_rng(1)
    answers = random.integers(0, 4, count)
    return random.normal(size=(count, 3, 4, 4)) + answers[:, None, None, None] / 3, answers


def learner_of(network: Network, folder: Path) -> Learner:
    return learning(network, folder, *classes())


def weight_rank(seed: int) -> rankings.Rank:
    """An order that has nothing to do with the network."""
    return lambda group: torch.rand(group.channels, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 50), st.sampled_from([8, 12, 16]), st.sampled_from([4, 8]), st.floats(0.2, 0.9))
@settings(deadline=None, max_examples=12)
def test_what_is_left_answers_as_the_network_whose_other_channels_are_silent(
    seed: int, wide: int, narrow: int, share: float
) -> None:
    network = coupled(seed, wide, narrow)
    whole = network.build()
    groups = scaling.groups(whole, examples(network.inputs), "small")
    kept = tuple(group.nearest(share * group.channels) for group in groups)
    made = cutting.cut(whole, groups, kept, weight_rank(seed), examples(network.inputs), "small")
    expected = scaling.widths(structure.sites(whole), groups, kept)
    found = structure.sites(made)
    assert all(found[name].width == width for name, width in expected.items())
    silent = network.build()
    found = structure.sites(silent)
    with torch.no_grad():
        for coupled_ in scaling.dependencies(silent, examples(network.inputs), "small"):
            group = next((one for one in groups if one.root == coupled_.root), None)
            few = coupled_.channels if group is None else kept[groups.index(group)]
            grouped = (group is not None and ("grouped", "into") in group.sides) or coupled_.root == "grouped"
            stay = set(cutting.staying(weight_rank(seed)(coupled_), few, 2 if grouped else 1))
            for name, out, places, roots in coupled_.sides:
                lost = [place for place, root in zip(places, roots, strict=True) if root not in stay]
                layer = silent.get_submodule(name or "")
                if out and lost and not isinstance(layer, nn.ConvTranspose2d):
                    for parameter in layer.parameters():
                        parameter[lost] = 0
                elif out and lost:
                    layer.weight[:, lost] = 0
                    layer.bias[lost] = 0
                if out and lost and isinstance(layer, nn.BatchNorm2d):
                    layer.running_mean[lost] = 0
    (x,) = examples(network.inputs, seed)
    assert torch.allclose(made(x), silent(x), atol=1e-4, rtol=1e-3)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@given(st.integers(1, 20), st.floats(1.3, 6), st.sampled_from(["x", "", "B", "MAC", "xMAC"]))
@settings(deadline=None, max_examples=12)
def test_no_target_is_exceeded_and_the_package_says_the_same_network(seed: int, ratio: float, unit: str) -> None:
    network = coupled(seed)
    whole = network.build()
    macs = count(whole, network.inputs).macs
    amount = {
        "x": ratio * 2, "": int(parameters(whole) / ratio), "B": int(2 * parameters(whole) / ratio) + 900,
        "MAC": int(macs / ratio), "xMAC": ratio,
    }[unit]  # fmt: skip
    request = Request(f"{amount:.4f}{unit}" if isinstance(amount, float) else f"{amount}{unit}", one_shot=True)
    with TemporaryDirectory() as folder:
        made = PRUNE.compress(learnt(network, Path(folder)), request)
    module = PRUNE.restored(network, made, "stock")
    got = {
        "x": 2 * parameters(whole) / parameters(module), "": parameters(module), "B": len(made),
        "MAC": count(module, network.inputs).macs, "xMAC": macs / count(module, network.inputs).macs,
    }[unit]  # fmt: skip
    assert got >= amount - 1e-3 if unit in ("x", "xMAC") else got <= amount
    (x,) = examples(network.inputs, 3)
    assert module(x).shape == whole(x).shape
    assert all(torch.equal(parameter, parameter.half().float()) for parameter in module.parameters())


@given(st.integers(16, 200), st.floats(0.05, 0.99))
def test_widths_are_multiples_of_eight_from_sixteen_channels_on(channels: int, share: float) -> None:
    width = scaling.Group(channels, 1, {}, lanes=8).nearest(share * channels)
    assert width % 8 == 0 or width == channels or width < 8
    assert width % 4 == 0 or width == channels or width < 4


def test_a_network_of_wide_layers_is_left_with_multiples_of_eight(tmp_path: Path) -> None:
    network = small(
        lambda: nn.Sequential(nn.Conv2d(3, 40, 3), nn.ReLU(), nn.Conv2d(40, 52, 1), nn.ReLU(), nn.Conv2d(52, 3, 1)),
        3, 8, 8,
    )  # fmt: skip
    made = PRUNE.restored(network, PRUNE.compress(learnt(network, tmp_path), Request("4x", one_shot=True)), "stock")
    assert {made[0].out_channels % 8, made[2].out_channels % 8} == {0}


def test_one_shot_without_training_keeps_the_values_of_the_channels_with_the_largest_weights(tmp_path: Path) -> None:
    network = small(lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).eval(), 6)
    whole = network.build()
    made = PRUNE.restored(network, PRUNE.compress(learnt(network, tmp_path), Request("90", one_shot=True)), "stock")
    assert made[0].out_features == 8
    # As torch-pruning has it: of a group's layers the mean of what their weights come to.
    score = whole[0].weight.abs().sum(1) + whole[2].weight.abs().sum(0)
    stay = score.argsort(descending=True)[:8].sort().values
    assert torch.equal(made[0].weight, whole[0].weight[stay].half().float())
    assert torch.equal(made[2].weight, whole[2].weight[:, stay].half().float())


class Filters(nn.Module):
    """Sixteen filters: one tells the two classes apart, by little, and all others are large and the same for both."""

    telling = 11

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(2, 16, 1), nn.Linear(16, 2)
        with torch.no_grad():
            self.conv.weight[:, 0], self.conv.weight[:, 1] = 4.0, 0.0
            self.conv.weight[self.telling] = torch.tensor([0.0, 0.5])[:, None, None]
            self.conv.bias.zero_()
            self.last.weight.fill_(0.1)
            self.last.weight[:, self.telling] = torch.tensor([-0.2, 0.2])

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x).mean((2, 3)))


def told_apart(count: int = 80) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The second channel is the class; the first is the same pattern for all."""
    answers = np.arange(count) % 2
    pictures = np.ones((count, 2, 4, 4), np.float32)
    pictures[:, 1] = (2 * answers - 1)[:, None, None]
    return pictures, answers.astype(np.int64)


@pytest.mark.parametrize("ranking", ["trr", "taylor"])
def test_the_filter_that_tells_classes_apart_survives_by_trr_and_taylor_and_not_by_l1(
    ranking: str, tmp_path: Path
) -> None:
    network = small(lambda: Filters().eval(), 2, 4, 4, task="classification")
    learner = learning(network, tmp_path, *told_apart())

    def left(name: str) -> nn.Module:
        return PRUNE.restored(network, PRUNE.compress(learner, Request("44", one_shot=True, budget=name)), "stock")

    assert (left(ranking).conv.weight[:, 1] == 0.5).any()
    assert not (left("l1").conv.weight[:, 1] == 0.5).any()


def test_triplets_are_of_one_class_and_another_and_never_a_picture_twice() -> None:
    labels = np.array([0, 1, 1, 2, 2, 2, 3])
    found = rankings.triplets(labels, 200, 1)
    assert found.shape == (200, 3)
    assert (labels[found[:, 0]] == labels[found[:, 1]]).all()
    assert (labels[found[:, 0]] != labels[found[:, 2]]).all()
    assert (found[:, 0] != found[:, 1]).all()
    assert set(labels[found[:, 0]]) == {1, 2}
    assert np.array_equal(found, rankings.triplets(labels, 200, 1))


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_without_two_classes_or_two_of_a_class_there_are_no_triplets(labels: list[int]) -> None:
    with pytest.raises(UsageError, match=r"one class only|one picture of each class"):
        rankings.triplets(np.array(labels), 5, 1)


def test_the_residual_is_what_the_publication_says() -> None:
    torch.manual_seed(1)
    layer = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Flatten(), nn.Linear(20, 2)).eval()
    seen = rankings.Sampled(torch.randn(9, 2, 4, 4), torch.zeros(9))
    of = np.array([[0, 1, 2], [3, 4, 5], [8, 7, 6], [0, 4, 8]])
    group = next(one for one in scaling.dependencies(layer, (seen.inputs[:1],), "small") if one.root == "0")
    found = rankings.trr(layer, seen, of)(group)
    responses = layer[0](seen.inputs).detach()
    expected = sum(
        ((responses[a] - responses[n]) ** 2 - (responses[a] - responses[p]) ** 2).sum((1, 2)) for a, p, n in of.tolist()
    )
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("ranking", ["l1", "taylor", "trr"])
def test_iterative_pruning_trains_between_and_after_and_is_made_once(ranking: str, tmp_path: Path) -> None:
    network = coupled()
    learner = learner_of(network, tmp_path)
    told: list[str] = []
    object.__setattr__(learner, "stage", lambda title: told.append(title) or (lambda done, words: None))
    made = PRUNE.compress(learner, Request("4x", epochs=6, budget=ranking))
    assert [title.split(", ")[1:] for title in told] == [
        [f"pruned by {ranking}", f"step {step} of 3"] for step in (1, 2, 3)
    ]
    assert PRUNE.compress(learner, Request("4x", epochs=6, budget=ranking)) == made
    assert len(told) == 3
    assert run(PRUNE.restored(network, made, "stock"), examples(network.inputs))[0].isfinite().all()


def test_epochs_are_split_and_none_is_lost() -> None:
    assert pruning.epochs_of(Request(one_shot=True, fine_tune=7), "classification") == (7,)
    for total, steps in ((1, (1,)), (2, (1, 1)), (3, (1, 1, 1)), (8, (2, 2, 4)), (60, (15, 15, 30))):
        assert pruning.epochs_of(Request(epochs=total), "classification") == steps
    assert sum(pruning.epochs_of(Request(), "classification")) == 60


@pytest.mark.parametrize("ranking", ["l1", "taylor"])
def test_without_labels_permuted_labels_change_no_bit_of_the_package(ranking: str, tmp_path: Path) -> None:
    network, (inputs, answers) = coupled(), classes()
    made = [
        PRUNE.compress(
            learning(network, tmp_path / str(turn), inputs, np.roll(answers, turn)),
            Request("4x", epochs=2, budget=ranking, labels=False),
        )
        for turn in (0, 7)
    ]
    assert made[0] == made[1]
    told = PRUNE.compress(learner_of(network, tmp_path / "told"), Request("4x", epochs=2, budget=ranking))
    assert told != made[0]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("4x", budget="energy"), "energy"),
        (Request("small"), "'small' is not a compression target"),
        (Request(one_shot=True), "needs a target"),
        (Request("4x", fine_tune=2), "these are to go step by step"),
        (Request("4x", one_shot=True, epochs=2), "with --one-shot there is one step"),
        (Request("4x", one_shot=True, budget="trr", labels=False), "no labels are to be used"),
        (Request("4x", one_shot=True, budget="trr"), "trr looks at pictures"),
        (Request("4x", one_shot=True, budget="taylor"), "taylor looks at pictures"),
        (Request("9", one_shot=True), r"cannot be scaled down to 9 parameters: .* it has [\d,]+"),
        (Request("9MAC", one_shot=True), r"cannot be scaled down to 9 multiply-adds: .* it has [\d,]+"),
        (Request("1MB", one_shot=True), "no more than the 1,000,000 of the target"),
    ],
)
def test_requests_that_make_no_sense_are_refused(request_: Request, words: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, UnknownName), match=words):
        PRUNE.compress(learnt(coupled(), tmp_path), request_)


def test_the_least_multiply_adds_that_are_offered_are_enough(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        PRUNE.compress(learnt(coupled(), tmp_path), Request("9MAC", one_shot=True))
    least = caught.value.fix.split()[2]
    assert least.endswith("MAC")
    made = PRUNE.compress(learnt(coupled(), tmp_path), Request(least, one_shot=True))
    assert count(PRUNE.restored(coupled(), made, "stock"), coupled().inputs).macs <= int(
        least.removesuffix("MAC").replace(",", "")
    )


@pytest.mark.parametrize(
    ("make", "shape"),
    [(lambda: nn.Linear(4, 3), (4,)), (lambda: nn.LSTM(4, 3, batch_first=True), (5, 4)), (nn.ReLU, (3,))],
)
def test_a_network_of_which_nothing_can_go_is_refused(
    make: Callable[[], nn.Module], shape: tuple[int, ...], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cannot be scaled down"):
        PRUNE.compress(learnt(small(make, *shape), tmp_path), Request("2x", one_shot=True))


def test_untrained_weights_are_refused_since_their_ranking_is_noise(tmp_path: Path) -> None:
    network = small(lambda: nn.Sequential(nn.Linear(6, 16), nn.Linear(16, 3)), 6, trained=False)
    for seeded in (False, True):
        with pytest.raises(UsageError, match="ranking noise"):
            PRUNE.compress(learnt(network, tmp_path), Request("2x", one_shot=True, seeded=seeded))


def test_taylor_without_labels_is_refused_of_values_and_trr_of_data_without_classes(tmp_path: Path) -> None:
    network = coupled(task="other")
    inputs, _ = classes()
    learner = learning(network, tmp_path, inputs, np.zeros((60, 4), np.float32))
    for request, words in (
        (Request("4x", one_shot=True, budget="taylor", labels=False), "taylor would rank nothing"),
        (Request("4x", one_shot=True, budget="trr"), "has no class for each"),
    ):
        with pytest.raises(UsageError, match=words):
            PRUNE.compress(learner, request)


def test_a_package_of_another_network_or_method_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    network = coupled()
    made = PRUNE.compress(learnt(network, tmp_path), Request("4x", one_shot=True))
    held = tensors.unpack(made)
    apart = held["structure"].clone()
    apart[1] -= 4
    for damaged in (
        made[:-3],
        tensors.pack(held | {"values": held["values"][:-1]}),
        tensors.pack(held | {"structure": apart}),
    ):
        with pytest.raises((CorruptData, UsageError)):
            PRUNE.restored(network, damaged, "stock")
    with pytest.raises(UsageError, match="not one of prune"):
        PRUNE.restored(network, method("half").compress(learnt(network, tmp_path), Request()), "stock")
    with pytest.raises(UsageError, match="does not fit small"):
        PRUNE.restored(small(lambda: nn.Sequential(nn.Linear(6, 16), nn.Linear(16, 3)), 6), made, "stock")


def test_grouped_layers_that_would_be_left_uneven_are_not_cut() -> None:
    layer = nn.Sequential(nn.Conv2d(4, 8, 1, groups=2))
    with pytest.raises(ValueError, match="different numbers"):
        structure.selected(layer, {"0": {"into": [0, 1, 2, 3], "out": [0, 1, 2, 3, 4, 5]}})


class Together(nn.Module):
    """The groups of a norm reach over the border of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.norm = nn.Conv2d(3, 24, 1), nn.Conv2d(3, 12, 1), nn.GroupNorm(4, 36)
        self.last = nn.Conv2d(36, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(torch.cat([self.one(x), self.other(x)], 1)))


def test_a_norm_whose_groups_would_be_left_uneven_is_refused_in_words(tmp_path: Path) -> None:
    network = small(lambda: Together().eval(), 3, 4, 4)
    with pytest.raises(UsageError, match="cannot be pruned: of one of its layers in groups the groups"):
        PRUNE.compress(learnt(network, tmp_path), Request("3x", one_shot=True))


# --- distil ----------------------------------------------------------------------------------------------------------


def test_distil_is_the_small_network_with_a_teacher_and_learns_with_labels_or_without(tmp_path: Path) -> None:
    network, distil = coupled(), method("distil")
    learner = learner_of(network, tmp_path)
    told = distil.compress(learner, Request("4x", epochs=2))
    untaught = method("dense-small").compress(learner, Request("4x", epochs=2))
    assert told != untaught
    assert tensors.unpack(told)[package.STRUCTURE].tolist() == tensors.unpack(untaught)[package.STRUCTURE].tolist()
    alone = distil.compress(learner, Request("4x", epochs=2, labels=False))
    assert alone != told
    (inputs, answers) = classes()
    other = learning(network, tmp_path / "other", inputs, np.roll(answers, 5))
    assert distil.compress(other, Request("4x", epochs=2, labels=False)) == alone
    family = Family(network, network.build())
    assert (
        parameters(distil.restored(network, alone, "stock")) <= family.limit(distil.target(network, Request("4x"))).most
    )


def test_distil_without_a_teacher_is_refused(tmp_path: Path) -> None:
    network = small(
        lambda: nn.Sequential(nn.Linear(6, 16), nn.Linear(16, 3)), 6, trained=False, twin=lambda: nn.Linear(6, 3)
    )
    learner = learning(network, tmp_path, np.zeros((4, 6)), np.zeros(4, np.int64))
    with pytest.raises(UsageError, match="distil needs a teacher"):
        method("distil").compress(learner, Request("4x"))
    assert package.STRUCTURE in tensors.unpack(method("dense-small").compress(learner, Request("4x", epochs=1)))
