"""Networks of every kind of layer, compressed: the same function as their decoded twins, or refused with words."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.compress.frequency import factor, layers, norms, oneshot, order, package, restore
from bench.errors import UsageError
from bench.networks.builtin import lenet5
from bench.networks.settle import settle

CONVOLUTIONS: dict[int, tuple[type[nn.Module], type[nn.Module]]] = {
    1: (nn.Conv1d, nn.ConvTranspose1d),
    2: (nn.Conv2d, nn.ConvTranspose2d),
    3: (nn.Conv3d, nn.ConvTranspose3d),
}


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, Tensor]:
    """Any convolution (grouped, depthwise, dilated, strided, oblong, transposed, of 1 to 3 axes) and an input."""
    axes = draw(st.integers(1, 3))
    some = st.integers(1, 3)
    each = st.tuples(*[some] * axes)
    groups = draw(some)
    inputs, outputs = groups * draw(some), groups * draw(some)
    transposed = draw(st.booleans())
    kernel, stride, dilation = draw(each), draw(each), draw(each)
    padding = tuple(draw(st.integers(0, (k - 1) * d)) for k, d in zip(kernel, dilation, strict=True))
    torch.manual_seed(draw(st.integers(0, 99)))
    layer = CONVOLUTIONS[axes][transposed](
        inputs, outputs, kernel, stride, padding, groups=groups, dilation=dilation, bias=draw(st.booleans())
    )
    return layer, torch.randn(2, inputs, *(8 for _ in range(axes)))


@st.composite
def linears(draw: st.DrawFn) -> tuple[nn.Module, Tensor]:
    inputs, outputs = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    torch.manual_seed(draw(st.integers(0, 99)))
    return nn.Linear(inputs, outputs, bias=draw(st.booleans())), torch.randn(3, inputs)


LAYERS = convolutions() | linears()


@given(LAYERS, st.data())
@settings(deadline=None)
def test_a_layer_equals_its_decoded_twin_and_its_weight_is_the_inverse_dct(
    case: tuple[nn.Module, Tensor], data: st.DataObject
) -> None:
    layer, x = case
    kept = data.draw(st.integers(1, layer.weight.numel()))
    network = nn.Sequential(copy.deepcopy(layer))
    layers.compress(network, {"0.weight": kept})
    site = layers.sites(network)["0.weight"]
    full = np.zeros(site.shape)
    full[tuple(order.prefix(site.shape, kept).T)] = site.coefficients.detach().numpy()
    np.testing.assert_allclose(site.plain.detach().numpy(), scipy.fft.idctn(full, norm="ortho"), atol=1e-5)
    plain = layers.decoded(network)
    assert plain.state_dict().keys() == nn.Sequential(layer).state_dict().keys()
    assert type(plain[0]) is type(layer)
    assert torch.equal(plain(x), network(x))


@given(LAYERS)
@settings(deadline=None)
def test_all_coefficients_give_the_layer_back(case: tuple[nn.Module, Tensor]) -> None:
    layer, x = case
    network = nn.Sequential(copy.deepcopy(layer))
    layers.compress(network, {"0.weight": layer.weight.numel()})
    torch.testing.assert_close(network(x), layer(x), atol=1e-5, rtol=1e-5)


@given(LAYERS, st.data())
@settings(deadline=None)
def test_prefixes_nest(case: tuple[nn.Module, Tensor], data: st.DataObject) -> None:
    """Fewer coefficients are the first of more: compressing further and compressing at once are one."""
    layer, x = case
    more = data.draw(st.integers(1, layer.weight.numel()))
    fewer = data.draw(st.integers(1, more))
    later, at_once = (nn.Sequential(copy.deepcopy(layer)) for _ in range(2))
    layers.compress(later, {"0.weight": more})
    layers.compress(at_once, {"0.weight": fewer})
    site = layers.sites(later)["0.weight"]
    site.frequency.truncate(fewer)
    assert layers.sites(at_once)["0.weight"].coefficients.shape == (fewer,)
    torch.testing.assert_close(later(x), at_once(x), atol=1e-5, rtol=1e-5)
    whole = site.coefficients.detach().clone()
    site.frequency.truncate(more)
    again = nn.Sequential(copy.deepcopy(layer))
    layers.compress(again, {"0.weight": more})
    assert torch.equal(site.coefficients, whole)
    assert torch.equal(later(x), again(x))


class Mixed(nn.Module):
    """(N, 3, 8, 8) through one of everything: convolutions, norms, attention, linear layers, a bare parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, (3, 5), padding="same")
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8, padding=2, dilation=2, bias=False)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.query = nn.Parameter(torch.randn(1, 1, 4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.across = nn.MultiheadAttention(4, 2, kdim=8, vdim=6, batch_first=True, add_bias_kv=True)
        self.values = nn.Linear(8, 6)
        self.block = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, dropout=0.0)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        features = self.depthwise(torch.relu(self.norm(self.conv(x))))
        tokens = self.up(features).flatten(2).transpose(1, 2)
        tokens, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        keys = features.flatten(2).transpose(1, 2)
        query = self.query.expand(len(x), -1, -1)
        seen, _ = self.across(query, keys, self.values(keys), need_weights=False)
        logits: Tensor = self.head(self.block(torch.cat((seen, tokens), dim=1))[:, 0])
        return logits


def mixed(target: str = "200") -> Mixed:
    torch.manual_seed(5)
    network = Mixed().eval()
    oneshot.compress(network, target, "uniform")
    return network


def test_every_weight_of_a_mixed_network_is_a_site_and_nothing_else() -> None:
    assert set(layers.sites(Mixed())) == {
        "conv.weight", "depthwise.weight", "up.weight", "attention.in_proj_weight", "attention.out_proj.weight",
        "across.q_proj_weight", "across.k_proj_weight", "across.v_proj_weight", "across.out_proj.weight",
        "values.weight", "block.self_attn.in_proj_weight", "block.self_attn.out_proj.weight", "block.linear1.weight",
        "block.linear2.weight", "head.weight",
    }  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
def test_a_mixed_network_equals_its_decoded_twin(training: bool) -> None:
    network, x = mixed().train(training), torch.randn(2, 3, 8, 8)
    plain = layers.decoded(network)
    assert plain.state_dict().keys() == Mixed().state_dict().keys()
    with torch.no_grad():
        torch.testing.assert_close(network(x), plain(x), atol=1e-6, rtol=1e-5)
    loss = network(x).square().sum()
    loss.backward()
    for site in layers.sites(network).values():
        gradient = site.coefficients.grad
        assert gradient is not None
        assert gradient.isfinite().all()


def test_biases_norms_and_other_parameters_stay_as_they_are() -> None:
    torch.manual_seed(5)
    before, after = Mixed().state_dict(), mixed().state_dict()
    rest = [name for name in before if name not in layers.sites(Mixed())]
    assert len(rest) > 20
    assert all(torch.equal(before[name], after[name]) for name in rest)


def test_a_state_dict_comes_back() -> None:
    saved = mixed()
    torch.manual_seed(6)
    fresh = Mixed().eval()
    oneshot.compress(fresh, "200", "uniform")
    x = torch.randn(2, 3, 8, 8)
    assert not torch.allclose(fresh(x), saved(x))
    fresh.load_state_dict(saved.state_dict())
    assert torch.equal(fresh(x), saved(x))


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float16, 0.01), (torch.bfloat16, 0.08)])
def test_half_precision(dtype: torch.dtype, allowed: float) -> None:
    network, x = mixed(), torch.randn(2, 3, 8, 8)
    expected = network(x)
    found = copy.deepcopy(network).to(dtype)(x.to(dtype))
    assert found.dtype == dtype
    assert (found.float() - expected).abs().max() <= allowed * expected.abs().max()


def test_a_network_that_was_half_for_a_while_has_whole_matrices_again() -> None:
    network = nn.Sequential(nn.Linear(50, 40))
    oneshot.compress(network, "100", "uniform")
    layers.round_to_half(network)
    x = torch.randn(3, 50)
    expected = network(x)
    assert torch.equal(network.half().float()(x), expected)
    torch.testing.assert_close(network.double()(x.double()).float(), expected, atol=1e-5, rtol=1e-5)


def test_a_network_stays_on_its_device_and_in_its_precision_when_it_is_truncated() -> None:
    network = nn.Sequential(nn.Linear(50, 40)).to("meta", torch.bfloat16)
    layers.compress(network, {"0.weight": 100})
    site = layers.sites(network)["0.weight"]
    for kept in (90, 20, 60):
        site.frequency.truncate(kept)
        assert (site.weight.device.type, site.weight.dtype) == ("meta", torch.bfloat16)
        assert site.weight.shape == (40, 50)


def test_networks_in_double_are_compressed_in_double() -> None:
    layer = nn.Linear(30, 20).double()
    network = nn.Sequential(copy.deepcopy(layer))
    layers.compress(network, {"0.weight": 600})
    torch.testing.assert_close(network[0].weight, layer.weight, atol=1e-13, rtol=0)


def test_a_traced_network_computes_the_same() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5)), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2, groups=2), nn.Flatten(), nn.LazyLinear(5)
    )
    x = torch.randn(1, 3, 8, 8)
    network(x)
    oneshot.compress(network, "100", "uniform")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is old but what exporters read
        traced = torch.jit.trace(network.eval(), x)
    other = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(traced(other), network(other))


def tied() -> nn.Module:
    network = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10))
    network[1].weight = network[0].weight
    return network


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "twice": (mixed, "conv.weight is already compressed"),
    "tied": (tied, "0.weight and 1.weight are one weight, shared between layers"),
    "lazy": (lambda: nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(4)), "1.weight has no shape yet"),
    "computed": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))),
        "0.weight is computed from other parameters",
    ),
    "computed beside it": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3), "bias", 0)),
        "0.bias is computed from other parameters",
    ),
    "computed elsewhere": (
        lambda: nn.Sequential(nn.Linear(3, 3), nn.utils.parametrizations.spectral_norm(nn.Embedding(3, 3))),
        "1.weight is computed from other parameters",
    ),
    "computed in the old way": (
        lambda: nn.Sequential(nn.utils.spectral_norm(nn.Linear(3, 3))),
        "0.weight is computed from other parameters",
    ),
    "weightless": (lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)), "no convolution, linear layer or attention"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compressed_is_refused_with_words_and_left_as_it_was(name: str) -> None:
    build, words = REFUSED[name]
    network = build()
    before = list(network.state_dict())
    with pytest.raises(UsageError) as told:
        oneshot.compress(network, "20")
    assert words in told.value.what
    assert told.value.fix
    assert list(network.state_dict()) == before


def test_a_layer_used_twice_is_one_site() -> None:
    shared = nn.Linear(6, 6)
    network = nn.Sequential(shared, nn.ReLU(), shared)
    oneshot.compress(network, "10", "uniform")
    assert list(layers.sites(network)) == ["0.weight"]
    x = torch.randn(2, 6)
    torch.testing.assert_close(network(x), layers.decoded(network)(x))


def test_batch_norms_take_their_statistics_anew_after_a_one_shot_compression() -> None:
    torch.manual_seed(7)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    x = torch.randn(50, 3, 8, 8)
    for _ in range(3):
        network(x)
    oneshot.compress(network, "40", "uniform")
    settle(network, x)
    seen = network[0](x)
    torch.testing.assert_close(network[1].running_mean, seen.mean((0, 2, 3)))
    torch.testing.assert_close(network[1].running_var, seen.var((0, 2, 3)))


@pytest.mark.parametrize("form", [lenet5.build, lenet5.learner])
def test_lenet5_is_the_same_dense_and_factored_in_both_its_forms(form: Callable[[], nn.Module]) -> None:
    network, x = form().eval(), torch.rand(2, 1, 28, 28)
    oneshot.compress(network, "776", "uniform")
    torch.testing.assert_close(factor.factored(network)(x), network(x), atol=1e-5, rtol=1e-5)


def test_copies_of_a_compressed_network_are_independent() -> None:
    network = mixed()
    copied = copy.deepcopy(network)
    layers.sites(copied)["conv.weight"].frequency.truncate(1)
    layers.decoded(copied)
    assert math.prod(layers.sites(network)["conv.weight"].frequency.box) > 1
    assert layers.sites(copied)["conv.weight"].weight.detach().std() < 1e-6


WHOLE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolution": (lambda: nn.Conv2d(3, 8, 3, padding=1), (3, 6, 6)),
    "linear": (lambda: nn.Linear(12, 9), (12,)),
    "linear and batch norm": (lambda: nn.Sequential(nn.Linear(12, 9), nn.BatchNorm1d(9)), (12,)),
    "sequence and batch norm": (lambda: nn.Sequential(nn.Conv1d(4, 9, 3), nn.BatchNorm1d(9)), (4, 7)),
    "volume and batch norm": (lambda: nn.Sequential(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4)), (2, 5, 5, 5)),
    "transposed in groups": (lambda: nn.ConvTranspose2d(8, 12, 3, stride=2, groups=4), (8, 5, 5)),
    "transposed depthwise": (lambda: nn.ConvTranspose2d(6, 6, 3, groups=6), (6, 5, 5)),
}


@pytest.mark.parametrize("target", ["20", "all"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_package_gives_back_what_was_compressed(name: str, target: str) -> None:
    make, shape = WHOLE[name]
    torch.manual_seed(4)
    network = make().eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm3d):
            nn.init.normal_(norm.bias)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    x = torch.randn(3, *shape)
    expected = network(x)
    compressed = copy.deepcopy(network)
    every = sum(site.weight.numel() for site in layers.sites(network).values())
    oneshot.compress(compressed, str(every) if target == "all" else target, "uniform")
    layers.round_to_half(compressed)
    packed = package.write(layers.shipped("network", norms.folded(compressed)))
    made = restore.restored(network, package.read(packed)).eval()
    torch.testing.assert_close(made(x), compressed(x), rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(factor.factored(made)(x), made(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layers.decoded(made)(x), made(x))
    if target == "all":
        torch.testing.assert_close(made(x), expected, rtol=1e-2, atol=1e-2)


def test_a_transposed_convolution_in_groups_is_stored_as_ncnn_loads_it() -> None:
    """Group by group, (out, in) of each: https://github.com/Tencent/ncnn/wiki/operators#deconvolutiondepthwise"""
    network = nn.ConvTranspose2d(8, 12, 3, groups=4)
    every = {"weight": network.weight.numel()}
    apart = network.weight.detach().view(4, 2, 3, 3, 3).transpose(1, 2).numpy()
    layers.compress(network, every)
    (tensor, _) = layers.shipped("network", network).tensors
    assert (tensor.shape, tensor.transposed) == ((12, 2, 3, 3), False)
    np.testing.assert_allclose(package.blob(tensor).reshape(apart.shape), apart, atol=2e-3)


def test_a_whole_network_of_one_layer_is_learnt_through_its_factors() -> None:
    network = nn.Conv2d(3, 8, 3)
    layers.compress(network, {"weight": 50})
    learner, x = factor.learner(network), torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(learner(x), network(x), rtol=1e-4, atol=1e-5)
    assert {id(p) for p in learner.parameters()} == {id(p) for p in network.parameters()}
