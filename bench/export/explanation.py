"""How each layer of an FR network runs, why, and what each form of it costs: what `bench explain` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.export import cost
from bench.export.cost import FLOAT, Cost, Shape
from bench.export.frequency import Exported, rewrite, weight_of
from bench.export.graph import Layer
from bench.export.resident import Form, Rewritten, Weight
from bench.records import Tensor


@dataclass(frozen=True)
class Explained:
    """One layer with a weight of `shape`: its form and why, and what each form costs by itself.

    Of the `resident` form only the small side is counted: what is wide there belongs to the pass between two layers.
    `factored` and `resident` are None where there is no such form. `points`: at how many its output is computed, where
    that is fewer than its channels.
    """

    name: str
    shape: tuple[int, ...]
    form: Form
    reason: str
    dense: cost.Cost
    factored: cost.Cost | None
    resident: cost.Cost | None
    points: int | None = None


def explain(exported: Exported, inputs: Sequence[Tensor], chosen: Rewritten | None = None) -> tuple[Explained, ...]:
    """Every layer with a weight in the `chosen` graph (the cheapest) for these inputs, in the order of running."""
    chosen = chosen or rewrite(exported, inputs, "cheapest")
    sizes, dense = cost.shapes(exported.graph, inputs), cost.costs(exported.graph, inputs)
    tensors, rows, place = exported.package.tensors, [], 0
    for number, layer in enumerate(exported.graph.layers):
        blobs = layer.blobs()
        if blobs and len(tensors[place].shape) >= 2:
            row = Explained(exported.names[place], tensors[place].shape, "dense", "", dense[number], None, None)
            weight = weight_of(tensors[place])
            if weight is not None and number in chosen.forms:
                before, after = sizes[layer.inputs[0]], sizes[layer.outputs[0]]
                factored, small = costs_of(layer, weight, before, after, *_points(number, weight, chosen))
                row = replace(row, form=chosen.forms[number], factored=factored, resident=small)
                if (points := chosen.points.get(number, weight.shape[0])) < weight.shape[0]:
                    row = replace(row, points=points)
            rows.append(replace(row, reason=_reason(number, row, weight, chosen)))
        place += len(blobs)
    return tuple(rows)


def _points(number: int, weight: Weight, chosen: Rewritten) -> tuple[int, int]:
    """At how many points the input and the output of a layer are computed."""
    sources = chosen.reads.get(number, ())
    before = sum(s.channels if s.maker is None else chosen.points[s.maker] for s in sources) or weight.shape[1]
    return before, chosen.points.get(number, weight.shape[0])


def _reason(number: int, row: Explained, weight: Weight | None, chosen: Rewritten) -> str:
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
    fewer += f"; {row.points} of {weight.shape[0]} channels computed" if row.points else ""
    why = chosen.spaces[number].whole if number in chosen.spaces and chosen.narrowed else None
    fewer += f"; all channels computed, since {why}" if why else ""
    return fewer + (f"; wide {' and '.join(wide)}" if wide else "")


def costs_of(
    layer: Layer, weight: Weight, before: Shape, after: Shape, points_in: int, points_out: int
) -> tuple[Cost, Cost]:
    """What a layer costs by itself, factored, and resident at so many points, from an input of shape `before` to an
    output of `after`."""
    n_out, n_in = weight.shape[:2]
    r_out, r_in = weight.box[:2]
    pixels_in, pixels_out = before[1] * before[2], after[1] * after[2]
    if layer.type == "InnerProduct":
        pixels_in = pixels_out = 1
    core = weight.core * (pixels_in if layer.type == "Deconvolution" else pixels_out)
    narrow = 2 * (pixels_in * r_in + pixels_out * r_out)
    wide = pixels_in * n_in + pixels_out * n_out

    def cost_at(n_in: int, n_out: int, activations: int) -> Cost:
        macs = pixels_in * n_in * r_in + core + pixels_out * n_out * r_out
        return Cost(macs, FLOAT * (n_in * r_in + n_out * r_out + weight.core), FLOAT * activations)

    return cost_at(n_in, n_out, narrow + wide), cost_at(points_in, points_out, narrow)
