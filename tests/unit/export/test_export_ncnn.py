"""Networks as ncnn's files, through the real pnnx."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import ExportRefused
from bench.export import eager, graph, ncnn, torchscript
from bench.export.equivalents import Equivalents, transparent
from bench.networks import resolve
from bench.records import Tensor as Port
from tests.unit.export.export_kit import Network


def samples(*shapes: tuple[int, ...]) -> list[NDArray[Any]]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal((2, *shape)).astype(np.float32) for shape in shapes]


def exported(network: nn.Module, folder: Path, *shapes: tuple[int, ...]) -> graph.Graph:
    inputs = [Port(name=f"in{n}", shape=shape) for n, shape in enumerate(shapes)]
    given = samples(*shapes)
    ncnn.export(network, inputs, given, eager.answers(network, given), folder)
    parsed = graph.parse((folder / "graph.param").read_text())
    graph.split((folder / "weights.bin").read_bytes(), parsed.blobs())
    return parsed


def test_batch_norm_is_folded(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1)).eval()
    network[1].running_var.fill_(4.0)  # type: ignore[union-attr,operator]
    parsed = exported(network, tmp_path, (3, 8, 8))
    assert {layer.type for layer in parsed.layers} == {"Input", "Convolution"}
    weights, *_ = graph.split((tmp_path / "weights.bin").read_bytes(), parsed.blobs())
    folded = network[0].weight.detach().numpy() / np.sqrt(4 + 1e-5)  # type: ignore[operator]
    np.testing.assert_allclose(weights, folded.ravel(), rtol=1e-5)


def test_batch_norm_that_cannot_be_folded_stays(tmp_path: Path) -> None:
    parsed = exported(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)), tmp_path, (3, 4, 4))
    assert [layer.type for layer in parsed.layers] == ["Input", "ReLU", "BatchNorm"]


def test_the_marks_of_the_batch_axis_are_gone(tmp_path: Path) -> None:
    shapes = [(6,), (6, 7), (6, 7, 8), (6, 7, 8, 9)]
    parsed = exported(Network(lambda *xs: tuple(x.softmax(1) for x in xs)), tmp_path, *shapes)
    assert [layer.type for layer in parsed.layers] == ["Input", "Softmax"] * 4 or (
        sorted(layer.type for layer in parsed.layers) == ["Input"] * 4 + ["Softmax"] * 4
    )
    assert {layer.parameters.get("0", "0") for layer in parsed.layers if layer.type == "Softmax"} == {"0"}
    assert not parsed.blobs()


def test_several_inputs_and_outputs_keep_their_order(tmp_path: Path) -> None:
    network = Network(lambda a, b: {"sum": a + b, "more": [a - b, b.relu()]})
    parsed = exported(network, tmp_path, (3, 4, 4), (3, 4, 4))
    assert parsed.outputs() == ("out0", "out1", "out2")
    assert [layer.outputs for layer in parsed.layers if layer.type == "Input"] == [("in0",), ("in1",)]


def test_exported_files_are_the_same_every_time(tmp_path: Path) -> None:
    network = resolve("lenet5").build().eval()
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        exported(network, tmp_path / name, (1, 28, 28))
        contents.append([(tmp_path / name / file).read_bytes() for file in ("graph.param", "weights.bin")])
    assert contents[0] == contents[1]


def largest(x: Tensor) -> Tensor:
    return x.topk(2, 1)[0]  # after the network


def clipped(x: Tensor) -> Tensor:
    y = x - 0.5
    y[y < 0] = 0
    return y


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (clipped, r"assign to chosen places.*test_export_ncnn\.py:\d+: y\[y < 0\] = 0\)\nUse torch\.where"),
        (largest, r"torch\.topk\n.*test_export_ncnn\.py:\d+: return x.topk\(2, 1\)\[0\].*\n.*do it after the network"),
        (lambda x: x.argmax(1), r"torch\.argmax\n.*test_export_ncnn\.py"),
        (lambda x: x.sort(1)[0], r"torch\.sort\n.*test_export_ncnn\.py"),
        (lambda x: torch.fft.rfft(x).abs(), r"torch\.fft\.rfft"),
        (lambda x: x.cumprod(1), r"torch\.cumprod\n.*test_export_ncnn\.py"),
    ],
)
def test_operators_that_ncnn_does_not_have_are_refused_with_the_line(
    tmp_path: Path, function: Callable[..., Any], words: str
) -> None:
    with pytest.raises(ExportRefused, match=words):
        exported(Network(function), tmp_path, (6, 8, 8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (F.softsign, [(6, 8)]),
        (lambda x: F.softplus(x, 2.0), [(6, 8)]),
        (lambda x: F.threshold(x, 0.1, 2.0), [(6, 8)]),
        (lambda x: F.softmin(x, 1), [(6, 8)]),
        (lambda x: F.pad(x, (1, 2, 3, 0), "circular"), [(3, 8, 9)]),
        (lambda x: F.pad(x, (-1, 2, 0, -3)), [(3, 8, 9)]),
        (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), [(3, 8, 9)]),
        (lambda x: F.avg_pool2d(x, 2, 2, ceil_mode=True), [(3, 7, 9)]),
        (lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 0), divisor_override=5), [(3, 8, 9)]),
        (lambda x: F.lp_pool2d(x.abs(), 3, (2, 3), 2), [(3, 8, 9)]),
        (lambda x: x[:, ::3, 1::2], [(7, 8, 9)]),
        (lambda x: x[:, [0, 1, 5], :4], [(7, 8)]),
        (lambda x: x[..., ::2], [(7, 9)]),
        (lambda x: x.index_select(2, torch.tensor([3, 1])), [(7, 9)]),
        (lambda x: x.repeat_interleave(3, dim=2), [(3, 4)]),
        (lambda x: torch.tile(x, (2, 3)), [(3, 4)]),
        (lambda x: x.movedim((1, 2), (3, 1)), [(3, 4, 5)]),
        (lambda x: torch.remainder(x, 0.7), [(3, 4)]),
        (lambda x: x.var(dim=(1, 2)), [(3, 4)]),
        (lambda x: x.std(dim=-1, keepdim=True, unbiased=False), [(3, 4)]),
        (lambda x: torch.where(x > 0.1, x, -x), [(3, 4)]),
        (lambda x: ((x >= 0) & ~(x < 1) | (x == 0.5)).float() + (x != x) + (x <= 0.3), [(3, 4)]),
        (lambda x: x.masked_fill(torch.ones(4, 4).triu(1) == 1, float("-inf")).softmax(-1), [(3, 4, 4)]),
        (lambda x: x.tril(1) + x.triu(-1), [(4, 5)]),
        (lambda x: F.layer_norm(x, x.shape[1:]), [(3, 4, 5)]),
        (lambda a, b: torch.lerp(a, b, 0.3) + torch.addcmul(a, a, b, value=2), [(3, 4)] * 2),
        (lambda a, b: F.cosine_similarity(a, b, -1), [(3, 4)] * 2),
        (lambda a, b: torch.baddbmm(a, a, b, beta=0.5, alpha=2), [(4, 4)] * 2),
        (lambda a, b: F.bilinear(a, b, torch.ones(2, 3, 4), torch.ones(2)), [(3,), (4,)]),
        (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), [(2, 5, 4)]),
    ],
)  # fmt: skip
def test_equivalents_compute_the_same_as_what_they_stand_for(
    tmp_path: Path, function: Callable[..., Any], shapes: list[tuple[int, ...]]
) -> None:
    """`torchscript.trace` compares the recording, in which the equivalents are, with the eager network."""
    network, given = Network(function), samples(*shapes)
    recorded = torchscript.trace(network, given, eager.answers(network, given), tmp_path / "n.pt", Equivalents(network))
    plain = torchscript.trace(network, given, eager.answers(network, given), tmp_path / "p.pt")
    assert str(recorded.inlined_graph) != str(plain.inlined_graph)


def test_layers_are_of_their_own_class_again_after_the_recording() -> None:
    network = nn.Sequential(nn.Softplus(2.0), nn.Conv2d(1, 1, 1, padding_mode="circular"), nn.ReLU())
    with transparent(network, [torch.zeros(1, 1, 2, 2)]):
        assert [
            type(layer) is kind for layer, kind in zip(network, (nn.Softplus, nn.Conv2d, nn.ReLU), strict=True)
        ] == [
            False,
            False,
            True,
        ]
        assert isinstance(network[0], nn.Softplus)
    assert [type(layer) for layer in network] == [nn.Softplus, nn.Conv2d, nn.ReLU]
