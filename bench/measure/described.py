"""What each layer of a launch had to do, from the files that it was made of: for predictions, and for its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench import runtimes
from bench.layered import LayerCost, LayerRecord, Layers, LayerTime
from bench.records import Artifact


def records(artifact: Artifact, found: Layers) -> tuple[LayerRecord, ...]:
    """The layers as they are stored. What a deferred layer has to do is added to the layer that reads it.

    Work is known of runtimes that count it on the files of a network (`layer_costs`): what a launch tells of weights
    has biases and fillings in it, by which the same layer would have other multiply-adds in every runtime.
    """
    costs: Callable[[Artifact, Layers], Mapping[int, LayerCost]] | None = getattr(
        runtimes.runtime(artifact.runtime), "layer_costs", None
    )
    known = costs(artifact, found) if costs else {}
    return tuple(_record(layer, known.get(place)) for place, layer in enumerate(found.layers))


def _record(layer: LayerTime, cost: LayerCost | None) -> LayerRecord:
    return LayerRecord(
        name=layer.name, type=layer.type, module=cost.module if cost else "", ns=layer.ns, bytes=layer.bytes,
        macs=cost.macs if cost else None, moved=cost.moved if cost else None, deferred=layer.deferred,
        shape=layer.outputs[0].shape if layer.outputs else (),
    )  # fmt: skip
