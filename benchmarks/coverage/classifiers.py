"""Classifiers of 25 families, untrained, as the packages of the extra `coverage` build them.

Inputs are small where the family allows it, and so are the transformers; what counts is that every kind of layer
occurs.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.coverage.cases import Case

_SMALL = {"num_labels": 100, "image_size": 64}
_TRANSFORMER = _SMALL | {
    "patch_size": 16, "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 192,
}  # fmt: skip
_WINDOWS = _SMALL | {"patch_size": 4, "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
_PYRAMID = {"num_labels": 100, "depths": [1, 1, 2, 1]}


def _cv(family: str, module: str, name: str, size: int = 224) -> Case:
    """Of pytorchcv, whose index of all networks wants torchvision."""

    def build() -> nn.Module:
        network: nn.Module = getattr(importlib.import_module(f"pytorchcv.models.{module}"), name)()
        return network

    return Case(family, build, ((3, size, size),))


def _transformers(family: str, name: str, options: Mapping[str, Any]) -> Case:
    """Of transformers, from a configuration: nothing is downloaded."""

    def build() -> nn.Module:
        package = importlib.import_module("transformers")
        config = getattr(package, f"{name}Config")(**options)
        network: nn.Module = getattr(package, f"{name}ForImageClassification")(config)
        return network

    return Case(family, build, ((3, 64, 64),))


def _maxvit() -> nn.Module:
    """Of vit-pytorch, from its one file: the package imports torchvision."""
    found = importlib.util.find_spec("vit_pytorch")
    assert found is not None
    assert found.origin is not None
    spec = importlib.util.spec_from_file_location("max_vit", Path(found.origin).with_name("max_vit.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    build: Callable[..., nn.Module] = module.MaxViT
    return build(num_classes=100, dim=32, dim_head=16, depth=(1, 1, 2, 1), window_size=4)


CASES: tuple[Case, ...] = (
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
    Case("MaxViT", _maxvit, ((3, 128, 128),)),
)
