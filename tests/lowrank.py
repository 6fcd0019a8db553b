"""Small low-rank networks as ncnn graphs, each from a seed: what a converter may make of convolutions of low rank."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.export.graph import Graph, Layer

Floats = NDArray[np.float32]
ACTIVATIONS = ("", "9=1", "9=2 -23310=1,0.1", "9=3 -23310=2,-0.5,1.5", "9=6 -23310=2,0.2,0.5")


class Builder:
    """Adds layers one after the other and remembers the shape of each blob; `half` rounds weights to float16."""

    def __init__(self, seed: int, half: bool) -> None:
        self.random = np.random.default_rng(seed)
        self.half = half
        self.layers: list[Layer] = []
        self.blobs: list[Floats] = []
        self.shapes: dict[str, tuple[int, int, int]] = {}

    def pick(self, *choices: object) -> object:
        return choices[int(self.random.integers(len(choices)))]

    def number(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def layer(self, kind: str, inputs: list[str], parameters: str, shape: tuple[int, int, int], *blobs: Floats) -> str:
        name = f"b{len(self.layers)}"
        words = dict(word.split("=", 1) for word in parameters.split())
        self.layers.append(Layer(kind, name, tuple(inputs), (name,), words))
        self.blobs += blobs
        self.shapes[name] = shape
        return name

    def normal(self, *shape: int) -> Floats:
        values: Floats = (self.random.normal(size=shape) / max(1, int(np.prod(shape[1:]))) ** 0.5).astype(np.float32)
        return values.astype(np.float16).astype(np.float32) if self.half else values

    def pointwise(self, source: str, outputs: int, *, bias: bool, activation: str = "", stride: int = 1) -> str:
        inputs, height, width = self.shapes[source]
        weight = self.normal(outputs, inputs)
        own = f"0={outputs} 1=1 3={stride} 5={int(bias)} 6={weight.size} {activation}"
        shape = (outputs, (height - 1) // stride + 1, (width - 1) // stride + 1)
        return self.layer("Convolution", [source], own, shape, weight, *[self.normal(outputs)] * bias)

    def core(self, source: str, outputs: int) -> str:
        inputs, height, width = self.shapes[source]
        kernel = (self.number(1, 3), self.number(1, 3))
        stride, pad = self.number(1, 2), self.number(0, 1)
        kernel = (min(kernel[0], height), min(kernel[1], width))
        weight = self.normal(outputs, inputs, *kernel)
        own = f"0={outputs} 1={kernel[1]} 11={kernel[0]} 3={stride} 4={pad} 6={weight.size}"
        down, across = ((size + 2 * pad - k) // stride + 1 for size, k in zip((height, width), kernel, strict=True))
        return self.layer("Convolution", [source], own, (outputs, down, across), weight)

    def beside(self, blob: str) -> str:
        """Something that treats each channel by itself, or nothing."""
        channels, height, width = shape = self.shapes[blob]
        match self.number(0, 7):
            case 0:
                return self.layer("ReLU", [blob], "0=0.1", shape)
            case 1:
                return self.layer("PReLU", [blob], f"0={channels}", shape, self.normal(channels))
            case 2:
                return self.layer("Clip", [blob], "0=0 1=6", shape)
            case 3:
                positive = np.abs(self.normal(channels)) + np.float32(0.5)
                values = (self.normal(channels), self.normal(channels), positive, self.normal(channels))
                return self.layer("BatchNorm", [blob], f"0={channels} 1=1e-5", shape, *values)
            case 4:
                own = f"0={channels} 1=1 5=1 6={channels} 7={channels} {self.pick('', '9=1')}"
                return self.layer(
                    "ConvolutionDepthWise", [blob], own, shape, self.normal(channels), self.normal(channels)
                )
            case 5 if min(height, width) > 1:
                return self.layer("Pooling", [blob], "0=0 1=2 2=2 5=1", (channels, height // 2, width // 2))
            case 6:
                return self.layer("HardSwish", [blob], "", shape)
        return blob

    def sum(self, blob: str) -> str:
        """With an earlier blob of its shape, if there is one."""
        others = [name for name, shape in self.shapes.items() if shape == self.shapes[blob] and name != blob]
        if not others or self.number(0, 2) == 0:
            return blob
        pair = [blob, str(self.pick(*others))]
        if self.number(0, 1):
            pair.reverse()
        return self.layer("BinaryOp", pair, "0=0", self.shapes[blob])

    def join(self, blob: str) -> str:
        others = [n for n, shape in self.shapes.items() if shape[1:] == self.shapes[blob][1:] and n != blob]
        if not others or self.number(0, 3):
            return blob
        other = str(self.pick(*others))
        channels = self.shapes[blob][0] + self.shapes[other][0]
        return self.layer("Concat", [blob, other], "0=0", (channels, *self.shapes[blob][1:]))


def network(seed: int, *, half: bool = False) -> tuple[Graph, tuple[Floats, ...], tuple[int, int, int]]:
    """A graph of ordinary layers, its weights, and the shape of its input."""
    made = Builder(seed, half)
    shape = (made.number(1, 5), made.number(3, 23), made.number(3, 23))
    made.layers.append(Layer("Input", "in0", (), ("in0",), {}))
    made.shapes["in0"] = shape
    blob, width = "in0", int(str(made.pick(4, 7, 16, 19, 33, 64)))
    for _ in range(made.number(2, 5)):
        if made.number(0, 3):
            blob = made.pointwise(blob, made.number(1, 20), bias=bool(made.number(0, 1)))
        if made.number(0, 3):
            blob = made.core(blob, made.number(1, 20))
        if made.number(0, 3) == 0:
            width = int(str(made.pick(4, 7, 16, 19, 33, 64, 130)))
        blob = made.pointwise(blob, width, bias=bool(made.number(0, 1)), activation=str(made.pick(*ACTIVATIONS)))
        for _ in range(made.number(0, 2)):
            blob = made.beside(made.sum(blob))
        blob = made.join(blob)
    channels, height, across = made.shapes[blob]
    if made.number(0, 1):
        blob = made.layer("Pooling", [blob], "0=1 4=1", (channels, 1, 1))
        height = across = 1
    blob = made.layer("Flatten", [blob], "", (channels * height * across, 1, 1))
    for outputs, activation in ((made.number(1, 9), ""), (70, "9=1"), (6, ""), (5, "")):
        inputs = made.shapes[blob][0]
        weight = made.normal(outputs, inputs)
        own = f"0={outputs} 1=1 2={weight.size} {activation}"
        blob = made.layer("InnerProduct", [blob], own, (outputs, 1, 1), weight, made.normal(outputs))
    made.layer("Noop", [blob], "", made.shapes[blob])
    made.layers[-1] = Layer("Noop", "last", (blob,), ("out0",), {})
    return Graph(tuple(made.layers)), tuple(made.blobs), shape
