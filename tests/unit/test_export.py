"""Export through the real pnnx, and the proofs that refuse an artifact."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from bench.export.artifact import Recipe
from torch import nn

from bench.compress.frequency import factor, layers, package, train
from bench.compress.frequency.package import Package
from bench.errors import ExportRefused, ToolMissing
from bench.export import artifact, graph, pnnx
from bench.networks import resolve

PARAM = """7767517
6 7
Input                    in0                      0 1 in0
Convolution              conv_3                   1 1 in0 1 0=20 1=5 11=5 12=1 13=1 14=0 2=1 3=1 4=0 5=1 6=500
Split                    splitncnn_0              1 2 1 2 3
Pooling                  maxpool2d_0              1 1 2 4 0=0 1=2 11=2 12=2 13=0 2=2 3=0 5=1
InstanceNorm             in_69                    1 1 3 5 0=20 1=1.000000e-5 2=0
InnerProduct             linear_6                 1 1 4 out0 0=10 1=1 2=5000 9=1
"""


def compressed(name: str, total: int) -> nn.Module:
    torch.manual_seed(0)
    found = resolve(name)
    network = (found.learner or found.build)(0)
    layers.compress(network, train.targets(network, total))
    train.seed_coefficients(network, seed=0, energy=1.0)
    layers.round_to_half(network)
    return network


def test_a_graph_reads_and_writes_the_same_words() -> None:
    assert str(graph.parse(PARAM)).split() == PARAM.split()


def test_the_small_graph_says_the_same_in_fewer_bytes() -> None:
    small = str(graph.parse(PARAM).small(("in0", "out0")))
    assert small == (
        "7767517\n6 7\nInput - 0 1 in0\nConvolution - 1 1 in0 2 0=20 1=5 5=1 6=500\nSplit - 1 2 2 3 4\n"
        "Pooling - 1 1 3 5 1=2 2=2 5=1\nInstanceNorm - 1 1 4 6 0=20 1=1.000000e-5 2=0\n"
        "InnerProduct - 1 1 5 out0 0=10 1=1 2=5000 9=1\n"
    )
    assert graph.parse(small).blobs() == tuple(
        graph.Blob("-", count, typed) for count, typed in ((500, True), (20, False), (5000, True), (10, False))
    )


def test_parameters_that_differ_from_their_default_stay() -> None:
    line = "Convolution - 1 1 a b 0=8 1=3 11=5 2=2 12=1 3=1 13=2 4=1 14=0 15=2 16=0 5=0 6=120 9=1"
    (layer,) = graph.parse(f"7767517\n1 1\n{line}").layers
    assert str(layer.short()) == "Convolution - 1 1 a b 0=8 1=3 11=5 2=2 12=1 13=2 4=1 14=0 15=2 6=120 9=1"


@pytest.mark.parametrize("text", ["", "7767517", "1 2\n3 4", "7767517\n2 1\nReLU r 1 1 a b", "7767517\n1 1\nReLU r x"])
def test_what_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(ExportRefused, match="not an ncnn param file"):
        graph.parse(text)


@pytest.mark.parametrize(
    ("line", "blobs"),
    [
        ("Convolution c 1 1 a b 0=8 1=3 5=1 6=216", [(216, True), (8, False)]),
        ("ConvolutionDepthWise c 1 1 a b 0=8 1=3 5=1 6=72 7=8", [(72, True), (8, False)]),
        ("DeconvolutionDepthWise c 1 1 a b 0=8 1=3 6=72 7=8", [(72, True)]),
        ("Gemm g 1 1 a b 10=4 2=0 3=1 4=0 5=1 6=1 7=65 8=576 9=192", [(576 * 192, True), (576, True)]),
        ("Gemm g 1 1 a b 10=-1 2=0 3=1 4=0 5=1 6=1 7=65 8=3 9=192", [(3 * 192, True)]),
        ("Gemm g 2 1 a b c 10=-1", []),
        ("LayerNorm n 1 1 a b 0=192 1=1e-6 2=1", [(192, False), (192, False)]),
        ("LayerNorm n 1 1 a b 0=192 1=1e-6 2=0", []),
        ("MemoryData m 0 1 a 0=192 1=65", [(192 * 65, False)]),
        ("MemoryData m 0 1 a 0=4 1=3 2=2 11=5 21=0", [(120, True)]),
        ("SDPA s 3 1 a b c d 5=0", []),
    ],
)
def test_weights_are_counted_as_ncnn_loads_them(line: str, blobs: list[tuple[int, bool]]) -> None:
    """`load_model` of ncnn's layers, by hand."""
    found = graph.parse(f"7767517\n1 1\n{line}").blobs()
    assert [(blob.count, blob.typed) for blob in found] == blobs


@pytest.mark.parametrize("line", ["Gemm g 1 1 a b 10=0 5=1 6=1 8=4 9=4", "Gemm g 1 1 a b 10=-1 4=1 7=4 8=4 9=4"])
def test_products_whose_weights_lie_otherwise_are_refused(line: str) -> None:
    with pytest.raises(ExportRefused, match="type Gemm"):
        graph.parse(f"7767517\n1 1\n{line}").blobs()


@pytest.mark.parametrize("kind", ["BatchNorm", "LSTM"])
def test_layers_with_unknown_weights_are_refused(kind: str) -> None:
    with pytest.raises(ExportRefused, match=f"type {kind}"):
        graph.parse(f"7767517\n1 1\n{kind} x 1 1 in0 out0 0=4").blobs()


def test_weights_must_be_exactly_what_the_layers_load() -> None:
    blobs = (graph.Blob("a", 2, typed=True), graph.Blob("a", 1, typed=False))
    whole = bytes(4) + np.array([1, 2, 3], "<f4").tobytes()
    assert [v.tolist() for v in graph.split(whole, blobs)] == [[1, 2], [3]]
    for wrong, words in ((whole[:-4], "end inside"), (whole + bytes(4), "too many"), (b"\x01" + whole[1:], "float32")):
        with pytest.raises(ExportRefused, match=words):
            graph.split(wrong, blobs)


def test_the_order_of_recipes_is_found_by_value() -> None:
    one, two, three = (np.full(n, n, np.float32) for n in (1, 2, 3))
    blobs = [graph.Blob("x", n, typed=True) for n in (2, 3, 1)]
    recipes = [Recipe(one, typed=True), Recipe(two, typed=None), Recipe(three, typed=True)]
    order = artifact.load_order(recipes, blobs, [two, three, one])
    assert [(loaded.index, loaded.typed) for loaded in order] == [(1, True), (2, True), (0, True)]
    with pytest.raises(ExportRefused, match="no tensor of the package makes"):
        artifact.load_order(recipes, blobs, [two, three + 1, one])
    with pytest.raises(ExportRefused, match="loaded by no layer"):
        artifact.load_order([*recipes, Recipe(one, typed=True)], blobs, [two, three, one])


@pytest.mark.parametrize(
    ("name", "shape", "total"), [("lenet5", (1, 28, 28), 776), ("unet", (3, 32, 48), 759), ("unet", (3, 40, 59), 759)]
)
def test_fr_networks_export_one_graph_and_one_package(
    tmp_path: Path, name: str, shape: tuple[int, int, int], total: int
) -> None:
    network = compressed(name, total)
    shipped = layers.shipped(name, network)
    assert shipped.coefficients == total
    recipes = [Recipe(package.blob(t), not t.vector) for t in shipped.tensors]
    order = artifact.export_recipes(layers.decoded(network), shape, recipes, tmp_path)
    layer_types = {layer.type for layer in graph.parse((tmp_path / "graph.param").read_text()).layers}
    assert ("Padding" in layer_types) == (shape[1] % 16 != 0 and name == "unet")
    inputs = np.random.default_rng(0).random((2, *shape), np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
        factored = factor.factored(network)(torch.from_numpy(inputs)).numpy()
    for found in (artifact.reference(tmp_path / "network.pt", inputs), factored):
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    data = package.write(Package(name, tuple(shipped.tensors[loaded.index] for loaded in order)))
    if name == "unet":
        assert len(data) <= 1600
        assert len(data) + (tmp_path / "graph.param").stat().st_size <= 4500


def test_weights_that_the_package_does_not_hold_are_refused(tmp_path: Path) -> None:
    network = compressed("lenet5", 776)
    shipped = layers.shipped("lenet5", network)
    recipes = [Recipe(package.blob(t), not t.vector) for t in shipped.tensors]
    changed = copy.deepcopy(layers.decoded(network))
    changed.fc2.weight.data[3, 7] += 0.01  # type: ignore[union-attr,index,operator]
    with pytest.raises(ExportRefused, match="no tensor of the package makes the 5000 weights"):
        artifact.export_recipes(changed, (1, 28, 28), recipes, tmp_path)


def test_batch_norm_is_folded(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1)).eval()
    network[1].running_var.fill_(4.0)  # type: ignore[union-attr,operator]
    artifact.export_ordinary(network, (3, 8, 8), tmp_path)
    exported = graph.parse((tmp_path / "graph.param").read_text())
    assert {layer.type for layer in exported.layers} == {"Input", "Convolution"}
    weights, *_ = graph.split((tmp_path / "weights.bin").read_bytes(), exported.blobs())
    folded = network[0].weight.detach().numpy() / np.sqrt(4 + 1e-5)  # type: ignore[operator]
    np.testing.assert_allclose(weights, folded.ravel(), rtol=1e-5)


def test_exported_files_are_the_same_every_time(tmp_path: Path) -> None:
    network = resolve("lenet5").build().eval()
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        artifact.export_ordinary(network, (1, 28, 28), tmp_path / name)
        contents.append([(tmp_path / name / file).read_bytes() for file in ("graph.param", "weights.bin")])
    assert contents[0] == contents[1]


class _TwoOutputs(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.relu(x), x + 1


def test_networks_with_two_outputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused):
        artifact.export_ordinary(_TwoOutputs(), (1, 4, 4), tmp_path)


def test_pnnx_refuses_what_is_no_network(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.pt").write_bytes(b"this is not TorchScript")
    with pytest.raises(ExportRefused, match="could not convert"):
        pnnx.convert(tmp_path / "broken.pt", (1, 4, 4))
    assert capfd.readouterr() == ("", "")


def test_pnnx_has_a_deadline(tmp_path: Path) -> None:
    pnnx.trace(resolve("unet").build(), (3, 32, 32), tmp_path / "network.pt")
    with pytest.raises(ExportRefused, match="within 0 s"):
        pnnx.convert(tmp_path / "network.pt", (3, 32, 32), deadline_s=0.05)


def test_a_missing_pnnx_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(__import__("sys").modules, "pnnx", raising=False)
    with pytest.raises(ToolMissing, match="pnnx"):
        pnnx.program()


@pytest.mark.parametrize(("error", "refused"), [(0.9e-3, False), (1.1e-3, True), (float("nan"), True)])
def test_the_tolerance_is_a_thousandth_of_the_largest_output(error: float, refused: bool) -> None:
    expected = np.array([[1.0, -5.0], [0.0, 2.0]], np.float32)
    given = expected.ravel().copy()
    given[2] += 5 * error

    def verify() -> artifact.Verified:
        return artifact.verify(lambda *_: given, {}, ("ncnn", "stock"), np.zeros((2, 1, 1, 1), np.float32), expected)

    if refused:
        with pytest.raises(ExportRefused, match="differ from torch's by up to"):
            verify()
    else:
        found = verify()
        assert found.max_abs_reference == 5
        assert found.max_abs_delta == pytest.approx(5 * error, rel=1e-4)
        assert found.tolerance == pytest.approx(5e-3)


def test_a_runner_that_answers_less_is_refused() -> None:
    expected = np.ones((2, 10), np.float32)
    with pytest.raises(ExportRefused, match="19 values where torch gives 20"):
        artifact.verify(lambda *_: np.ones(19, np.float32), {}, ("ncnn", "stock"), expected, expected)
