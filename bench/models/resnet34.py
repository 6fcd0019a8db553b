"""ResNet-34, by default as for CIFAR-10; `resnet.py` defines it."""

from __future__ import annotations

from bench.models import Form
from bench.models.resnet import ResNet, Stem


def build(form: Form, classes: int = 10, stem: Stem = "cifar") -> ResNet:
    return ResNet((3, 4, 6, 3), classes, stem)
