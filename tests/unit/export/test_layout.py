"""What a network is made of: multiply-adds by formula, places, and what lies in memory when."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench import networks
from bench.errors import ExportRefused
from bench.export.layout import Layout, layout, lines_of, plain, recorded
from bench.records import Tensor
from tests.unit.export.export_kit import Network

PICTURE = (6, 10, 12)
PIXELS = 10 * 12


def of(module: nn.Module, *shapes: tuple[int, ...]) -> Layout:
    inputs = [Tensor(name=f"in{number}", shape=shape) for number, shape in enumerate(shapes)]
    return layout(module.eval(), inputs)


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(query, key, value)


FORMULAS: dict[str, tuple[nn.Module, tuple[tuple[int, ...], ...], int]] = {
    "a convolution": (nn.Conv2d(6, 8, 3, padding=1), (PICTURE,), 9 * 6 * 8 * PIXELS),
    "a convolution with steps and without an edge": (nn.Conv2d(6, 8, 3, stride=2), (PICTURE,), 9 * 6 * 8 * 4 * 5),
    "a grouped convolution": (nn.Conv2d(6, 8, 3, padding=1, groups=2), (PICTURE,), 9 * 3 * 8 * PIXELS),
    "a depthwise convolution": (nn.Conv2d(6, 6, 5, padding=2, groups=6), (PICTURE,), 25 * 6 * PIXELS),
    "a transposed convolution": (nn.ConvTranspose2d(6, 4, 2, stride=2), (PICTURE,), 4 * 6 * 4 * PIXELS),
    "a linear layer": (nn.Linear(30, 7), ((30,),), 30 * 7),
    "a linear layer on rows": (nn.Linear(30, 7), ((5, 30),), 5 * 30 * 7),
    "attention": (Network(attention), ((2, 5, 4), (2, 9, 4), (2, 9, 4)), 2 * 5 * 9 * 4 * 2),
    "a product of matrices": (Network(torch.matmul), ((5, 6), (6, 7)), 5 * 6 * 7),
    "an LSTM": (nn.LSTM(3, 4, batch_first=True), ((5, 3),), 5 * 4 * 4 * (3 + 4)),
    "what is computed value by value": (nn.Sequential(nn.ReLU(), nn.Sigmoid()), (PICTURE,), 0),
}


@pytest.mark.parametrize("what", FORMULAS)
def test_the_multiply_adds_are_those_of_the_formula(what: str) -> None:
    module, shapes, macs = FORMULAS[what]
    assert of(module, *shapes).macs == macs


@pytest.mark.parametrize(
    ("name", "size", "macs", "parameters"),
    [
        ("mobilenetv2", None, 300_774_272, 3_504_872),  # the publication: 300 M and 3.4 M
        ("resnet18", None, 555_422_720, 11_173_962),  # for CIFAR, by its 3×3 beginning: 0.56 G and 11.17 M
    ],
)
def test_whole_networks_cost_what_is_known_of_them(name: str, size: None, macs: int, parameters: int) -> None:
    network = networks.resolve(name)
    found = layout(network.build(), network.inputs)
    assert (found.macs, found.parameters) == (macs, parameters)
    assert sum(one.parameters for one in found.operations) == parameters


def test_resnet18_for_imagenet_takes_1_8_g() -> None:
    def block(into: int, out: int, stride: int) -> nn.Module:
        return Residual(into, out, stride)

    sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2),
             (512, 512, 1)]  # fmt: skip
    first = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)]
    found = of(nn.Sequential(*first, *(block(*one) for one in sizes), *last), (3, 224, 224))
    assert found.macs == 1_814_073_344
    assert found.parameters == 11_689_512


class Residual(nn.Module):
    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.long = nn.Sequential(
            nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        other = into != out
        self.short = (
            nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if other else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.long(x) + self.short(x))


def test_an_operator_has_the_path_of_its_layer_and_the_users_line() -> None:
    found = of(Residual(6, 6, 1), PICTURE)
    assert [(one.module, one.name) for one in found.operations] == [
        ("long.0", "conv2d"), ("long.1", "batch_norm"), ("long.2", "relu"), ("long.3", "conv2d"),
        ("long.4", "batch_norm"), ("", "add"), ("", "relu"),
    ]  # fmt: skip
    assert found.operations[0].kind == "Conv2d"
    assert found.operations[5].line.startswith("test_layout.py:")
    assert found.operations[5].line.endswith("return F.relu(self.long(x) + self.short(x))")
    assert found.operations[0].shapes == (PICTURE,)


def test_a_tensor_is_in_memory_until_it_was_read_for_the_last_time() -> None:
    size = 4 * 6 * PIXELS
    conv = nn.Conv2d(6, 6, 1)

    def chain(x: torch.Tensor) -> torch.Tensor:
        return conv(conv(conv(x)))

    def skip(x: torch.Tensor) -> torch.Tensor:
        return conv(conv(conv(x))) + x

    assert of(Network(chain), PICTURE).peak == 2 * size
    assert of(Network(skip), PICTURE).peak == 3 * size


def test_what_is_computed_value_by_value_takes_the_place_of_its_input() -> None:
    size = 4 * 6 * PIXELS
    assert of(nn.Sequential(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.ReLU()), PICTURE).peak == 2 * size
    live = [one.live for one in of(nn.Sequential(nn.Conv2d(6, 6, 1), nn.ReLU()), PICTURE).operations]
    assert live == [2 * size, size]


def test_another_view_of_a_tensor_is_no_tensor_of_its_own() -> None:
    def views(x: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = x.flatten(1).reshape(1, 2, -1).transpose(1, 2)
        return rows.relu()

    found = of(Network(views), PICTURE)
    assert [one.bytes for one in found.operations] == [0, 0, 0, 4 * 6 * PIXELS]
    assert found.peak == 4 * 6 * PIXELS


def test_parts_of_a_tensor_keep_the_whole_of_it_in_memory() -> None:
    def halves(x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, 1)
        return torch.cat((torch.sigmoid(left), left), 1) + right.sum()

    size = 4 * 6 * PIXELS
    found = of(Network(halves), PICTURE)
    assert "getitem" not in [one.name for one in found.operations]
    assert found.peak == 2 * size + size // 2


def test_weights_that_are_used_twice_count_once() -> None:
    shared = nn.Linear(8, 8)

    def twice(x: torch.Tensor) -> torch.Tensor:
        return shared(shared(x))

    module = Network(twice)
    module.add_module("shared", shared)
    found = of(module, (8,))
    assert [one.parameters for one in found.operations] == [72, 0]
    assert (found.weights, found.macs) == (4 * 72, 128)


def test_whatever_has_no_fixed_layers_is_refused_with_the_line() -> None:
    def branch(x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum() > 0 else x

    with pytest.raises(ExportRefused, match=r"test_layout.py:\d+: return x \* 2 if x.sum"):
        of(Network(branch), (4,))


@pytest.mark.parametrize(
    ("said", "name"),
    [("aten::topk", "topk"), ("aten.topk.default", "topk"), ("torch.fft.rfft2", "fft_rfft2"), ("relu_", "relu")],
)
def test_converters_names_of_an_operator_are_torchs_own(said: str, name: str) -> None:
    assert plain(said) == name


class Best(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.topk(2).values


class Inverse(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.inv(x)


class Waves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft(x).abs()


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Best, "aten::topk"), (Inverse, "aten.linalg_inv_ex.default"), (Waves, "torch.fft.rfft"),
        (Waves, "aten._fft_r2c"),
    ],
)  # fmt: skip
def test_the_line_of_an_operator_is_found_by_what_a_converter_calls_it(network: type[nn.Module], said: str) -> None:
    exported = recorded(network().eval(), [Tensor(name="in0", shape=(4, 4))])
    (line,) = lines_of(exported, said)
    assert line.startswith("test_layout.py:")
