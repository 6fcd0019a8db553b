"""What is stored of layers whose runtime tells their weights: their work where it is known, nothing where it is not."""

from __future__ import annotations

from bench.layered import Blob, Layers, LayerTime
from bench.measure.described import records
from bench.records import Artifact, Tensor

ARTIFACT = Artifact(
    model="net", variant="baseline", runtime="onnxruntime", ordinary=True, files=(), deployed=(),
    inputs=(Tensor(name="in0", shape=(3, 8, 8)),), outputs=(Tensor(name="out0", shape=(5,)),), task="other",
)  # fmt: skip


def work(type_: str, weights: int | None, shape: tuple[int, ...]) -> tuple[int | None, int | None]:
    layer = LayerTime("node", type_, 9, 100, 40, weights, False, (), (Blob("node", shape),))
    (found,) = records(ARTIFACT, Layers(1, 9, None, (layer,)))
    assert (found.name, found.type, found.ns, found.shape) == ("node", type_, 9, shape)
    return found.macs, found.moved


def test_weights_of_a_convolution_are_used_for_every_pixel() -> None:
    assert work("Conv", 216, (8, 6, 6)) == (216 * 36, 100 + 40 + 4 * 216)


def test_weights_of_a_product_are_used_for_every_row() -> None:
    assert work("Gemm", 50, (5,))[0] == 50
    assert work("MatMul", 50, (7, 5))[0] == 7 * 50


def test_what_only_goes_through_values_multiplies_nothing() -> None:
    assert work("Add", 0, (8, 6, 6)) == (0, 140)


def test_what_is_not_known_is_not_made_up() -> None:
    for type_, weights in (("Gemm", 6), ("Conv", 8), ("Conv", None), ("ConvTranspose", 64), ("LSTM", 64)):
        assert work(type_, weights, (8, 6, 6)) == (None, None)
