"""ResNet-34, by default as for CIFAR-10; `resnet.py` defines it."""

from __future__ import annotations

from bench.networks.builtin.resnet import ResNet, Stem


def build(classes: int = 10, stem: Stem = "cifar", width: int = 64) -> ResNet:
    return ResNet((3, 4, 6, 3), classes, stem, width)
