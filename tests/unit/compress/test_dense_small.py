"""dense-small: any network with fewer channels, within its target, and read back exactly without torch-pruning."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import torch as safetensors
from torch import Tensor, nn

from bench.compress import method, tensors
from bench.compress.method import Request
from bench.compress.narrower import package, recipe, scaling, structure
from bench.errors import CorruptData, UsageError
from bench.networks import Network, resolve
from bench.networks.count import examples, run
from tests.unit.compress.compress_kit import learning, learnt, small

DENSE = method("dense-small")
SEEDED = {"one_shot": True, "seeded": True}


class Residual(nn.Module):
    """A sum that keeps two layers equally wide, a depthwise and a grouped convolution, three kinds of norms, a
    concatenation, and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.depthwise, self.point = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 16, 1)
        self.grouped, self.norm2 = nn.Conv2d(16, 24, 3, padding=1, groups=4), nn.GroupNorm(4, 24)
        self.down, self.norm3 = nn.Conv2d(24, 32, 2, stride=2), nn.InstanceNorm2d(32)
        self.up, self.relu = nn.ConvTranspose2d(32, 12, 2, stride=2), nn.PReLU(12)
        self.last = nn.Conv2d(24 + 12, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.first(x)).relu()
        x = x + self.point(self.depthwise(x))
        wide = self.norm2(self.grouped(x)).relu()
        x = self.relu(self.up(self.norm3(self.down(wide))))
        return self.last(torch.cat([wide, x], 1))


class Scaled(nn.Module):
    """A bare parameter for each channel, as ConvNeXt has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.point = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
        self.scale = nn.Parameter(torch.full((16, 1, 1), 0.5))
        self.last = nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        return self.last(x + self.scale * self.point(x))


class Confusing(Residual):
    """With a bare parameter torch-pruning (1.6.1) loses count at the concatenation: those layers stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((16, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.first(x)).relu()
        x = x + self.scale * self.point(self.depthwise(x))
        wide = self.norm2(self.grouped(x)).relu()
        return self.last(torch.cat([wide, self.up(self.norm3(self.down(wide)))], 1))


class Attention(nn.Module):
    """Everything but the hidden layer is as wide as the attention asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(6, 16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.hidden = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))
        self.last = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inside(x)
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.last((x + self.hidden(x)).mean(1))


class Fixed(nn.Module):
    """Its forward knows how many channels there are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8 * 49, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x).view(-1, 8 * 49))


class Branching(nn.Module):
    """Looks at its values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return self.last(x if x.mean() > 0 else -x)


def sequence() -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7, 4))


def tied() -> nn.Module:
    """Two layers of one weight, and one between others that can be narrower."""
    network = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3))
    network[1].weight = network[0].weight
    return network


KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (3, 8, 8)),
    "scaled": (Scaled, (3, 8, 8)),
    "confusing": (Confusing, (3, 8, 8)),
    "attention": (Attention, (5, 6)),
    "branching": (Branching, (3, 9, 9)),
    "sequence": (sequence, (2, 9)),
    "tied": (tied, (6,)),
}


def kind(name: str) -> Network:
    make, shape = KINDS[name]
    return small(make, *shape, trained=False)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def parameters_in(made: bytes) -> int:
    return tensors.unpack(made)["values"].numel()


def seeded(network: Network, target: str, folder: Path) -> bytes:
    return DENSE.compress(learnt(network, folder), Request(target, **SEEDED))


@pytest.mark.parametrize("name", KINDS)
def test_a_network_of_any_kind_is_scaled_down_and_answers_in_the_same_shape(name: str, tmp_path: Path) -> None:
    network = kind(name)
    made = DENSE.restored(network, seeded(network, "3x", tmp_path), "stock")
    assert parameters(made) <= parameters(network.build()) / 1.5
    (x,) = examples(network.inputs, 5)
    assert made(x).shape == network.build()(x).shape
    assert made(x).isfinite().all()


def test_channels_that_go_together_are_found_and_outputs_stay(tmp_path: Path) -> None:
    network = kind("residual")
    module = network.build()
    found = scaling.groups(module, examples(network.inputs), "small")
    assert sorted((group.channels, group.step) for group in found) == [(12, 1), (16, 4), (24, 4), (32, 1)]
    made = structure.resized(module, scaling.widths(structure.sites(module), found, tuple(g.step for g in found)))
    assert (made.depthwise.groups, made.grouped.groups) == (made.depthwise.in_channels, 4)
    assert made.last.in_channels == made.up.out_channels + made.grouped.out_channels
    assert (made.first.in_channels, made.last.out_channels) == (3, 5)
    assert made.norm3.num_features == made.down.out_channels


def test_a_bare_parameter_goes_with_its_channels() -> None:
    network = kind("scaled")
    module = network.build()
    (group,) = scaling.groups(module, examples(network.inputs), "small")
    made = structure.resized(module, scaling.widths(structure.sites(module), [group], (7,)))
    assert made.scale.shape == (7, 1, 1)
    assert made.last.in_channels == made.first.out_channels == 7


def test_attention_keeps_its_width_and_layers_of_one_weight_keep_theirs() -> None:
    for name, wide in (("attention", {"hidden.0", "hidden.2"}), ("tied", {"2", "4"})):
        network = kind(name)
        module = network.build()
        groups = scaling.groups(module, examples(network.inputs), name)
        widths = scaling.widths(structure.sites(module), groups, tuple(group.step for group in groups))
        assert set(widths) == wide


@pytest.mark.parametrize("target", ["700", "5x", "1100B", "1.4kB"])
def test_the_target_is_respected_and_used(target: str, tmp_path: Path) -> None:
    network = small(lambda: nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10)), 20, trained=False)
    made = seeded(network, target, tmp_path)
    least, most = {
        "700": (600, 700), "5x": (700, 797), "1100B": (850, 1100), "1.4kB": (1150, 1400),
    }[target]  # fmt: skip
    amount = len(made) if target.endswith("B") else parameters_in(made)
    assert least < amount <= most


def test_the_fewest_bytes_that_are_offered_are_enough(tmp_path: Path) -> None:
    network = kind("sequence")
    with pytest.raises(UsageError, match="cannot be scaled down to 9 bytes") as caught:
        seeded(network, "9B", tmp_path)
    least = caught.value.fix.split()[2].removesuffix("B").replace(",", "")
    made = seeded(network, f"{least}B", tmp_path)
    assert len(made) <= int(least)
    assert DENSE.restored(network, made, "stock")
    with pytest.raises(UsageError, match="cannot be scaled down"):
        seeded(network, f"{int(least) - 1}B", tmp_path)


@given(st.floats(1, 12))
@settings(deadline=None, max_examples=15)
def test_no_target_is_exceeded(ratio: float) -> None:
    network = kind("residual")
    module = network.build()
    groups = scaling.groups(module, examples(network.inputs), "small")
    found, most = structure.sites(module), parameters(module) / ratio

    def amount(kept: scaling.Kept) -> int:
        return parameters(structure.resized(module, scaling.widths(found, groups, kept)))

    kept = scaling.fitting(groups, lambda tried: amount(tried) <= most)
    if kept is None:
        assert amount(tuple(group.step for group in groups)) > most
    else:
        assert amount(kept) <= most


@pytest.mark.parametrize("name", ["residual", "sequence"])
def test_a_trained_one_is_read_back_exactly_and_without_torch_pruning(name: str, tmp_path: Path) -> None:
    network = kind(name)
    (x,) = examples(network.inputs, 3)
    inputs = np.concatenate([examples(network.inputs, seed)[0].numpy() for seed in range(12)])
    answers = np.random.default_rng(1).normal(size=(12, *network.build()(x).shape[1:])).astype(np.float32)
    learner = learning(network, tmp_path, inputs, answers)
    made = DENSE.compress(learner, Request("4x", epochs=2))
    assert made == DENSE.compress(learner, Request("4x", epochs=2))
    module = DENSE.restored(network, made, "stock")
    for path, parameter in module.named_parameters():
        assert torch.equal(parameter, parameter.half().float()), path
    assert DENSE.size(network, made).kept == {
        path: parameter.numel() for path, parameter in module.named_parameters() if parameter.dim() > 1
    }
    (tmp_path / "made").write_bytes(made)
    np.save(tmp_path / "x.npy", x.numpy())
    np.save(tmp_path / "y.npy", module(x).detach().numpy())
    code = f"""
import sys, numpy, torch
sys.modules["torch_pruning"] = None  # importing it fails
from pathlib import Path
from bench.compress import method
from tests.unit.compress.test_dense_small import kind
folder = Path({str(tmp_path)!r})
made = method("dense-small").restored(kind({name!r}), (folder / "made").read_bytes(), "stock")
found = made(torch.from_numpy(numpy.load(folder / "x.npy"))).detach().numpy()
print(abs(found - numpy.load(folder / "y.npy")).max() < 1e-6)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "True\n"


def test_running_statistics_that_cannot_be_folded_are_kept(tmp_path: Path) -> None:
    network = kind("branching")
    made = structure.resized(network.build(), {})
    with torch.no_grad():
        made.norm.running_mean += 3
    written = package.write(network, {}, made)
    assert torch.equal(DENSE.restored(network, written, "stock").norm.running_mean, made.norm.running_mean)
    assert "buffer.norm.running_var" not in tensors.unpack(written)


class RandomFeatures(nn.Module):
    """A buffer that is drawn and never learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("drawn", torch.randn(6, 6))
        self.layers = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers((x @ self.drawn).cos())


def test_buffers_of_another_seed_are_kept(tmp_path: Path) -> None:
    network = small(RandomFeatures, 6, trained=False)
    made = DENSE.compress(learnt(network, tmp_path), Request("150", seed=7, **SEEDED))
    assert torch.equal(DENSE.restored(network, made, "stock").drawn, network.build(7).drawn)


def test_an_interrupted_training_goes_on_to_the_same_package(tmp_path: Path) -> None:
    network = small(
        lambda: nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2)), 6, trained=False, task="classification"
    )
    inputs = np.random.default_rng(1).normal(size=(90, 6))
    answers = (inputs[:, 0] > 0).astype(np.int64)
    whole = DENSE.compress(learning(network, tmp_path / "a", inputs, answers), Request("4x", epochs=5))
    learner = learning(network, tmp_path / "b", inputs, answers)
    real, told = recipe.recipe, []

    class Stop(Exception):
        pass

    def stage(title: str) -> Callable[[float, str], None]:
        def progress(done: float, words: str) -> None:
            if "small" in title and "not compressed" not in title and done > 0.5:
                raise Stop

        told.append(title)
        return progress

    object.__setattr__(learner, "stage", stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.compress.checkpoint.Checkpoint.due", True)
        with pytest.raises(Stop):
            DENSE.compress(learner, Request("4x", epochs=5))
    again = learning(network, tmp_path / "b", inputs, answers)
    object.__setattr__(again, "stage", lambda title: told.append(title) or (lambda done, words: None))
    assert DENSE.compress(again, Request("4x", epochs=5)) == whole
    assert any("from where it was interrupted" in title for title in told)
    assert real is recipe.recipe


def test_trained_weights_are_forgotten() -> None:
    def make() -> nn.Module:
        network = nn.Sequential(nn.Linear(30, 40), nn.BatchNorm1d(40), nn.Linear(40, 3))
        with torch.no_grad():
            network[0].weight.fill_(7)
            network[1].running_mean.fill_(7)
        return network

    made = recipe.initial(small(make, 30), 1)
    assert made[0].weight.abs().max() < 1
    assert not made[1].running_mean.any()
    assert torch.equal(recipe.initial(small(make, 30), 1)[0].weight, made[0].weight)
    assert torch.equal(recipe.initial(small(make, 30, trained=False), 1)[0].weight, make()[0].weight)


def test_fewer_inputs_make_initial_weights_larger_as_their_rule_asks_for() -> None:
    torch.manual_seed(1)
    layer = nn.Sequential(nn.Linear(400, 100), nn.Linear(100, 100))
    made = structure.resized(layer, {"1": structure.Width(25, 100)})
    assert (made[1].weight.std() / layer[1].weight.std()).item() == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [
        (Fixed, (3, 9, 9), "none of its 2 groups of channels can be fewer"),
        (lambda: nn.Linear(4, 3), (4,), "none of its 1 groups"),
        (lambda: nn.LSTM(4, 3, batch_first=True), (5, 4), "cannot be scaled down"),
        (nn.ReLU, (3,), "cannot be scaled down"),
    ],
)
def test_what_cannot_be_scaled_is_refused_with_the_reason(
    make: Callable[[], nn.Module], shape: tuple[int, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        seeded(small(make, *shape, trained=False), "2x", tmp_path)


def test_widths_are_multiples_of_four_where_there_are_as_many() -> None:
    group = scaling.Group(50, 1, {})
    assert [group.nearest(width) for width in (0.2, 2.6, 3.4, 4, 5.9, 6.1, 13, 49, 80)] == [
        1,
        3,
        3,
        4,
        4,
        8,
        12,
        48,
        50,
    ]
    assert [scaling.Group(24, 3, {}).nearest(width) for width in (1, 4, 7.4, 30)] == [3, 3, 6, 24]
    assert [scaling.Group(64, 8, {}).nearest(width) for width in (1, 11, 13)] == [8, 8, 16]


@given(
    st.lists(st.integers(2, 600), min_size=1, max_size=5), st.lists(st.integers(1, 9), min_size=5, max_size=5),
    st.floats(0, 1),
)  # fmt: skip
@settings(deadline=None)
def test_what_fits_is_wide_where_it_can_be_and_never_too_wide(
    channels: list[int], costs: list[int], share: float
) -> None:
    groups = [scaling.Group(each, 1, {}) for each in channels]

    def amount(kept: scaling.Kept) -> int:
        return sum(cost * few for cost, few in zip(costs, kept, strict=False))

    most = share * amount(tuple(channels))
    kept = scaling.fitting(groups, lambda tried: amount(tried) <= most)
    if kept is None:
        assert amount((1,) * len(groups)) > most
    else:
        assert amount(kept) <= most
        assert all(1 <= few <= group.channels for few, group in zip(kept, groups, strict=True))


def test_a_bottleneck_is_avoided() -> None:
    groups = [scaling.Group(channels, 1, {}) for channels in (20, 50, 500)]
    by_power = scaling.fitting(groups, lambda kept: sum(kept) <= 24)
    assert by_power is not None
    assert by_power[0] > 1
    by_factor = scaling.fitting(groups, lambda kept: sum(kept) <= 285)
    assert by_factor is not None
    assert by_factor == pytest.approx([10, 25, 250], rel=0.21)


def test_targets_out_of_reach_say_what_is_within(tmp_path: Path) -> None:
    network = kind("sequence")
    with pytest.raises(UsageError, match=r"cannot be scaled down to 9 parameters: .* it has (\d+)") as caught:
        seeded(network, "9", tmp_path)
    least = caught.value.fix.split()[2]
    assert parameters_in(seeded(network, least, tmp_path)) == int(least)
    with pytest.raises(UsageError, match="no more than the 1,000,000 of the target"):
        seeded(network, "1MB", tmp_path)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("4x", one_shot=True), "trains a smaller network from the start"),
        (Request("4x", fine_tune=2), "trains a smaller network from the start"),
        (Request("4x", budget="energy"), "the budget energy"),
        (Request("4x", labels=False), "dense-small learns from labels alone, and none are to be used"),
        (Request("small"), "'small' is not a compression target"),
        (Request(), "needs a target"),
        (Request("4x"), "there is no data to train small with"),
    ],
)
def test_requests_that_make_no_sense_are_refused(request_: Request, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        DENSE.compress(learnt(kind("sequence"), tmp_path), request_)
    assert "coefficients" not in caught.value.fix


def test_packages_of_another_network_or_method_are_refused(tmp_path: Path) -> None:
    made = seeded(kind("sequence"), "4x", tmp_path)
    with pytest.raises(UsageError, match="tells of 3 layers instead of"):
        DENSE.restored(kind("residual"), made, "stock")
    narrower = small(lambda: nn.Sequential(nn.Conv1d(2, 1, 3), nn.BatchNorm1d(1), nn.Linear(7, 4)), 2, 9)
    with pytest.raises(UsageError, match=r"0 is 2 → \d+ in it, and 2 → 1 in the network"):
        DENSE.restored(narrower, made, "stock")
    other = method("half").compress(learnt(kind("sequence"), tmp_path), Request())
    with pytest.raises(UsageError, match="not one of dense-small"):
        DENSE.restored(kind("sequence"), other, "stock")


def changed(made: bytes, **other: Tensor) -> bytes:
    return tensors.pack(tensors.unpack(made) | other)


def test_damaged_packages_are_refused(tmp_path: Path) -> None:
    network = kind("sequence")
    made = seeded(network, "4x", tmp_path)
    held = tensors.unpack(made)
    widths, values = held["structure"], held["values"]
    apart = widths.clone()
    apart[1] -= 1  # the convolution's channels, but not those of what follows it
    for damaged, words in (
        (made[:-3], "not a safetensors file"),
        (b"", "not a safetensors file"),
        (changed(made, values=values[:-1]), f"holds {len(values) - 1} values for {len(values)} parameters"),
        (changed(made, values=values.float()), "its values as float32 instead of float16"),
        (changed(made, values=values.view(1, -1)), f"its values as 1×{len(values)} instead of in one row"),
        (safetensors.save(held), "no check sum"),
        (changed(made, structure=apart), "do not go together"),
        (changed(made, junk=torch.zeros(2)), "nothing that the network has"),
        (changed(made, **{"buffer.9": torch.zeros(2)}), "nothing that the network has"),
    ):
        with pytest.raises((CorruptData, UsageError), match=words):
            DENSE.restored(network, damaged, "stock")
    for absurd in (0, -5, 2**31 - 1):
        wrong = widths.clone()
        wrong[1] = absurd
        with pytest.raises(UsageError, match="does not fit small"):
            DENSE.restored(network, changed(made, structure=wrong), "stock")


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_package_with_other_bytes_is_refused_or_says_the_same(data: st.DataObject) -> None:
    made = bytearray(of_a_sequence())
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    network = kind("sequence")
    try:
        module = DENSE.restored(network, bytes(made), "stock")
    except (CorruptData, UsageError):
        return
    right = DENSE.restored(network, of_a_sequence(), "stock").state_dict()
    assert all(torch.equal(tensor, right[name]) for name, tensor in module.state_dict().items())
    assert run(module, examples(network.inputs))[0].shape == (1, 4)


@given(st.data())
@settings(deadline=None)
def test_a_flipped_bit_among_widths_and_values_is_refused(data: st.DataObject) -> None:
    made = bytearray(of_a_sequence())
    start = 8 + int.from_bytes(made[:8], "little")
    made[data.draw(st.integers(start, len(made) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptData, match="check sum does not match"):
        DENSE.restored(kind("sequence"), bytes(made), "stock")


def test_a_buffer_of_another_shape_or_type_is_refused_by_what_differs(tmp_path: Path) -> None:
    network = kind("branching")
    made = structure.resized(network.build(), {})
    with torch.no_grad():
        made.norm.running_mean += 3
    written = package.write(network, {}, made)
    name = "buffer.norm.running_mean"
    for other, words in (
        (torch.zeros(3), "is 3 of float32, and in the network 8 of float32"),
        (torch.zeros(8).double(), "is 8 of float64, and in the network 8 of float32"),
    ):
        with pytest.raises(CorruptData, match=words):
            DENSE.restored(network, changed(written, **{name: other}), "stock")


@cache
def of_a_sequence() -> bytes:
    network = kind("sequence")
    module = network.build()
    groups = scaling.groups(module, examples(network.inputs), "small")
    widths = scaling.widths(structure.sites(module), groups, tuple(3 * group.step for group in groups))
    return package.write(network, widths, structure.resized(module, widths))


@pytest.mark.parametrize("name", ["resnet18", "vae"])
def test_networks_of_bench_are_scaled(name: str, tmp_path: Path) -> None:
    network = resolve(name)
    made = DENSE.restored(network, seeded(network, "40x", tmp_path), "stock")
    assert parameters(network.build()) / 30 < parameters(made) <= parameters(network.build()) / 20
