"""Int8: scales by other means, packages that say what they hold, and layers that stay float."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn

from bench import runtimes
from bench.compress import method, tensors
from bench.compress.int8 import layers, scales
from bench.compress.int8.method import METHOD
from bench.compress.int8.package import read, write
from bench.compress.method import Request
from bench.errors import BenchError, CorruptData, UnknownName, UsageError
from bench.export.steps import Rounding
from bench.networks import Network
from bench.networks.count import examples
from tests.unit.compress.compress_kit import learning, learnt, small

INT8 = METHOD
PICTURES = np.random.default_rng(1).random((12, 3, 8, 8)).astype(np.float32)
CLASSES = np.arange(12) % 4


class Mixed(nn.Module):
    """Everything that int8 takes or leaves: a residual sum, a concatenation, groups, a transposed convolution, and a
    linear layer of a sequence."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.deep, self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1, groups=2)
        self.up, self.places = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Linear(16, 16)
        self.last = nn.Linear(4 * 16 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = x + self.grouped(nn.functional.relu6(self.deep(x)))
        found: Tensor = self.last(self.places(self.up(x)).flatten(1))
        return found


def mixed() -> Network:
    return small(Mixed, 3, 8, 8)


def packed(folder: Path, network: Network | None = None, budget: str = "uniform") -> bytes:
    learner = learning(network or mixed(), folder, PICTURES, CLASSES)
    return INT8.compress(learner, Request(one_shot=True, budget=budget))


def slow_scale(histogram: np.ndarray, largest: float) -> float:
    """The calibration of TensorRT's presentation, bin by bin."""
    best, chosen = math.inf, 2048
    for width in range(128, len(histogram) + 1):
        wanted = [float(count) for count in histogram[:width]]
        wanted[-1] += float(histogram[width:].sum())
        levels, used = [0.0] * 128, [0.0] * 128
        shares: list[list[tuple[int, float]]] = []
        for place in range(width):
            at, end, mine = place * 128 / width, (place + 1) * 128 / width, []
            while end - at > 1e-12:
                level = min(127, int(at + 1e-12))
                part = min(end, level + 1) - at
                mine.append((level, part * width / 128))
                at += part
            shares.append(mine)
            for level, part in mine:
                levels[level] += part * histogram[place]
                used[level] += part * (histogram[place] > 0)
        found = [
            sum(part * levels[level] / used[level] for level, part in mine if used[level]) if histogram[place] else 0.0
            for place, mine in enumerate(shares)
        ]
        p, q = sum(wanted), sum(found) or 1.0
        distance = sum(
            one / p * math.log(one / p / max(other / q, 1e-9)) for one, other in zip(wanted, found, strict=True) if one
        )
        if distance < best - 1e-12:
            best, chosen = distance, width
    return 127 / (chosen * largest / len(histogram))


@pytest.mark.parametrize("seed", [1, 2])
def test_calibration_by_divergence_is_that_of_a_slow_second_implementation(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.abs(random.standard_t(3, size=20_000)) if seed == 1 else random.exponential(size=3_000)
    largest = float(values.max())
    histogram = np.histogram(values, 300, (0, largest))[0].astype(np.float64)
    found = scales.divergence(histogram, largest)
    assert found == pytest.approx(slow_scale(histogram, largest), rel=2e-3)
    assert found > (127 / largest if seed == 1 else 0)  # where few values are far out, they are clipped


def test_an_input_that_is_always_zero_has_a_scale() -> None:
    assert scales.divergence(np.zeros(2048), 0.0) == scales.absmax(0.0) == 1.0


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float32, arrays.array_shapes(min_dims=2, max_dims=4, max_side=6),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    )
)  # fmt: skip
def test_a_weight_is_within_half_a_step_of_what_it_was(weight: np.ndarray) -> None:
    codes, steps = scales.quantised(weight)
    assert np.isfinite(steps).all()
    assert (steps > 0).all()
    assert np.abs(codes.astype(int)).max(initial=0) <= 127
    back = scales.dequantised(codes, steps)
    half = 0.5 / steps.reshape(-1, *[1] * (weight.ndim - 1))
    assert (np.abs(back - weight) <= half * 1.0001).all()


def test_halves_are_rounded_away_from_zero_and_ends_are_held() -> None:
    values = np.array([0.5, 1.5, -0.5, -2.5, 126.5, 127.6, -300, 0.49], np.float32)
    assert scales.codes(values, np.ones(1, np.float32)).tolist() == [1, 2, -1, -3, 127, 127, -127, 0]
    assert Rounding()(torch.from_numpy(values)).tolist() == [1, 2, -1, -3, 127, 127, -127, 0]


def test_what_has_integer_kernels_is_quantised_and_the_rest_is_named(tmp_path: Path) -> None:
    package = packed(tmp_path)
    made = INT8.restored(mixed(), package, "full")
    kinds = {name: type(module).__name__ for name, module in made.named_modules() if "rounding" not in name and name}
    assert kinds == {
        "first": "Int8Convolution", "norm": "Identity", "deep": "Int8Convolution", "grouped": "Conv2d",
        "up": "ConvTranspose2d", "places": "Linear", "last": "Int8Linear",
    }  # fmt: skip
    assert layers.left(mixed().build(), {"first": 1, "deep": 1, "last": 1}) == {
        "grouped": "Conv2d",
        "up": "ConvTranspose2d",
        "places": "Linear",
    }
    (x,) = examples(mixed().inputs, 3)
    ordinary = mixed().build().eval()
    for form, near in (("full", 0.05), ("weights", 0.02)):
        answers = INT8.restored(mixed(), package, form)(x)
        assert (answers - ordinary(x)).abs().max() < near * ordinary(x).abs().max(), form
    held = tensors.unpack(package)
    assert held["deep.weight"].dtype == torch.int8
    assert held["int8/scales"].numel() == 8 + 8 + 4
    assert held["up.weight"].dtype == torch.float32


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 4)),
        lambda: nn.Conv2d(3, 4, 3),
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 3, padding="same")
        ),
        lambda: nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 4, (3, 1), stride=2, bias=False), nn.Conv2d(4, 6, 1)),
    ],
)
def test_any_module_can_be_quantised(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    def seeded() -> nn.Module:
        torch.manual_seed(3)
        return make()

    network = small(seeded, 3, 8, 8)
    (x,) = examples(network.inputs, 3)
    wanted = network.build()(x)
    found = INT8.restored(network, packed(tmp_path, network), "full")(x)
    assert (found - wanted).abs().max() < 0.06 * wanted.abs().max()


def test_attention_and_recurrence_stay_float(tmp_path: Path) -> None:
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(2)
            self.look = nn.Conv2d(3, 8, 3)
            self.recur = nn.LSTM(36, 8, batch_first=True)
            self.attend = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.attend(self.recur(self.look(x).flatten(2))[0])
            return found

    network = small(Sequence, 3, 8, 8)
    held = tensors.unpack(packed(tmp_path, network))
    assert [name for name, tensor in held.items() if tensor.dtype == torch.int8] == ["look.weight"]


def test_without_data_only_the_weights_are_in_int8(tmp_path: Path) -> None:
    package = INT8.compress(learnt(mixed(), tmp_path), Request(one_shot=True))
    assert "int8/inputs" not in tensors.unpack(package)
    with pytest.raises(UsageError, match="needs pictures to calibrate with"):
        INT8.restored(mixed(), package, "full")
    INT8.restored(mixed(), package, "weights")


def test_seeded_weights_are_calibrated_with_seeded_values(tmp_path: Path) -> None:
    package = INT8.compress(learnt(mixed(), tmp_path), Request(one_shot=True, seeded=True))
    INT8.restored(mixed(), package, "full")


def test_rules_of_calibration_differ_and_others_are_unknown(tmp_path: Path) -> None:
    assert packed(tmp_path, budget="kl") == packed(tmp_path)
    assert packed(tmp_path, budget="absmax") != packed(tmp_path)
    with pytest.raises(UnknownName, match="energy"):
        INT8.check(Request(budget="energy"))


@pytest.mark.parametrize("request_", [Request("20x"), Request(fine_tune=3)])
def test_what_it_does_not_do_is_refused(request_: Request) -> None:
    with pytest.raises(UsageError):
        INT8.check(request_)


def test_a_network_without_such_layers_is_refused(tmp_path: Path) -> None:
    network = small(lambda: nn.Conv1d(3, 4, 3), 3, 9)
    with pytest.raises(UsageError, match="no convolution of pictures and no linear layer"):
        INT8.compress(learnt(network, tmp_path), Request(one_shot=True))


def test_only_our_runner_computes_it_in_int8() -> None:
    ours, torchs = runtimes.runtime("ncnn"), runtimes.runtime("torch")
    assert INT8.precision("full", ours) == "int8"
    assert INT8.precision("weights", ours) is None
    assert INT8.precision("full", torchs) is None


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_package_is_read_back_or_refused(data: st.DataObject) -> None:
    torch.manual_seed(0)
    conv, dense = nn.Conv2d(2, 3, 3), nn.Linear(12, 2)
    network = nn.Sequential(conv, nn.Flatten(), dense)
    made = {name: layers.Quantised.of(layer) for name, layer in (("0", conv), ("2", dense))}
    made = {name: dataclasses.replace(one, input=0.5 + len(name)) for name, one in made.items()}
    package = write(network, made)
    back = read(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 2)), package)
    for name, one in made.items():
        assert (back[name].codes == one.codes).all()
        assert (back[name].scales == one.scales).all()
        assert back[name].input == one.input
    spoilt = bytearray(package)
    place = data.draw(st.integers(0, len(package) - 1))
    spoilt[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BenchError):
        read(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 2)), bytes(spoilt))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"int8/scales": torch.ones(4)}, "does not hold the 5 scales"),
        ({"int8/scales": torch.zeros(5)}, "not above zero"),
        ({"int8/scales": torch.ones(5, dtype=torch.float64)}, "does not hold"),
        ({"int8/inputs": torch.ones(1)}, "does not hold the 2 scales"),
        ({"int8/inputs": -torch.ones(2)}, "not above zero"),
    ],
)
def test_scales_that_cannot_be_are_refused(change: dict[str, Tensor], words: str) -> None:
    conv, dense = nn.Conv2d(2, 3, 3), nn.Linear(12, 2)
    network = nn.Sequential(conv, nn.Flatten(), dense)
    made = {name: layers.Quantised.of(layer) for name, layer in (("0", conv), ("2", dense))}
    held = tensors.unpack(write(network, made))
    with pytest.raises(CorruptData, match=words):
        read(network, tensors.pack(held | change))


def test_the_package_of_another_network_is_refused(tmp_path: Path) -> None:
    package = packed(tmp_path)
    other = small(lambda: nn.Sequential(nn.Conv2d(3, 4, 3)), 3, 8, 8)
    for form in ("full", "weights"):
        with pytest.raises(UsageError):
            INT8.restored(other, package, form)
    with pytest.raises(UsageError, match="not one of int8"):
        INT8.restored(mixed(), method("half").compress(learnt(mixed(), tmp_path), Request()), "weights")
