"""The storage weight of the traffic-sign study's networks, as it counts: the file that torch saves of their weights.

    python -m benchmarks.signs

prints it beside what the study published, for its networks in their own size, not scaled (docs/study.md).
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import torch

from bench import networks
from bench.cli import terminal

MEBIBYTE = 2**20


class Published(NamedTuple):
    """A network with what the study gives of it: parameters and MiB, in its words; None where it is not known here."""

    title: str
    model: str
    arguments: dict[str, Any]
    parameters: str | None
    mebibytes: str | None


STUDY = (
    Published("small CNN, five blocks", "signs-large", {}, "17.21 M", "65.68"),
    Published("small CNN, six blocks", "signs", {}, "5.10 M", "22.11"),
    Published("MobileNetV2", "mobilenetv2", {"classes": 43}, None, None),
    Published("ResNet-34", "resnet34", {"classes": 43, "stem": "imagenet"}, None, None),
)


class Saved(NamedTuple):
    """Parameters; bytes of all float32 values, buffers included; bytes of the file that torch saves."""

    parameters: int
    values: int
    file: int


def saved(model: str, arguments: dict[str, Any]) -> Saved:
    """Of the network's state dict."""
    network = networks.resolve(model, arguments=arguments).build()
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    floats = sum(value.nbytes for value in network.state_dict().values() if value.is_floating_point())
    return Saved(sum(p.numel() for p in network.parameters()), floats, len(file.getvalue()))


def rows() -> list[tuple[str, ...]]:
    """One a network."""
    return [
        (
            one.title, f"{found.parameters:,}", one.parameters or "unknown", f"{found.values / MEBIBYTE:.2f}",
            f"{found.file / MEBIBYTE:.2f}", one.mebibytes or "unknown",
        )
        for one in STUDY
        for found in [saved(one.model, one.arguments)]
    ]  # fmt: skip


HEADER = ("network", "parameters", "published", "MiB of values", "MiB as saved", "published")

if __name__ == "__main__":
    terminal.table(HEADER, rows())
