"""The layers of a network that can be factored, what each costs at any ranks, and why the others stay as they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from bench.compress.tucker.ranks import Ranks
from bench.errors import UsageError
from bench.guest import guest
from bench.networks.count import run

DENSE = Ranks(0, 0)
"""A layer that stays as it is."""
Kind = Literal["convolution", "transposed", "linear", "flattened"]
_KINDS: Mapping[type[nn.Module], Kind] = {
    nn.Conv2d: "convolution", nn.ConvTranspose2d: "transposed", nn.Linear: "linear"
}  # fmt: skip
_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_OTHERS = (nn.Conv1d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose3d, nn.Bilinear, nn.RNNBase, nn.MultiheadAttention)
"""Layers with weights of which nothing is known here; an embedding is a table, and nobody expects it to be factored."""
_THROUGH = (nn.Dropout, nn.Identity, nn.ReLU, nn.Flatten)


class Price(NamedTuple):
    """Numbers that a layer keeps, without its bias, and multiply-adds of one inference."""

    parameters: int
    macs: int


@dataclass(frozen=True, eq=False)
class Site:
    """A layer: its weight's `shape` is (out, in, …), for a linear layer behind a flatten (out, C, H, W).

    `pixels_in` and `pixels_out` are the places of its input and output in one inference, summed over its calls.
    `first` marks the first convolution, whose few inputs are kept.
    """

    path: str
    module: nn.Module
    kind: Kind
    shape: tuple[int, ...]
    pixels_in: int
    pixels_out: int
    first: bool = False

    @property
    def matrix(self) -> bool:
        """Whether it has no neighbourhood: then it has one rank."""
        return math.prod(self.shape[2:]) == 1

    @property
    def name(self) -> str:
        """Of the weight in the network's state dict."""
        return f"{self.path}.weight" if self.path else "weight"

    @property
    def weight(self) -> NDArray[np.float64]:
        held = cast(Tensor, self.module.weight).detach().double().cpu().numpy()
        return (held.swapaxes(0, 1) if self.kind == "transposed" else held).reshape(self.shape)

    @property
    def most(self) -> Ranks:
        """The largest ranks that mean anything: the weight as it is."""
        out, into = self.shape[:2]
        each = math.prod(self.shape[2:])
        if self.matrix:
            return Ranks(min(out, into), min(out, into))
        return Ranks(0 if self.first else min(into, out * each), min(out, into * each))

    def price(self, ranks: Ranks) -> Price:
        """What it costs with those factors; dense for `DENSE`."""
        out, into = self.shape[:2]
        each = math.prod(self.shape[2:])
        core = self.pixels_in if self.kind == "transposed" else self.pixels_out
        if ranks == DENSE:
            return Price(out * into * each, core * out * into * each)
        if self.matrix:
            numbers = ranks.out * (out + into)
            return Price(numbers, numbers * core)
        before = into * ranks.into
        inside = (ranks.into or into) * (ranks.out or out) * each
        behind = ranks.out * out
        macs = self.pixels_in * before + core * inside + self.pixels_out * behind
        return Price(before + inside + behind, macs)

    def chosen(self, wanted: Ranks) -> Ranks:
        """The factors that are taken where these ranks are wanted: a side is left whole where that is cheaper, and the
        layer dense where factors would make it larger or slower."""
        most, each = self.most, math.prod(self.shape[2:])
        into, out = min(wanted.into, most.into), min(wanted.out, most.out)
        if self.matrix:
            forms = [Ranks(out, out)]
        elif self.first:
            forms = [Ranks(0, min(out, self.shape[1] * each))]
        else:
            # A core has no more directions on one side than the other side and its kernel give it.
            forms = [Ranks(min(into, out * each), min(out, into * each)), Ranks(0, out), Ranks(into, 0)]
        dense = self.price(DENSE)
        priced = [(self.price(form), form) for form in forms]
        better = [one for one in priced if one[0].macs < dense.macs and one[0].parameters < dense.parameters]
        return min(better, default=(dense, DENSE))[1]

    def possible(self, ranks: Ranks) -> bool:
        """Whether a package can say that of this layer."""
        if ranks == DENSE:
            return True
        if self.matrix and not 1 <= ranks.into == ranks.out:
            return False
        most = Ranks(self.shape[1], self.shape[0])
        return 0 <= ranks.into <= most.into and 0 <= ranks.out <= most.out


class Found(NamedTuple):
    """Sites by path in the order of running, and for each other layer with a weight why it stays as it is."""

    sites: Mapping[str, Site]
    left: Mapping[str, str]


def sites(network: nn.Module, inputs: Sequence[Tensor]) -> Found:
    """Of a network in evaluation; `inputs` is one sample of each. Raises UsageError when it does not take these."""
    called = _called(network, inputs)
    behind = _behind_a_flatten(network, inputs)
    owners = Counter(
        id(held)
        for _, module in network.named_modules(remove_duplicate=False)
        for held in module._parameters.values()
        if held is not None
    )
    found: dict[str, Site] = {}
    left: dict[str, str] = {}
    for path, module in network.named_modules():
        if isinstance(module, _OTHERS):
            left[path] = f"is of a kind ({type(module).__name__}) that tucker does not factor"
        elif isinstance(module, _LAYERS) and (why := _why_left(module, path in called, owners)):
            left[path] = why
    first = True
    for path, (before, after) in called.items():
        module = network.get_submodule(path)
        if path in left:
            continue
        kind = _KINDS[type(module)]
        shape = tuple(cast(Tensor, module.weight).shape)
        if kind == "linear":
            if (map_ := behind.get(path)) is not None:
                kind, shape = "flattened", (shape[0], *map_)
                before, after = math.prod(map_[1:]), 1
            found[path] = Site(path, module, kind, shape, before, after)
            continue
        if kind == "transposed":
            shape = (shape[1], shape[0], *shape[2:])
        found[path] = Site(path, module, kind, shape, before, after, first=first)
        first = False
    for path in list(_read_from_outside(network, found, inputs)):
        left[path] = "has its weight read by its network's own forward"
        del found[path]
    return Found(found, left)


def _why_left(module: nn.Module, called: bool, owners: Counter[int]) -> str | None:
    if type(module) not in _KINDS:
        return f"is a layer of its network's own ({type(module).__name__})"
    if module._parameters.get("weight") is None or hasattr(module, "parametrizations"):
        return "has a weight that is computed from other parameters"
    if any(owners[id(held)] > 1 for held in module._parameters.values() if held is not None):
        return "shares its weight with another layer"
    groups = getattr(module, "groups", 1)
    if groups > 1:
        return "is depthwise" if groups == getattr(module, "in_channels", 0) else f"has {groups} groups of channels"
    return None if called else "is never called"


def _called(network: nn.Module, inputs: Sequence[Tensor]) -> dict[str, tuple[int, int]]:
    """Paths of layers in the order of running, with the places of their inputs and outputs."""
    found: dict[str, tuple[int, int]] = {}

    def noting(path: str, linear: bool) -> Callable[..., None]:
        def note(_: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> None:
            before, after = found.get(path, (0, 0))
            if linear:
                rows = answer.numel() // max(1, answer.shape[-1])
                found[path] = before + rows, after + rows
            else:
                found[path] = before + math.prod(given[0].shape[2:]), after + math.prod(answer.shape[2:])

        return note

    hooks = [
        module.register_forward_hook(noting(path, isinstance(module, nn.Linear)))
        for path, module in network.named_modules()
        if type(module) in _KINDS
    ]
    try:
        run(network, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _behind_a_flatten(network: nn.Module, inputs: Sequence[Tensor]) -> dict[str, tuple[int, ...]]:
    """For linear layers that read nothing but a flattened map of more than one pixel, that map's (C, H, W). None where
    torch.fx cannot trace the forward."""
    try:
        traced = fx.GraphModule(network, _Tracer().trace(network))
        with torch.no_grad(), guest():
            _Shapes(traced).run(*inputs)
    except Exception:  # of any kind: the forward of a stranger's network meets proxies instead of tensors
        return {}
    found: dict[str, set[tuple[int, ...]]] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module" and isinstance(network.get_submodule(str(node.target)), nn.Linear):
            found.setdefault(str(node.target), set()).add(_map_of(network, node))
    # A layer that is called on different things is left to the SVD.
    return {path: next(iter(maps)) for path, maps in found.items() if len(maps) == 1 and maps != {()}}


def _map_of(network: nn.Module, node: fx.Node) -> tuple[int, ...]:
    """(C, H, W) of what a layer's input was before it was flattened; () where it was nothing of the kind."""
    shape = _shape(node.args[0] if node.args else None)
    if len(shape) != 2:
        return ()
    before: object = node.args[0]
    while isinstance(before, fx.Node):
        known = _shape(before)
        if len(known) == 4 and known[0] == shape[0] and math.prod(known[1:]) == shape[1]:
            return known[1:] if math.prod(known[2:]) > 1 else ()
        if known != shape or not _keeps_order(network, before):
            return ()
        before = before.args[0] if before.args else None
    return ()


def _keeps_order(network: nn.Module, node: fx.Node) -> bool:
    """Whether it only gives what it gets another shape, or works number by number."""
    if node.op == "call_module":
        return isinstance(network.get_submodule(str(node.target)), _THROUGH)
    if node.op == "call_method":
        return node.target in ("flatten", "view", "reshape", "contiguous", "relu")
    known: tuple[Any, ...] = (torch.flatten, torch.reshape, torch.relu, nn.functional.relu, nn.functional.dropout)
    return node.op == "call_function" and node.target in known


class _Tracer(fx.Tracer):
    """Takes linear layers as one, also what is derived from them."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Linear) or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    def run_node(self, n: fx.Node) -> Any:
        answer = super().run_node(n)
        n.meta["shape"] = tuple(answer.shape) if isinstance(answer, Tensor) else ()
        return answer


def _shape(node: object) -> tuple[int, ...]:
    return node.meta.get("shape", ()) if isinstance(node, fx.Node) else ()


def _read_from_outside(network: nn.Module, found: Mapping[str, Site], inputs: Sequence[Tensor]) -> Iterator[str]:
    """Sites whose weight the forward reads, instead of calling the layer; these cannot be replaced."""
    if _runs_wrapped(network, list(found.values()), inputs):
        return
    for path, site in found.items():
        if not _runs_wrapped(network, [site], inputs):
            yield path


def _runs_wrapped(network: nn.Module, some: Sequence[Site], inputs: Sequence[Tensor]) -> bool:
    """Whether the network works with its layers one level further down, where only a call reaches them."""
    inner = [site for site in some if site.path]
    try:
        for site in inner:
            network.set_submodule(site.path, nn.Sequential(site.module))
        run(network, inputs)
    except UsageError:
        return False
    finally:
        for site in inner:
            network.set_submodule(site.path, site.module)
    return True
