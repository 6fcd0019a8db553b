"""A runtime for bench in a package of its own: TorchScript after `optimize_for_inference`, measured beside plain torch.

pip install ./examples/third_party_runtime
bench run --plan plan.toml          # with desktop = ["torch", "torch-frozen", "ncnn"]
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch
from torch import nn

from bench.cache import file_of
from bench.records import ArtifactFile, Tensor
from bench.runtimes.runtime import Shown
from bench.runtimes.torch.member import Torch


class TorchFrozen(Torch):
    """Batch norms folded and operators fused; the worker process is that of torch."""

    name = "torch-frozen"
    title = "TorchScript, optimised for inference"
    reference = False

    def key(self) -> str:
        return super().key() + metadata.version("bench-torch-frozen")

    def export(
        self, network: nn.Module, inputs: Sequence[Tensor], shown: Shown, folder: Path, *, half: bool = False
    ) -> tuple[ArtifactFile, ...]:
        (plain,) = super().export(network, inputs, shown, folder, half=half)
        path = folder / plain.path
        frozen = torch.jit.freeze(torch.jit.load(path).eval())
        path.unlink()
        frozen.save(str(path))
        return (file_of(path, "torchscript"),)


RUNTIME = TorchFrozen()
