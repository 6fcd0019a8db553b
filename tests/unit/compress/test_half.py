"""Half: weights of float16, everything else as it is, and batch norms folded before anything is rounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import torch as safetensors
from torch import Tensor, nn

from bench.compress import fuse, method, tensors
from bench.compress.method import Request
from bench.errors import BenchError, CorruptData, UsageError
from bench.networks import Network
from bench.networks.count import examples
from bench.networks.settle import settle
from tests.unit.compress.compress_kit import learnt, small

HALF = method("half")


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) for module in network.modules())


class Residual(nn.Module):
    """The first norm can be folded, the second sees a sum, and the output of `twice` goes two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.second, self.norm2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.twice, self.norm3 = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.first(x)).relu()
        x = self.norm2(x + self.second(x))
        y = self.twice(x)
        return self.norm3(y) + y


class Branching(nn.Module):
    """Looks at its data, so that torch.fx cannot trace it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x if x.mean() > 0 else -x


class Padding(nn.Conv2d):
    """A convolution that pads by itself, as networks that were translated from TensorFlow have."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))


class Standardized(nn.Conv2d):
    """A convolution whose weight has no mean and one size, whatever is folded into it."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / weight.std((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias)


def parametrized() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3, bias=False)), nn.BatchNorm2d(8))


def shared() -> nn.Module:
    conv = nn.Conv2d(3, 3, 1)
    return nn.Sequential(conv, nn.BatchNorm2d(3), conv, nn.BatchNorm2d(3))


@pytest.mark.parametrize(
    ("make", "shape", "left"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), (3, 9, 9), 0),
        (lambda: nn.Sequential(nn.Conv1d(3, 8, 3, groups=1), nn.BatchNorm1d(8)), (3, 9), 0),
        (lambda: nn.Sequential(nn.ConvTranspose2d(3, 8, 3), nn.BatchNorm2d(8)), (3, 9, 9), 0),
        (lambda: nn.Sequential(nn.ConvTranspose2d(4, 8, 3, groups=2), nn.BatchNorm2d(8)), (4, 9, 9), 1),
        (lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)), (6,), 0),
        (lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)), (5, 6), 1),  # its channels are the places
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8)), (3, 9, 9), 1),
        (Residual, (3, 9, 9), 2),
        (Branching, (3, 9, 9), 1),
        (lambda: nn.Sequential(Padding(3, 8, 3), nn.BatchNorm2d(8)), (3, 9, 9), 0),
        (lambda: nn.Sequential(Standardized(3, 8, 3), nn.BatchNorm2d(8)), (3, 9, 9), 1),
        (parametrized, (3, 9, 9), 1),
        (shared, (3, 9, 9), 2),
    ],
)
def test_a_norm_is_folded_where_nothing_else_sees_what_it_sees(
    make: Callable[[], nn.Module], shape: tuple[int, ...], left: int
) -> None:
    torch.manual_seed(1)
    network = make()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    network.eval()
    x = torch.randn(4, *shape)
    made = fuse.fused(network, (x,))
    assert norms(made) == left
    torch.testing.assert_close(made(x), network(x), rtol=1e-4, atol=1e-4)


def test_weights_are_rounded_to_float16_and_nothing_else(tmp_path: Path) -> None:
    network = small(lambda: nn.Sequential(nn.Linear(40, 30), nn.LayerNorm(30), nn.Linear(30, 10)), 40)
    package = HALF.compress(learnt(network, tmp_path), Request())
    made, own = HALF.restored(network, package, "stock").state_dict(), network.build().state_dict()
    assert made.keys() == own.keys()
    for name, tensor in own.items():
        rounded = tensor.half().float() if tensor.dim() > 1 else tensor
        assert torch.equal(made[name], rounded), name
    assert not torch.equal(made["0.weight"], own["0.weight"])
    size = HALF.size(network, package)
    assert size.kept == {"0.weight": 1200, "2.weight": 300}
    assert size.float32_bytes - len(package) == pytest.approx(2 * 1500, abs=100)


def test_a_package_with_folded_norms_is_read_back(tmp_path: Path) -> None:
    def make() -> nn.Module:
        network = Residual()
        settle(network, torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(1)))
        return network

    network = small(make, 3, 9, 9)
    package = HALF.compress(learnt(network, tmp_path), Request())
    (x,) = examples(network.inputs, 7)
    made = HALF.restored(network, package, "stock")
    torch.testing.assert_close(made(x), network.build()(x), rtol=0.01, atol=0.01)
    for name, tensor in made.state_dict().items():
        assert tensor.dim() < 2 or torch.equal(tensor, tensor.half().float()), name


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_rounded_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.jit.script(nn.Linear(4, 3)).save(tmp_path / "network.pt")
    network = small(lambda: torch.jit.load(tmp_path / "network.pt"), 4)
    made = HALF.restored(network, HALF.compress(learnt(network, tmp_path), Request()), "stock")
    assert torch.equal(made.weight, network.build().weight.half().float())


def test_weights_tied_between_layers_are_stored_once_and_stay_tied() -> None:
    def make() -> nn.Module:
        network = nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 7, bias=False))
        network[1].weight = network[0].weight
        return network

    restored = make()
    assert set(tensors.unpack(tensors.pack(tensors.lasting(restored)))) == {"0.weight"}
    tensors.load(restored, {"0.weight": torch.ones(7, 5)})
    assert restored[0].weight is restored[1].weight


def linear(weight: float) -> Network:
    def make() -> nn.Module:
        layer = nn.Linear(4, 3)
        with torch.no_grad():
            layer.weight[1, 2] = weight
        return layer

    return small(make, 4)


@pytest.mark.parametrize(
    ("weight", "kind", "words"),
    [
        (65_600.0, UsageError, "weight holds 65,600, and float16 ends at 65,504"),
        (-1e30, UsageError, "weight holds .*, and float16 ends"),
        (float("nan"), CorruptData, "not finite: 1 of 12 values of weight"),
        (float("-inf"), CorruptData, "not finite: 1 of 12 values of weight"),
    ],
)
def test_values_that_float16_cannot_hold_are_refused_by_name(
    weight: float, kind: type[BenchError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words):
        HALF.compress(learnt(linear(weight), tmp_path), Request())


def test_the_package_of_another_network_or_none_at_all_is_refused(tmp_path: Path) -> None:
    package = HALF.compress(learnt(linear(1.0), tmp_path), Request())
    with pytest.raises(UsageError, match="weight is 3×4 instead of 5×4"):
        HALF.restored(small(lambda: nn.Linear(4, 5), 4), package, "stock")
    with pytest.raises(UsageError, match=r"0\.weight is missing"):
        HALF.restored(small(lambda: nn.Sequential(nn.Linear(4, 3)), 4), package, "stock")
    for damaged in (b"", b"FRQ2", package[:-5], package[:50]):
        with pytest.raises(CorruptData, match="not a safetensors file"):
            HALF.restored(linear(1.0), damaged, "stock")


TENSORS = {"a": torch.ones(2, 3).half(), "b": torch.arange(4.0), "c": torch.tensor(7), "d": torch.zeros(0, 2).bool()}
PACKAGE = tensors.pack(TENSORS)
VALUES_AT = 8 + int.from_bytes(PACKAGE[:8], "little")


def same(found: dict[str, Tensor]) -> bool:
    """Bit for bit; no value of TENSORS is a minus zero or a NaN."""
    return found.keys() == TENSORS.keys() and all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in TENSORS.items()
    )


@given(st.integers(VALUES_AT, len(PACKAGE) - 1), st.integers(0, 7))
@settings(deadline=None)
def test_a_flipped_bit_among_the_values_is_refused(place: int, bit: int) -> None:
    damaged = bytearray(PACKAGE)
    damaged[place] ^= 1 << bit
    with pytest.raises(CorruptData, match="check sum does not match"):
        tensors.unpack(bytes(damaged))


def test_names_types_and_shapes_are_in_the_check_sum_and_the_order_is_not() -> None:
    assert same(tensors.unpack(PACKAGE))
    own = tensors.check_sum(TENSORS)
    assert own == tensors.check_sum(dict(reversed(TENSORS.items())))
    one = TENSORS["a"]
    for other in ({"a": one.view(torch.bfloat16)}, {"a": one.view(3, 2)}, {"e": one}):
        assert tensors.check_sum({name: t for name, t in TENSORS.items() if name != "a"} | other) != own


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_a_package_without_a_check_sum_is_refused(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    package = safetensors.save(dict(linear(1.0).build().state_dict()), metadata)
    with pytest.raises(CorruptData, match="no check sum"):
        HALF.restored(linear(1.0), package, "stock")
    with pytest.raises(CorruptData, match="no check sum"):
        HALF.size(linear(1.0), package)


@given(st.integers(0, len(PACKAGE) - 1), st.binary(min_size=1, max_size=9), st.booleans())
@settings(deadline=None, max_examples=400)
def test_a_damaged_package_is_refused_or_says_the_same(place: int, junk: bytes, cut: bool) -> None:
    damaged = PACKAGE[:place] + junk + (b"" if cut else PACKAGE[place + len(junk) :])
    try:
        found = tensors.unpack(damaged)
    except CorruptData:
        return
    assert same(found)
