"""The networks that `bench` knows. Adding one is a file with a `build` function and a line in `MODELS`.

This module does not import torch, so that names and shapes can be looked up at once; `ModelSpec.build` does.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from torch import nn

Form = Literal["ordinary", "frequency"]
"""A network as one would train and deploy it, or in the form that Frequency Regularization trains."""


@dataclass(frozen=True)
class ModelSpec:
    """What there is to know of a network without building it.

    `input_shape` is the default (C, H, W) of one sample. `smallest` is the least height and width that the network
    takes, or None when its size is fixed. `parameters` counts the ordinary form, as published.
    `coefficients` is how many FR coefficients the whole network keeps unless a plan says otherwise.
    `default_macs` is the multiply-adds of one inference at the default shape.
    `trained` tells whether `bench` has data to train it; if not, its weights are seeded and its answers mean nothing.
    """

    name: str
    title: str
    task: Literal["classification", "segmentation"]
    data: Literal["digits", "photos"]
    input_shape: tuple[int, int, int]
    parameters: int
    coefficients: int
    default_macs: int
    trained: bool
    smallest: int | None = None

    def build(self, form: Form = "ordinary") -> nn.Module:
        """The network with torch's own random initial weights, from `bench/models/<name>.py`."""
        network: nn.Module = importlib.import_module(f"bench.models.{self.name}").build(form)
        return network

    def shape(self, input_size: tuple[int, int] | None = None) -> tuple[int, int, int]:
        """(C, H, W) of one sample at that height and width, or at the default.

        Raises UsageError when the network does not take the size.
        """
        if input_size is None or input_size == self.input_shape[1:]:
            return self.input_shape
        height, width = input_size
        if self.smallest is None:
            raise UsageError(
                f"{self.name} takes {self.input_shape[1]}×{self.input_shape[2]} pixels, not {height}×{width}",
                "Leave input_size out for this network.",
            )
        if min(height, width) < self.smallest:
            raise UsageError(
                f"{height}×{width} pixels is too small for {self.name}",
                f"Ask for at least {self.smallest}×{self.smallest}.",
            )
        return self.input_shape[0], height, width

    def macs(self, shape: tuple[int, int, int]) -> float:
        """Multiply-adds of one inference at (C, H, W): a convolutional network's grow with its pixels."""
        _, height, width = self.input_shape
        return self.default_macs * (shape[1] * shape[2]) / (height * width)


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="lenet5", title="LeNet-5", task="classification", data="digits", input_shape=(1, 28, 28),
            parameters=431_080, coefficients=7_668, default_macs=2_293_000, trained=True,
        ),
        ModelSpec(
            name="unet", title="UNet", task="segmentation", data="photos", input_shape=(3, 320, 480),
            parameters=31_043_586, coefficients=759, default_macs=112_902_144_000, trained=False, smallest=32,
        ),
    )
}  # fmt: skip


def model(name: str) -> ModelSpec:
    """The network of that name. Raises UnknownName, with near matches."""
    if name not in MODELS:
        raise UnknownName.of("model", name, MODELS)
    return MODELS[name]
