"""The networks that `bench` knows. Adding one is a file with a `build` function and a line in `MODELS`.

This module does not import torch, so that names and shapes can be looked up at once; `ModelSpec.build` does.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.errors import UnknownName, UsageError
from bench.records import Task

if TYPE_CHECKING:
    from torch import nn

Form = Literal["ordinary", "frequency"]
"""A network as one would train and deploy it, or in the form that Frequency Regularization trains. Most networks have
only one."""


@dataclass(frozen=True)
class ModelSpec:
    """What there is to know of a network without building it.

    `input_shape` is the default (C, H, W) of one sample. `smallest` is the least height and width that the network
    takes, or None when its size is fixed. `parameters` counts the ordinary form of the default size.
    `coefficients` is how many FR coefficients the whole network keeps unless a plan says otherwise.
    `default_macs` is the multiply-adds of one inference at the default shape, `fixed_macs` those of them that do not
    grow with the image: of what stands behind a global average.
    `data` is what it is shown: MNIST's digits; vehicles drawn at its input's size, with masks; or real photographs of
    that size, which have no labels.
    `trained` tells whether `bench` trains it by itself; if not, its weights are seeded and its answers mean nothing.
    """

    name: str
    title: str
    task: Task
    data: Literal["digits", "photos", "vehicles"]
    input_shape: tuple[int, int, int]
    parameters: int
    coefficients: int
    default_macs: int
    trained: bool
    smallest: int | None = None
    fixed_macs: int = 0

    def build(self, form: Form = "ordinary") -> nn.Module:
        """The network with random initial weights, from `bench/models/<name>.py`."""
        network: nn.Module = importlib.import_module(f"bench.models.{self.name}").build(form)
        return network

    def twin(self) -> nn.Module | None:
        """A narrower network of the form "frequency", through which this one's coefficients are learnt; rarely any."""
        make = getattr(importlib.import_module(f"bench.models.{self.name}"), "twin", None)
        return make() if make else None

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
        """Multiply-adds of one inference at (C, H, W): those of convolutions grow with the pixels."""
        _, height, width = self.input_shape
        growing = self.default_macs - self.fixed_macs
        return self.fixed_macs + growing * (shape[1] * shape[2]) / (height * width)


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="lenet300", title="LeNet-300-100", task="classification", data="digits", input_shape=(1, 28, 28),
            parameters=266_610, coefficients=4_800, default_macs=266_200, trained=True,
        ),
        ModelSpec(
            name="lenet5", title="LeNet-5", task="classification", data="digits", input_shape=(1, 28, 28),
            parameters=431_080, coefficients=776, default_macs=2_293_000, trained=True,
        ),
        ModelSpec(
            name="alexnet", title="AlexNet (CIFAR)", task="classification", data="photos", input_shape=(3, 32, 32),
            parameters=23_272_266, coefficients=23_272, default_macs=62_742_528, trained=False,
        ),
        ModelSpec(
            name="vgg16", title="VGG-16 (CIFAR)", task="classification", data="photos", input_shape=(3, 32, 32),
            parameters=15_245_130, coefficients=15_245, default_macs=313_725_952, trained=False,
        ),
        ModelSpec(
            name="resnet18", title="ResNet-18 (CIFAR)", task="classification", data="photos", input_shape=(3, 32, 32),
            parameters=11_173_962, coefficients=12_058, default_macs=555_422_720, fixed_macs=5_120, trained=False,
            smallest=32,
        ),
        ModelSpec(
            name="resnet34", title="ResNet-34 (CIFAR)", task="classification", data="photos", input_shape=(3, 32, 32),
            parameters=21_282_122, coefficients=21_282, default_macs=1_159_402_496, fixed_macs=5_120, trained=False,
            smallest=32,
        ),
        ModelSpec(
            name="mobilenetv2", title="MobileNetV2", task="classification", data="photos", input_shape=(3, 224, 224),
            parameters=3_504_872, coefficients=35_048, default_macs=300_774_272, fixed_macs=1_280_000, trained=False,
            smallest=64,
        ),
        ModelSpec(
            name="signs", title="Traffic-sign CNN", task="classification", data="photos", input_shape=(3, 256, 256),
            parameters=817_979, coefficients=8_180, default_macs=245_902_080, trained=False,
        ),
        ModelSpec(
            name="vit", title="ViT-Tiny (CIFAR)", task="classification", data="photos", input_shape=(3, 32, 32),
            parameters=5_362_762, coefficients=53_628, default_macs=365_107_584, trained=False,
        ),
        ModelSpec(
            name="unet", title="UNet", task="segmentation", data="vehicles", input_shape=(3, 320, 480),
            parameters=31_043_586, coefficients=759, default_macs=112_902_144_000, trained=False, smallest=32,
        ),
        ModelSpec(
            name="vae", title="VAE", task="reconstruction", data="digits", input_shape=(1, 28, 28),
            parameters=1_688_289, coefficients=16_883, default_macs=5_029_888, trained=False,
        ),
    )
}  # fmt: skip


def model(name: str) -> ModelSpec:
    """The network of that name. Raises UnknownName, with near matches."""
    if name not in MODELS:
        raise UnknownName.of("model", name, MODELS)
    return MODELS[name]
