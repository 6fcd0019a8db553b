"""What ncnn's layers do to each pixel by itself: matrices of channels, and things that treat each channel by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.export.channelwise import zero
from bench.export.graph import Layer

Floats = NDArray[np.float32]
RELU, LEAKY, CLIP, HARD_SWISH, SLOPES = "1", "2", "3", "6", "7"
"""The numbers of activations in LowRankPass; all but the last are ncnn's activation_type."""
_UNBOUNDED = "3.402823e+38"


@dataclass(frozen=True, eq=False)
class Activation:
    """`numbers` are its parameters as they are written, `slopes` those of PReLU, one for each channel."""

    kind: str
    numbers: tuple[str, ...] = ()
    slopes: Floats | None = None

    @property
    def is_monotone(self) -> bool:
        """Whether the largest of some values is still the largest after it."""
        if self.kind == HARD_SWISH:
            return False
        slopes = self.slopes if self.slopes is not None else np.array([float(n) for n in self.numbers[:1]])
        return self.kind in (RELU, CLIP) or bool((slopes >= 0).all())


@dataclass(frozen=True, eq=False)
class Pointwise:
    """y = weight x + bias at each pixel; `weight` is (outputs, inputs). `flat`: all values of a blob are one pixel."""

    weight: Floats
    bias: Floats
    activation: Activation | None
    flat: bool


@dataclass(frozen=True, eq=False)
class Affine:
    """y = scale x + shift, of each channel, then perhaps ReLU."""

    scale: Floats
    shift: Floats
    activation: Activation | None


def pointwise_of(layer: Layer, blobs: Sequence[Floats]) -> Pointwise | None:
    """What a convolution of 1×1 or a linear layer computes; None for any other, and for one whose activation cannot be
    part of a pass."""
    p = layer.parameters
    if len(layer.inputs) != 1 or len(layer.outputs) != 1 or not blobs:
        return None
    outputs = int(p.get("0", "0"))
    if layer.type == "Convolution":
        ones = all(p.get(key, "1") == "1" for key in ("1", "11", "3", "13"))
        zeros = all(p.get(key, "0") == "0" for key in ("4", "14", "15", "16", "8", "19"))
        if not ones or not zeros or p.get("1") != "1":
            return None
        size, biased = int(p["6"]), p.get("5", "0") == "1"
    elif layer.type == "InnerProduct" and p.get("8", "0") == "0":
        size, biased = int(p["2"]), p.get("1", "0") == "1"
    else:
        return None
    fused = _fused(p)
    if fused is None or outputs < 1 or size % outputs:
        return None
    bias = blobs[1] if biased else np.zeros(outputs, np.float32)
    return Pointwise(blobs[0].reshape(outputs, size // outputs), bias, fused[0], layer.type == "InnerProduct")


def _fused(p: Mapping[str, str]) -> tuple[Activation | None] | None:
    """The activation that a layer applies to its sums; None for one that a pass does not have."""
    kind = p.get("9", "0")
    if kind == "0":
        return (None,)
    numbers = tuple(p.get("-23310", p.get("10", "0")).split(",")[1:])
    wanted = {RELU: 0, LEAKY: 1, CLIP: 2, HARD_SWISH: 2}.get(kind)
    return None if wanted != len(numbers) else (Activation(kind, numbers),)


def activation_of(layer: Layer, blobs: Sequence[Floats]) -> Activation | None:
    """What a layer of its own does to each value, if that is all."""
    p = layer.parameters.get
    match layer.type:
        case "ReLU":
            slope = p("0", "0")
            return Activation(RELU) if zero(slope) else Activation(LEAKY, (slope,))
        case "PReLU" if len(blobs) == 1:
            return Activation(SLOPES, slopes=blobs[0])
        case "Clip":
            return Activation(CLIP, (p("0", f"-{_UNBOUNDED}"), p("1", _UNBOUNDED)))
        case "HardSwish":
            return Activation(HARD_SWISH, (p("0", "0.2"), p("1", "0.5")))
    return None


def affine_of(layer: Layer, blobs: Sequence[Floats]) -> Affine | None:
    """A factor and a term of each channel: a batch norm, a scale, a depthwise convolution of 1×1."""
    p = layer.parameters.get
    match layer.type:
        case "BatchNorm" if len(blobs) == 4:
            slope, mean, variance, bias = (blob.astype(np.float64) for blob in blobs)
            scale = slope / np.sqrt(variance + float(p("1", "0")))
            return Affine(_single(scale), _single(bias - mean * scale), None)
        case "Scale" if blobs:
            return Affine(blobs[0], blobs[1] if len(blobs) > 1 else np.zeros_like(blobs[0]), None)
        case "ConvolutionDepthWise" if blobs:
            ones = p("1") == "1" and all(p(key, "1") == "1" for key in ("11", "3", "13"))
            zeros = all(p(key, "0") == "0" for key in ("4", "14", "15", "16", "8", "19"))
            fused = _fused(layer.parameters)
            if ones and zeros and p("0") == p("7") == p("6") and fused is not None:
                return Affine(blobs[0], blobs[1] if len(blobs) > 1 else np.zeros_like(blobs[0]), fused[0])
    return None


def _single(values: NDArray[np.float64]) -> Floats:
    return values.astype(np.float32)
