"""tucker: networks of any kind, factored within their targets, and read back as they were written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench import runtimes
from bench.cache import Cache
from bench.compress import method, tensors
from bench.compress.method import Destination, Exported, Request
from bench.compress.result import compressed
from bench.compress.tucker import factors, oneshot, package
from bench.compress.tucker.ranks import Ranks
from bench.compress.tucker.sites import DENSE, Site, sites
from bench.errors import CorruptData, UsageError
from bench.export import eager
from bench.networks import Network
from bench.networks.count import count, examples
from bench.runtimes.runtime import Shown
from tests.unit.compress.compress_kit import learning, learnt, small

TUCKER = method("tucker")
ONE_SHOT = Request(one_shot=True)


@torch.no_grad()
def with_signal(network: nn.Module, seed: int = 1) -> nn.Module:
    """As if it was trained: a few strong directions in each weight, over the noise that it began with."""
    random = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        weight = getattr(layer, "weight", None)
        if weight is not None and weight.dim() > 1:
            flat = weight.view(weight.shape[0], -1)
            rank = max(1, min(flat.shape) // 6)
            left, right = (
                torch.randn(*shape, generator=random) for shape in ((len(flat), rank), (rank, flat.shape[1]))
            )
            flat.add_(4 * flat.std() * left @ right / rank**0.5)
            flat.div_(flat.norm() / (2 * len(flat)) ** 0.5)
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                values.uniform_(0.5, 1.5, generator=random)
    return network


class Mixed(nn.Module):
    """Strides, dilation, padding of another kind, a transposed, a grouped, a depthwise and a 1×1 convolution, norms
    behind them, a classifier behind a flatten and another behind that."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24)
        self.down = nn.Conv2d(24, 32, 3, stride=2, padding=1, padding_mode="reflect")
        self.wide = nn.Conv2d(32, 30, (3, 5), padding=(2, 4), dilation=2)
        self.depthwise, self.grouped = nn.Conv2d(30, 30, 3, padding=1, groups=30), nn.Conv2d(30, 30, 3, groups=3)
        self.point, self.norm2 = nn.Conv2d(30, 28, 1, stride=2), nn.BatchNorm2d(28)
        self.up = nn.ConvTranspose2d(28, 26, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.hidden, self.last = nn.Linear(26 * 4 * 4, 60), nn.Linear(60, 20)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.first(x)).relu()
        x = self.wide(self.down(x)).relu()
        x = self.norm2(self.point(self.grouped(self.depthwise(x)))).relu()
        x = torch.flatten(self.up(x), 1)
        return self.last(self.hidden(x).relu())


MIXED = small(lambda: with_signal(Mixed()), 3, 12, 12, task="classification")


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def made(network: Network, target: str | None, folder: Path) -> bytes:
    return TUCKER.compress(learnt(network, folder), Request(target, one_shot=True))


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolution": (lambda: nn.Conv2d(6, 9, 3, stride=2, padding=1), (6, 9, 8)),
    "dilated": (lambda: nn.Conv2d(6, 9, (3, 2), dilation=2, padding=(2, 1), bias=False), (6, 9, 8)),
    "same": (lambda: nn.Conv2d(6, 9, 3, padding="same"), (6, 9, 8)),
    "circular": (lambda: nn.Conv2d(6, 9, 3, padding=1, padding_mode="circular"), (6, 9, 8)),
    "point": (lambda: nn.Conv2d(6, 9, 1, stride=2, padding=1), (6, 9, 8)),
    "transposed": (lambda: nn.ConvTranspose2d(6, 9, 3, stride=2, padding=1, output_padding=1, dilation=2), (6, 5, 4)),
    "transposed point": (lambda: nn.ConvTranspose2d(6, 9, 1, stride=2), (6, 5, 4)),
    "linear": (lambda: nn.Linear(12, 7), (12,)),
    "sequence": (lambda: nn.Linear(12, 7, bias=False), (5, 12)),
    "flattened": (lambda: nn.Sequential(nn.MaxPool2d(1), nn.Flatten(), nn.Linear(6 * 20, 7)), (6, 5, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_at_full_rank_a_layer_of_any_kind_answers_as_torch_does_and_costs_what_is_said(name: str) -> None:
    make, shape = LAYERS[name]
    network = small(make, *shape)
    layer = network.build()
    (x,) = examples(network.inputs, 3)
    (site,) = sites(layer, (x,)).sites.values()
    assert site.kind == {"flattened": "flattened"}.get(name, site.kind)
    into, out = site.shape[1], site.shape[0]
    full = [Ranks(min(into, out), min(into, out))] if site.matrix else [Ranks(into, out), Ranks(into, 0), Ranks(0, out)]
    before = count(layer, network.inputs)
    for ranks in full:
        found = factors.factored(layer, {site.path: site}, {site.path: ranks})
        batch = torch.cat([x, x.flip(-1)])
        torch.testing.assert_close(found(batch), layer(batch), rtol=1e-5, atol=1e-5)
        after, price, dense = count(found, network.inputs), site.price(ranks), site.price(DENSE)
        assert after.parameters - before.parameters == price.parameters - dense.parameters
        assert (before.macs, after.macs) == (dense.macs, price.macs)


def test_the_layer_behind_the_flatten_is_the_convolution_that_it_is(tmp_path: Path) -> None:
    found = sites(MIXED.build(), examples(MIXED.inputs)).sites
    assert {path: (site.kind, site.shape) for path, site in found.items() if site.path in ("hidden", "last", "up")} == {
        "up": ("transposed", (26, 28, 3, 3)),
        "hidden": ("flattened", (60, 26, 4, 4)),
        "last": ("linear", (20, 60)),
    }
    assert [path for path, site in found.items() if site.first] == ["first"]


def test_ranks_of_its_weights_make_a_network_smaller_and_the_package_says_what_it_computes(tmp_path: Path) -> None:
    network = MIXED.build()
    (x,) = examples(MIXED.inputs, 7)
    done = oneshot.compress(network, examples(MIXED.inputs))
    package_ = made(MIXED, None, tmp_path)
    restored = TUCKER.restored(MIXED, package_, "factored")
    assert parameters(restored) < parameters(network) / 2
    torch.testing.assert_close(restored(x), done(x), rtol=2e-2, atol=2e-2)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in restored.modules())
    assert all(torch.equal(value, value.half().float()) for value in restored.parameters())


def test_what_stays_as_it_is_is_said_and_every_layer_is_listed(tmp_path: Path) -> None:
    size = TUCKER.size(MIXED, made(MIXED, None, tmp_path))
    assert [note.split(":")[0] for note in size.notes] == ["depthwise stays as it is", "grouped stays as it is"]
    assert list(size.layers) == [
        f"{path}.weight" for path in ["first", "down", "wide", "point", "up", "hidden", "last"]
    ]
    assert size.layers["down.weight"].startswith("1×1 24→")
    assert size.kept["depthwise.weight"] == 30 * 9
    assert sum(size.kept.values()) < size.parameters


@pytest.mark.parametrize("target", ["3x", "9000", "14kB", "120kMAC", "3xMAC"])
def test_targets_are_respected_and_used(target: str, tmp_path: Path) -> None:
    package_ = made(MIXED, target, tmp_path)
    whole, found = MIXED.build(), TUCKER.restored(MIXED, package_, "factored")
    before, after = (count(module, MIXED.inputs).macs for module in (whole, found))
    amount, most = {
        "3x": (parameters(found), parameters(whole) * 2 / 3),
        "9000": (parameters(found), 9_000),
        "14kB": (len(package_), 14_000),
        "120kMAC": (after, 120_000),
        "3xMAC": (after, before / 3),
    }[target]
    assert 0.98 * most <= amount <= most


def test_targets_out_of_reach_say_what_is_within(tmp_path: Path) -> None:
    for target in ("9", "9B", "9MAC"):
        with pytest.raises(UsageError, match=r"cannot be factored down to 9 .*: with ranks of 1 everywhere") as caught:
            made(MIXED, target, tmp_path)
        assert made(MIXED, caught.value.fix.split()[2].replace(",", ""), tmp_path)
    with pytest.raises(UsageError, match=r"as it is has .* no more than the 1,000,000 of the target"):
        made(MIXED, "1000000", tmp_path)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("small", one_shot=True), "'small' is not a compression target"),
        (Request("4x", budget="energy", one_shot=True), "the budget energy"),
        (Request("4x", epochs=3, one_shot=True), "--epochs is for the training of the ordinary network"),
        (Request("4x"), "there is no data to train small with"),
        (Request("4x", one_shot=True, fine_tune=3), "there is no data to train small with"),
    ],
)
def test_requests_that_make_no_sense_are_refused(request_: Request, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        TUCKER.compress(learnt(MIXED, tmp_path), request_)


def tied() -> nn.Module:
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    network[1].weight = network[0].weight
    return network


class Own(nn.Conv2d):
    """A layer of the user's own."""


class Reading(nn.Module):
    """Its forward reads the weight of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(9, 9)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) @ self.layer.weight


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [
        (nn.ReLU, (3,), "small has no convolution or linear layer that tucker could factor"),
        (lambda: nn.Conv3d(2, 8, 3), (2, 5, 5, 5), r"could factor; the layer is of a kind \(Conv3d\)"),
        (lambda: nn.Conv2d(8, 8, 3, groups=2), (8, 5, 5), "could factor; the layer has 2 groups of channels"),
        (lambda: Own(8, 8, 3), (8, 5, 5), r"is a layer of its network's own \(Own\)"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3)), (8, 5, 5), "its network's own|computed"),
        (tied, (8,), "0 shares its weight with another layer"),
        (Reading, (9,), "layer has its weight read by its network's own forward"),
        (lambda: nn.Linear(60, 60), (60,), "weight of small looks untrained: EVBMF finds nothing in it but noise"),
    ],
)
def test_what_cannot_be_factored_is_refused_with_the_reason(
    make: Callable[[], nn.Module], shape: tuple[int, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        made(small(make, *shape), None, tmp_path)


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    broken = with_signal(nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 4)))
    with torch.no_grad():
        broken[1].weight[2, 3] = torch.nan
    with pytest.raises(CorruptData, match=r"1\.weight holds values that are not finite"):
        oneshot.compress(broken, (torch.zeros(1, 20),))


def test_a_layer_that_is_as_flat_as_noise_keeps_its_channels_beside_others_that_are_not() -> None:
    network = with_signal(nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 200), nn.Linear(200, 50)))
    nn.init.orthogonal_(network[0].weight)
    asked = oneshot.asked_for(oneshot.Whole(network.eval(), (torch.zeros(1, 6),), "it"))
    assert asked["0"] == Ranks(6, 8)
    assert asked["1"].out < 100
    assert asked["2"] == Ranks(200, 50)  # the answers


def test_without_weights_and_data_factors_are_seeded_within_the_target(tmp_path: Path) -> None:
    network = small(Mixed, 3, 12, 12, trained=False)
    request = Request("4x", one_shot=True, seeded=True)
    found = TUCKER.restored(network, TUCKER.compress(learnt(network, tmp_path), request), "factored")
    assert parameters(found) <= parameters(network.build()) / 2
    assert found(*examples(network.inputs)).std() > 1e-3
    with pytest.raises(UsageError, match="small has no trained weights, and ranks are found in trained weights"):
        TUCKER.compress(learnt(network, tmp_path), Request(one_shot=True, seeded=True))


def test_a_network_is_factored_and_tuned_and_judged_and_told_layer_by_layer(tmp_path: Path) -> None:
    def make() -> nn.Module:
        classifier = (nn.Linear(8 * 36, 24), nn.ReLU(), nn.Linear(24, 2))
        return with_signal(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), *classifier))

    network = small(make, 1, 8, 8, task="classification")
    inputs = np.random.default_rng(1).uniform(size=(120, 1, 8, 8))
    learner = learning(network, tmp_path, inputs, np.arange(120) % 2)
    told: list[str] = []
    object.__setattr__(learner, "stage", lambda title: told.append(title) or (lambda done, words: told.append(words)))
    request = Request("3000", fine_tune=2)
    found = compressed(TUCKER, learner, request)
    assert found.package == TUCKER.compress(learner, request)
    assert found.package != TUCKER.compress(learner, Request("3000", one_shot=True))
    assert found.accuracy is not None
    assert found.accuracy_before is not None
    assert any("fine-tune small" in title for title in told)
    assert any("3: " in words and "channels in" in words for words in told)
    assert found.as_json()["layers"].keys() == {"0.weight", "3.weight", "5.weight"}


def changed(package_: bytes, **other: Tensor) -> bytes:
    return tensors.pack(tensors.unpack(package_) | other)


@cache
def of_mixed() -> bytes:
    network = MIXED.build()
    whole = oneshot.Whole(network, examples(MIXED.inputs), "small")
    scaled = oneshot.within(whole, oneshot.asked_for(whole), None)
    return package.write(MIXED, whole.found, scaled.ranks, factors.factored(network, whole.found.sites, scaled.ranks))


def test_damaged_and_foreign_packages_are_refused() -> None:
    held = tensors.unpack(of_mixed())
    ranks, values = held["ranks"], held["values"]
    for damaged, words in (
        (of_mixed()[:-3], "not a safetensors file"),
        (changed(of_mixed(), values=values[:-1]), f"holds {len(values) - 1:,} values for {len(values):,} parameters"),
        (changed(of_mixed(), values=values.float()), "float32 instead of float16"),
        (changed(of_mixed(), junk=torch.zeros(2)), "nothing that the network has"),
        (changed(of_mixed(), ranks=ranks[:-2]), "tells of 6 layers instead of 7"),
        (changed(of_mixed(), ranks=ranks[:-1]), "tells of 6 layers instead of 7"),
        (tensors.pack({"weight": values}), "not one of tucker"),
    ):
        with pytest.raises((CorruptData, UsageError), match=words):
            TUCKER.restored(MIXED, damaged, "factored")
    for absurd in (-5, 2**31 - 1):
        wrong = ranks.clone()
        wrong[2] = absurd
        with pytest.raises(UsageError, match="does not fit small: down has the ranks"):
            TUCKER.restored(MIXED, changed(of_mixed(), ranks=wrong), "factored")
    flat = small(lambda: with_signal(nn.Sequential(nn.Linear(5, 4))), 5)
    with pytest.raises(UsageError, match="tells of 7 layers instead of 1"):
        TUCKER.restored(flat, of_mixed(), "factored")


@given(st.data())
@settings(deadline=None, max_examples=20)
def test_a_flipped_bit_is_refused(data: st.DataObject) -> None:
    broken = bytearray(of_mixed())
    start = 8 + int.from_bytes(broken[:8], "little")
    broken[data.draw(st.integers(start, len(broken) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptData, match="check sum does not match"):
        TUCKER.restored(MIXED, bytes(broken), "factored")


@st.composite
def random_networks(draw: st.DrawFn) -> tuple[Network, nn.Module]:
    """Of two to four layers, with norms here and there, and a classifier."""
    channels = [draw(st.integers(1, 4)), *draw(st.lists(st.integers(2, 20), min_size=1, max_size=3))]
    kernels = draw(st.lists(st.sampled_from([1, 2, 3]), min_size=3, max_size=3))
    norms = draw(st.lists(st.booleans(), min_size=3, max_size=3))
    hidden, seed = draw(st.integers(2, 24)), draw(st.integers(1, 99))

    def make() -> nn.Module:
        layers: list[nn.Module] = []
        for before, after, kernel, norm in zip(channels, channels[1:], kernels, norms, strict=False):
            layers += [nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=not norm)]
            layers += [nn.BatchNorm2d(after)] if norm else []
            layers += [nn.ReLU()]
        layers += [nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(9 * channels[-1], hidden), nn.ReLU()]
        return with_signal(nn.Sequential(*layers, nn.Linear(hidden, 4)), seed)

    network = small(make, channels[0], 7, 7)
    return network, network.build()


@given(random_networks(), st.floats(1, 12), st.sampled_from(["x", "xMAC", "B"]))
@settings(deadline=None, max_examples=12)
def test_any_network_stays_within_its_target_and_comes_back_from_its_package(
    drawn: tuple[Network, nn.Module], amount: float, unit: str
) -> None:
    network, module = drawn
    whole = oneshot.Whole(module, examples(network.inputs), "small")
    base = {path: Ranks(site.shape[1], site.shape[0]) for path, site in whole.found.sites.items()}
    target = f"{amount:.2f}{unit}" if unit != "B" else f"{int(4 * parameters(module) / amount) + 300}B"
    try:
        scaled = oneshot.within(whole, base, oneshot.parsed(target))
    except UsageError:
        return  # out of its reach
    factored = factors.factored(module, whole.found.sites, scaled.ranks)
    written = package.write(network, whole.found, scaled.ranks, factored)
    restored, _, ranks = package.read(network, written)
    assert ranks == scaled.ranks
    (x,) = examples(network.inputs, 4)
    assert restored(x).isfinite().all()
    expected = factored(x).detach()
    torch.testing.assert_close(restored(x).detach(), expected, rtol=3e-2, atol=3e-2 * expected.abs().max().item())
    if unit == "B":
        assert len(written) <= int(target[:-1])
    elif unit == "x":
        assert 2 * parameters(restored) * float(target[:-1]) <= 4 * parameters(module)
    else:
        assert count(restored, network.inputs).macs * float(target[:-4]) <= count(module, network.inputs).macs


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 3])), min_size=1, max_size=4),
    st.data(),
)
@settings(deadline=None, max_examples=40)
def test_no_layer_becomes_larger_or_slower(shapes: list[tuple[int, int, int]], data: st.DataObject) -> None:
    for out, into, kernel in shapes:
        site = Site("a", nn.Identity(), "convolution", (out, into, kernel, kernel), 64, data.draw(st.integers(1, 64)))
        ranks = site.chosen(Ranks(data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))))
        price, dense = site.price(ranks), site.price(DENSE)
        assert price.parameters <= dense.parameters
        assert price.macs <= dense.macs
        assert site.possible(ranks)


def exported(form: str, runtime: str, folder: Path) -> Exported:
    module = TUCKER.restored(MIXED, of_mixed(), form)
    inputs = tuple(tensor.numpy() for tensor in examples(MIXED.inputs, 3))
    shown = Shown(inputs, eager.answers(module, inputs))
    (files := folder / f"{form}-{runtime}").mkdir()
    to = Destination(runtimes.runtime(runtime), MIXED.inputs, shown, files, Cache(folder / "cache"), "key")
    return TUCKER.export(MIXED, of_mixed(), form, to)


def test_factors_are_given_to_ncnn_in_float16(tmp_path: Path) -> None:
    found = exported("factored", "ncnn", tmp_path)
    assert (found.weights_format, found.execution) == ("runtime", "stock")
    module = TUCKER.restored(MIXED, of_mixed(), "factored")
    wide = [parameter.numel() for parameter in module.parameters() if parameter.dim() > 1]
    narrow = [parameter.numel() for parameter in module.parameters() if parameter.dim() == 1]
    assert found.files[1].bytes <= sum(2 * n + 3 for n in wide) + 4 * len(wide) + 4 * sum(narrow)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("form", ["auto", "resident"])
def test_a_runtime_that_is_not_our_own_gets_the_factors_in_every_form(form: str, tmp_path: Path) -> None:
    found = exported(form, "torch", tmp_path)
    (x,) = examples(MIXED.inputs, 5)
    again = torch.jit.load(tmp_path / f"{form}-torch" / found.files[0].path)(x)
    torch.testing.assert_close(again, TUCKER.restored(MIXED, of_mixed(), form)(x), rtol=1e-5, atol=1e-5)


def convolution(out: int, into: int, kernel: int, pixels: int, *, first: bool = False) -> Site:
    return Site("", nn.Identity(), "convolution", (out, into, kernel, kernel), pixels, pixels, first)


ALEXNET = (
    # What each convolution costs, by group; how many groups; published ranks; published multiply-adds in millions,
    # before, and of each factor. "Pixels in" of a reduction are those that Kim et al. count: of the layer's output.
    (convolution(96, 3, 11, 55**2, first=True), 1, Ranks(0, 26), 105, (29, 7)),
    (convolution(128, 48, 5, 27**2), 2, Ranks(25, 59), 224, (2, 54, 11)),
    (convolution(384, 256, 3, 13**2), 1, Ranks(105, 112), 150, (5, 18, 7)),
)


@pytest.mark.parametrize(("site", "groups", "ranks", "before", "after"), ALEXNET)
def test_the_published_arithmetic_of_alexnet_is_reproduced_at_the_published_ranks(
    site: Site, groups: int, ranks: Ranks, before: int, after: tuple[int, ...]
) -> None:
    assert round(groups * site.price(DENSE).macs / 1e6) == before
    assert groups * site.price(ranks).macs / 1e6 == pytest.approx(sum(after), abs=1)
    factors_ = factors.blank(with_layer(site), ranks)
    pixels = site.pixels_out
    found = [groups * pixels * part.weight.numel() / 1e6 for part in factors_]
    assert [round(one) for one in found] == pytest.approx(after, abs=1)


def with_layer(site: Site) -> Site:
    out, into, kernel, _ = site.shape
    return replace(site, module=nn.Conv2d(into, out, kernel))


def test_whole_networks_have_the_published_multiply_adds_before_they_are_compressed() -> None:
    alexnet = [
        (96, 3, 11, 55, 1),
        (128, 48, 5, 27, 2),
        (384, 256, 3, 13, 1),
        (192, 192, 3, 13, 2),
        (128, 192, 3, 13, 2),
    ]
    vgg16 = [
        (64, 3, 224), (64, 64, 224), (128, 64, 112), (128, 128, 112), (256, 128, 56), (256, 256, 56), (256, 256, 56),
        (512, 256, 28), (512, 512, 28), (512, 512, 28), (512, 512, 14), (512, 512, 14), (512, 512, 14),
    ]  # fmt: skip
    prices = [groups * convolution(out, into, k, side**2).price(DENSE).macs for out, into, k, side, groups in alexnet]
    prices += [256 * 36 * 4096, 4096 * 4096, 4096 * 1000]
    assert sum(prices) / 1e6 == pytest.approx(725, abs=1)
    prices = [convolution(out, into, 3, side**2).price(DENSE).macs for out, into, side in vgg16]
    prices += [512 * 49 * 4096, 4096 * 4096, 4096 * 1000]
    assert sum(prices) / 1e6 == pytest.approx(15_470, abs=20)


def test_a_resident_form_has_one_pass_between_an_expansion_and_the_next_reduction(tmp_path: Path) -> None:
    found = exported("resident", "ncnn", tmp_path)
    assert (found.weights_format, found.execution) == ("runtime", "stock")
    assert "LowRankPass" in (tmp_path / "resident-ncnn" / found.files[0].path).read_text(encoding="ascii")
    factored = exported("factored", "ncnn", tmp_path)
    assert "LowRankPass" not in (tmp_path / "factored-ncnn" / factored.files[0].path).read_text(encoding="ascii")
