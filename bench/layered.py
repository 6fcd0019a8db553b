"""A network layer by layer: what is stored of a launch that timed each, and what is found out of several."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from bench.records import Subject

SUMS_UP = 0.05
"""The part by which the sum of layers may differ from the latency of the network before a figure says so."""


@dataclass(frozen=True)
class Blob:
    """A tensor between layers, without a batch axis."""

    name: str
    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class LayerTime:
    """One layer as it was executed. `ns` is the median of its iterations in one launch, conversions of what it reads
    included; `read` and `bytes` are those of its inputs and outputs in memory; `weights` how many values it has, None
    where nobody says.

    The work of a `deferred` one is done, and timed, in the layer that reads it; it has no outputs of its own.
    """

    name: str
    type: str
    ns: int
    read: int | None
    bytes: int
    weights: int | None
    deferred: bool
    inputs: tuple[str, ...]
    outputs: tuple[Blob, ...]


@dataclass(frozen=True)
class Layers:
    """The layers of a network in the order in which they were executed, timed in `iterations` inferences.

    In ns: `median` of those inferences as a whole, and `plain` that of ordinary ones of the same launch, each between
    two of those; None where the runtime times its layers itself, in every inference.
    """

    iterations: int
    median: int
    plain: int | None
    layers: tuple[LayerTime, ...]

    @property
    def total(self) -> int:
        """The sum of the layers' medians, in ns."""
        return sum(layer.ns for layer in self.layers)


class LayerRecord(NamedTuple):
    """One layer as one launch executed it.

    `ns` is the median of its iterations; `bytes` those of its outputs in memory. Where they are known: `macs`,
    multiply-adds for one sample; `moved`, bytes that it reads and writes, weights included; `module`, where it is in
    the author's network. A deferred layer's work is done, and timed, in the layer that reads it.
    """

    name: str
    type: str
    module: str
    ns: int
    bytes: int
    macs: int | None
    moved: int | None
    deferred: bool
    shape: tuple[int, ...]


class LayerCost(NamedTuple):
    """What a layer of a network's files has to do: multiply-adds for one sample, bytes read and written (weights
    included), and where it is in the author's network ("" where that is not known)."""

    macs: int
    moved: int
    module: str = ""


@dataclass(frozen=True)
class LayerShare:
    """One layer over all launches: its time in ns, its share of the sum of all layers' times (0 to 1) with the 95 %
    interval over launches, None for fewer than two, and the share that its multiply-adds and bytes predict; None where
    they are not known."""

    label: str
    type: str
    ns: float
    share: float
    interval: tuple[float, float] | None
    predicted: float | None
    macs: int | None
    moved: int | None
    shape: tuple[int, ...]
    deferred: bool

    @property
    def surprise(self) -> float:
        """Its measured share less the predicted one; 0 where nothing is predicted."""
        return self.share - self.predicted if self.predicted is not None else 0.0


@dataclass(frozen=True)
class Profile:
    """A subject layer by layer, in the order of execution.

    In ns: `total`, the sum of layers; `whole`, the unprofiled inference that it is held against; `of` says where that
    is from. `rates` are what the prediction is made of: ns for a multiply-add, and ns for a byte moved.
    """

    subject: Subject
    layers: tuple[LayerShare, ...]
    launches: int
    total: float
    whole: float | None
    of: str
    rates: tuple[float, float] | None
    virtual: bool
    translated: bool
    refused: str = ""
    """Why there is nothing but this to say."""

    @property
    def apart(self) -> float | None:
        """By which part the sum of layers differs from the unprofiled inference."""
        return self.total / self.whole - 1 if self.whole else None

    @property
    def sums_up(self) -> bool:
        return self.apart is not None and abs(self.apart) <= SUMS_UP

    @property
    def surprises(self) -> tuple[LayerShare, ...]:
        """Those with a prediction, the worst first: those that take more than was predicted, then those that take
        less."""
        known = [layer for layer in self.layers if layer.predicted is not None]
        return tuple(sorted(known, key=lambda layer: -abs(layer.surprise)))
