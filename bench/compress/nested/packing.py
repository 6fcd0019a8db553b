"""A network at each of its capacities as a package, and a package as a network at one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bench.compress import fuse
from bench.compress.narrower import structure
from bench.compress.nested import blocks, package
from bench.compress.nested.blocks import Channels, Floats, Slot
from bench.compress.nested.growing import Grown, nested_biases
from bench.compress.nested.package import Levels, Nested
from bench.compress.tensors import half, is_weight
from bench.errors import CorruptData, UsageError
from bench.networks import Network
from bench.networks.count import count, examples

_AGAIN = "Make the package again."


class _Capacity(NamedTuple):
    """A network at a capacity as it was trained, its slots with norms folded, and what these norms multiply each row of
    a layer's weight by."""

    module: nn.Module
    slots: dict[str, Slot]
    scales: dict[str, Tensor]


class _Lists:
    """The lists of levels so far, each once."""

    def __init__(self) -> None:
        self.found: dict[Levels, int] = {}

    def of(self, levels: Iterable[Any]) -> int:
        return self.found.setdefault(tuple(int(level) for level in levels), len(self.found))


def packed(network: Network, grown: Grown) -> Nested:
    """The package. Raises UsageError for a network that has no such form, and for values that float16 cannot hold."""
    inputs = examples(network.inputs)
    lists, whole = _Lists(), grown.modules[-1]
    found = structure.sites(whole)
    sites = [lists.of(grown.channels[name][side]) for name in found for side in ("into", "out")]
    capacities = [_capacity(module, inputs) for module in grown.modules]
    order = [slot.name for slot in blocks.slots(fuse.fused(network.build(), inputs))]  # as a reader has them
    if any(set(one.slots) != set(order) for one in capacities):
        raise UsageError(
            f"{network.name} cannot be nested: its batch norms can be folded at some capacities and not at others",
            "Prune it to several sizes instead: --method prune.",
        )
    nested_bias = nested_biases(whole, inputs)
    tensors = [_tensor(name, capacities, grown.channels, found, lists, nested_bias) for name in order]
    made = Nested(network.name, len(capacities), tuple(lists.found), tuple(sites), tuple(tensors))
    for number, one in enumerate(capacities, 1):
        _expect_blocks(made, number, one, order)
    return made


def _capacity(module: nn.Module, inputs: Sequence[Tensor]) -> _Capacity:
    folded = fuse.fused(module, inputs)
    slots = {slot.name: slot for slot in blocks.slots(folded)}
    scales = {}
    for layer, norm in fuse.pairs(module, inputs):
        own = module.get_submodule(norm)
        if not isinstance(folded.get_submodule(norm), nn.Identity):
            continue
        assert isinstance(own.running_var, Tensor)
        spread = torch.rsqrt(own.running_var + own.eps)  # type: ignore[operator]
        scales[f"{layer}.weight"] = half(norm, (spread if own.weight is None else spread * own.weight).detach())  # type: ignore[operator]
    return _Capacity(module, slots, scales)


def _tensor(
    name: str, capacities: Sequence[_Capacity], channels: Channels, found: dict[str, structure.Site], lists: _Lists,
    nested_bias: Callable[[str, blocks.Sides], bool],
) -> package.Tensor:  # fmt: skip
    whole = capacities[-1].slots[name]
    site = found.get(whole.layer)
    along = blocks.axes(site, whole.own) if site and whole.layer in channels else None

    def list_of(side: str, length: int) -> int:
        own = channels[whole.layer][side] if along and side in along else None
        return lists.of(own if own is not None and len(own) == length else [1] * length)

    if whole.matrix:
        scaled = name in capacities[-1].scales
        values = _raw(capacities[-1], whole) if scaled else whole.stored()
        scales = tuple(one.scales[name].numpy().astype(np.float16) for one in capacities) if scaled else ()
        rows, columns, kernel = values.shape
        return package.Tensor(
            list_of("out", rows), list_of("into", columns), kernel, values.astype(np.float16), scales=scales
        )
    rows = list_of("out", whole.tensor.numel())
    if along and whole.own == "bias" and nested_bias(whole.layer, channels[whole.layer]):
        return package.Tensor(rows, values=_halved(whole).astype(np.float16))
    return package.Tensor(rows, own=tuple(_halved(one.slots[name]).astype(np.float16) for one in capacities))


def _halved(slot: Slot) -> Floats:
    return half(slot.name, slot.tensor.detach()).float().numpy().reshape(-1)


def _raw(capacity: _Capacity, slot: Slot) -> Floats:
    """The values of a weight before a norm was folded into it."""
    return slot._replace(tensor=capacity.module.get_parameter(slot.name)).stored()


def _expect_blocks(made: Nested, number: int, capacity: _Capacity, order: Sequence[str]) -> None:
    """That the package gives the weights which that capacity was trained with, to the bit. Raises UsageError."""
    for tensor, name in zip(made.tensors, order, strict=True):
        slot = capacity.slots[name]
        if not slot.matrix:
            continue
        ours = made.at(package.unscaled(tensor), number)
        theirs = _raw(capacity, slot) if tensor.scales else slot.stored()
        if ours.shape != theirs.shape or not np.array_equal(ours, theirs):
            raise UsageError(
                f"{slot.name} cannot be nested: capacity {number} has it otherwise than the whole network",
                "Prune that network to several sizes instead: --method prune.",
            )


def restored(network: Network, made: Nested, capacity: int) -> nn.Module:
    """The network at a capacity, in evaluation, with batch norms folded. Raises UsageError for the package of another
    network and CorruptData for one whose parts do not go together."""
    ordinary = network.build()
    found = structure.sites(ordinary)
    widths = structure.widths_of(found, [made.width(which, capacity) for which in made.sites])
    if widths is None or not all(structure.possible(found[name], width) for name, width in widths.items()):
        raise UsageError(
            f"the package does not fit {network.name}: its layers have other numbers of channels",
            "Name the network that the package was made of.",
        )
    try:
        module = fuse.fused(structure.resized(ordinary, widths), examples(network.inputs))
        same = count(module, network.inputs).outputs == count(ordinary, network.inputs).outputs
    except (UsageError, RuntimeError):
        same = False
    if not same:
        raise CorruptData(f"the widths in the package of {network.name} do not go together", _AGAIN)
    own = list(blocks.slots(module))
    values = [made.at(tensor, capacity) for tensor in made.tensors]
    if [slot.stored().shape for slot in own] != [one.shape for one in values]:
        raise UsageError(
            f"the package does not fit {network.name}: its {len(values)} tensors have other shapes than the network's",
            "Name the network that the package was made of.",
        )
    for slot, one in zip(own, values, strict=True):
        slot.fill(one)
    return module.eval()


def kept(network: Network, made: Nested, capacity: int) -> dict[str, int]:
    """How many numbers a capacity has of each weight."""
    module = restored(network, made, capacity)
    return {name: weight.numel() for name, weight in module.named_parameters() if is_weight(weight)}
