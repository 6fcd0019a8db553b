"""The networks of `bench run --suite signs` in the size that the suite gives them (docs/study.md), for other verbs:

bench convert examples/study/networks.py:six --input 3x32x32
bench parity examples/study/networks.py:mobilenet sign.jpg --input 3x64x64
"""

from __future__ import annotations

from torch import nn

from bench.networks.builtin import mobilenetv2, resnet34, signs, signs_large

CLASSES = 43


def six() -> nn.Module:
    """The small CNN of six blocks on 256×256 pixels, three on 32×32."""
    return signs.build(size=32, blocks=3, dropout=0.0)


def five() -> nn.Module:
    """The one of five blocks, two on 32×32."""
    return signs_large.build(size=32, blocks=2, dropout=0.0)


def mobilenet() -> nn.Module:
    """MobileNetV2 with 35 % of its channels, for 64×64."""
    return mobilenetv2.build(classes=CLASSES, width=0.35)


def resnet() -> nn.Module:
    """ResNet-34 with an eighth of its channels and the stem for 32×32."""
    return resnet34.build(classes=CLASSES, width=8)
