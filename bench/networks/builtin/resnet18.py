"""ResNet-18, by default as for CIFAR-10; `resnet.py` defines it."""

from __future__ import annotations

from bench.networks.builtin.resnet import ResNet, Stem


def build(classes: int = 10, stem: Stem = "cifar") -> ResNet:
    return ResNet((2, 2, 2, 2), classes, stem)
