"""A network in several capacities for ncnn: the largest one's graph, what is other in it at each, and all weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.compress.nested import package
from bench.compress.nested.blocks import Floats, slots
from bench.compress.nested.package import Nested, Substitution
from bench.errors import ExportRefused
from bench.export import graph, ncnn
from bench.records import Tensor

_WHOLE = "Measure the capacities in files of their own: nested-apart."
_SAMPLES = 2


def export(
    made: Nested, modules: Sequence[nn.Module], inputs: Sequence[Tensor], samples: Sequence[NDArray[Any]], folder: Path
) -> None:
    """Write graph.param and weights.nested of a package whose `modules` are the network at each capacity.

    Raises ToolMissing, and ExportRefused where ncnn's layers are not those of the network, or are others at some
    capacity.
    """
    few = [array[:_SAMPLES] for array in samples]
    converted = [ncnn.convert(module, inputs, few) for module in modules]
    whole = converted[-1][0]
    order = _order(modules[-1], inputs, few, whole)
    tensors = [
        replace(made.tensors[number], typed=blob.typed) for number, blob in zip(order, whole.blobs(), strict=True)
    ]
    found = replace(made, tensors=tuple(tensors), graph=_substitutions([one for one, _ in converted]))
    for number, (_, values) in enumerate(converted, 1):
        for tensor, value in zip(found.tensors, values, strict=True):
            if not np.array_equal(found.at(tensor, number).reshape(-1), value.reshape(-1)):
                raise ExportRefused(f"ncnn computes capacity {number} with other weights than the package has", _WHOLE)
    graph.write(whole, folder / "graph.param")
    (folder / "weights.nested").write_bytes(package.write(found))


@torch.no_grad()
def _order(
    module: nn.Module, inputs: Sequence[Tensor], samples: Sequence[NDArray[Any]], whole: graph.Graph
) -> list[int]:
    """Which tensor of the network each blob of ncnn's is: found by values that no two of them share."""
    probe, dice = copy.deepcopy(module), np.random.default_rng(1)
    own = list(slots(probe))
    for slot in own:
        marks: Floats = (dice.uniform(0.5, 1.5, slot.stored().shape) / 8).astype(np.float32)
        slot.fill(marks)
    marked, values = ncnn.convert(probe, inputs, samples)
    if str(marked) != str(whole):
        raise ExportRefused("ncnn's graph depends on the values of the weights", _WHOLE)
    known = {slot.stored().tobytes(): number for number, slot in enumerate(own)}
    order = [known.get(value.astype("<f4").tobytes(), -1) for value in values]
    if sorted(order) != list(range(len(own))):
        raise ExportRefused("ncnn does not load the weights as the network has them", _WHOLE)
    return order


def _substitutions(graphs: Sequence[graph.Graph]) -> tuple[Substitution, ...]:
    """The parameters that are not the same at all capacities."""
    found = []
    shorter = [[layer.short() for layer in one.layers] for one in graphs]
    if len({len(layers) for layers in shorter}) > 1:
        raise ExportRefused("ncnn's graph has other layers at some capacities", _WHOLE)
    for number, same in enumerate(zip(*shorter, strict=True)):
        if len({(one.type, one.inputs, one.outputs, *one.parameters) for one in same}) > 1:
            raise ExportRefused("ncnn's graph has other layers at some capacities", _WHOLE)
        for key in same[0].parameters:
            texts = [one.parameters[key] for one in same]
            if len(set(texts)) == 1:
                continue
            try:
                found.append(Substitution(number, int(key), tuple(int(text) for text in texts)))
                if int(key) < 0:
                    raise ValueError
            except ValueError:
                raise ExportRefused(f"{same[0].type} has a list that depends on the capacity", _WHOLE) from None
    return tuple(found)
