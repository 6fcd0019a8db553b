"""From a compressed network to what a phone runs: a graph and a package; and why it is so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.compress.frequency import package
from bench.export import cost, graph, resident
from bench.records import Tensor

if TYPE_CHECKING:
    from torch import nn

Choice = Literal["all", "cheapest"]
"""Of a resident graph: whether every layer that can be resident is, or each layer has the form that costs least."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A compressed network in `graph`, of ordinary layers, with the tensors of `package` in its load order.

    `names` are the tensors' names in the network, in the same order.
    """

    graph: graph.Graph
    package: package.Package
    names: tuple[str, ...]


def as_shipped(network: nn.Module) -> nn.Module:
    """A copy of a compressed network that computes with what its package holds: norms folded, values of float16."""
    from bench.compress.frequency import layers, norms

    network = norms.folded(network)
    layers.round_to_half(network)
    return network


def export(name: str, network: nn.Module, inputs: Sequence[Tensor], folder: Path) -> None:
    """Write graph.param, weights.frq and names.json of a compressed network for these inputs.

    The graph is that of dense and factored execution; the runner factors it by itself. Raises ToolMissing and
    ExportRefused.
    """
    from bench.compress.frequency import layers, norms
    from bench.export import recipes

    network = as_shipped(network)
    shipped = layers.shipped(name, network)
    names = [part for part, _ in layers.parts(network)]
    blobs = [recipes.Recipe(package.blob(t), None if t.kind == "raw" else True) for t in shipped.tensors]
    order = recipes.export(norms.convolved(layers.decoded(network)), inputs, blobs, folder)
    tensors = tuple(replace(shipped.tensors[loaded.index], vector=not loaded.typed) for loaded in order)
    (folder / "weights.frq").write_bytes(package.write(package.Package(shipped.name, tensors)))
    (folder / "names.json").write_text(json.dumps([names[loaded.index] for loaded in order]), encoding="utf-8")


def read(folder: Path) -> Exported:
    """What `export` wrote into `folder`."""
    parsed = graph.parse((folder / "graph.param").read_text(encoding="ascii"))
    names = json.loads((folder / "names.json").read_bytes())
    return Exported(parsed, package.read((folder / "weights.frq").read_bytes()), tuple(names))


def rewrite(exported: Exported, inputs: Sequence[Tensor], choice: Choice) -> resident.Rewritten:
    """The graph for resident execution of the same package."""
    weights = [_weight(tensor) for tensor in exported.package.tensors]
    if choice == "all":
        return resident.rewrite(exported.graph, weights)
    return resident.cheapest(exported.graph, weights, inputs)


def _weight(tensor: package.Tensor) -> resident.Weight | None:
    shape = tensor.shape
    if tensor.kind == "raw" or len(shape) < 2:
        return None
    used = [np.unique(axis) for axis in tensor.coordinates().T]
    # Our own layers make the first columns of the DCT basis, so those have to be the ones that are used.
    if any(axis[-1] != len(axis) - 1 for axis in used):
        return None
    box = tuple(map(len, used))
    if tensor.transposed:
        return resident.Weight((shape[1], shape[0], *shape[2:]), (box[1], box[0], *box[2:]))
    return resident.Weight(shape, box)


@dataclass(frozen=True)
class Explained:
    """One layer with a weight of `shape`: its form and why, and what each form costs by itself.

    Of the `resident` form only the small side is counted: what is wide there belongs to the pass between two layers.
    `factored` and `resident` are None where there is no such form.
    """

    name: str
    shape: tuple[int, ...]
    form: resident.Form
    reason: str
    dense: cost.Cost
    factored: cost.Cost | None
    resident: cost.Cost | None


def explain(exported: Exported, inputs: Sequence[Tensor]) -> tuple[Explained, ...]:
    """Every layer with a weight in the cheapest graph for these inputs, in the order in which they run."""
    chosen = rewrite(exported, inputs, "cheapest")
    sizes, dense = cost.shapes(exported.graph, inputs), cost.costs(exported.graph, inputs)
    tensors, rows, place = exported.package.tensors, [], 0
    for number, layer in enumerate(exported.graph.layers):
        blobs = layer.blobs()
        if blobs and len(tensors[place].shape) >= 2:
            row = Explained(exported.names[place], tensors[place].shape, "dense", "", dense[number], None, None)
            weight = _weight(tensors[place])
            if weight is not None and number in chosen.forms:
                before, after = sizes[layer.inputs[0]], sizes[layer.outputs[0]]
                factored, small = resident.costs_of(layer, weight, before, after)
                row = replace(row, form=chosen.forms[number], factored=factored, resident=small)
            rows.append(replace(row, reason=_reason(number, row, weight, chosen)))
        place += len(blobs)
    return tuple(rows)


def _reason(number: int, row: Explained, weight: resident.Weight | None, chosen: resident.Rewritten) -> str:
    if weight is None:
        return "its weight is not the first coefficients along every axis"
    if row.resident is None:
        return "this kind of layer has no small form"
    sides = f"{weight.box[1]} of {weight.shape[1]} channels in, {weight.box[0]} of {weight.shape[0]} out"
    if row.form == "dense":
        return f"a small form gains too little: {sides}"
    if row.resident.macs >= row.dense.macs:
        return f"{weight.shape[0]} outputs: the pass before it makes them with its whole weight"
    fewer = f"{sides}, {row.dense.macs / row.resident.macs:,.1f}× fewer multiply-adds"
    if row.form == "factored":
        return f"{fewer}; beside it are wide layers"
    wide = [side for side, which in (("in", chosen.wide_in), ("out", chosen.wide_out)) if number in which]
    return fewer + (f"; wide {' and '.join(wide)}" if wide else "")
