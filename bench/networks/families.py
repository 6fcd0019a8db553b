"""Classifiers of 25 families, untrained, as other packages build them: what people take to a phone, on average.

They are what `bench convert --families` and `make coverage` try. Inputs are small where the family allows it, and so
are the transformers; what counts is that every kind of layer occurs. Nothing is downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UnknownName

if TYPE_CHECKING:
    from torch import nn

REFERENCE = f"{__name__}:settled"
"""What `bench.networks.resolve` takes for one of them, with the argument `family`."""
_SMALL = {"num_labels": 100, "image_size": 64}
_TRANSFORMER = _SMALL | {
    "patch_size": 16, "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 192,
}  # fmt: skip
_WINDOWS = _SMALL | {"patch_size": 4, "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
_PYRAMID = {"num_labels": 100, "depths": [1, 1, 2, 1]}


@dataclass(frozen=True)
class Family:
    """A network of a family for an image (C, H, W), and the package that it is of."""

    name: str
    package: str
    make: Callable[[], nn.Module]
    shape: tuple[int, int, int]

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def settled(family: str) -> nn.Module:
    """The network of that family, its norms told of a batch of noise: else what it computes dies or blows up.

    Raises UnknownName, and ModuleNotFoundError where its package is not installed.
    """
    import torch

    from bench.networks.settle import settle

    known = {one.name: one for one in FAMILIES}
    if family not in known:
        raise UnknownName.of("family", family, known)
    network = known[family].make().eval()
    settle(network, torch.randn(2, *known[family].shape))
    return network


def _cv(family: str, module: str, name: str, size: int = 224) -> Family:
    """Of pytorchcv, whose index of all networks wants torchvision."""

    def make() -> nn.Module:
        network: nn.Module = getattr(importlib.import_module(f"pytorchcv.models.{module}"), name)()
        return network

    return Family(family, "pytorchcv", make, (3, size, size))


def _transformers(family: str, name: str, options: Mapping[str, Any]) -> Family:
    """Of transformers, from a configuration."""

    def make() -> nn.Module:
        package = importlib.import_module("transformers")
        config = getattr(package, f"{name}Config")(**options)
        network: nn.Module = getattr(package, f"{name}ForImageClassification")(config)
        return network

    return Family(family, "transformers", make, (3, 64, 64))


def _maxvit() -> nn.Module:
    """Of vit-pytorch, from its one file: the package imports torchvision."""
    found = importlib.util.find_spec("vit_pytorch")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'vit_pytorch'")
    spec = importlib.util.spec_from_file_location("max_vit", Path(found.origin).with_name("max_vit.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    build: Callable[..., nn.Module] = module.MaxViT
    return build(num_classes=100, dim=32, dim_head=16, depth=(1, 1, 2, 1), window_size=4)


FAMILIES: tuple[Family, ...] = (
    _cv("AlexNet", "alexnet", "alexnet"),
    _cv("VGG", "vgg", "vgg11"),
    _cv("ResNet", "resnet", "resnet18"),
    _cv("ResNeXt", "resnext", "resnext50_32x4d"),
    _cv("WideResNet", "wrn", "wrn50_2"),
    _cv("SqueezeNet", "squeezenet", "squeezenet_v1_1"),
    _cv("DenseNet", "densenet", "densenet121"),
    _cv("GoogLeNet (BN-Inception)", "bninception", "bninception"),
    _cv("Inception-v3", "inceptionv3", "inceptionv3", 299),
    _cv("Xception", "xception", "xception", 299),
    _cv("MobileNetV2", "mobilenetv2", "mobilenetv2_w1"),
    _cv("MobileNetV3", "mobilenetv3", "mobilenetv3_large_w1"),
    _cv("ShuffleNetV2", "shufflenetv2", "shufflenetv2_w1"),
    _cv("MnasNet", "mnasnet", "mnasnet_a1"),
    _cv("EfficientNet", "efficientnet", "efficientnet_b0"),
    _cv("RegNet", "regnet", "regnety002"),
    _cv("SENet", "seresnet", "seresnet18"),
    _cv("GhostNet", "ghostnet", "ghostnet"),
    _transformers("ConvNeXt", "ConvNext", _PYRAMID | {"hidden_sizes": [24, 48, 96, 192]}),
    _transformers("PoolFormer", "PoolFormer", _PYRAMID | {"hidden_sizes": [24, 48, 96, 128]}),
    _transformers("ViT", "ViT", _TRANSFORMER),
    _transformers("DeiT", "DeiT", _TRANSFORMER),
    _transformers("Swin", "Swin", _WINDOWS),
    _transformers("SwinV2", "Swinv2", _WINDOWS),
    Family("MaxViT", "vit_pytorch", _maxvit, (3, 128, 128)),
)
