"""torch on this host as a member of the open set, and the reference for all others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache import Cache, content_key, file_of, own_sources
from bench.errors import ExportRefused
from bench.records import ArtifactFile, Precision, Progress, Tensor, WeightsFormat
from bench.runtimes.runtime import NO_FILE, Place, Program, Shown

if TYPE_CHECKING:
    from torch import nn


WORKER = (sys.executable, "-m", "bench.runtimes.torch.worker")
"""A fresh process that obeys the contract of the native runner; the path of a job follows."""


class Torch:
    """See `bench.runtimes.runtime.Runtime`. A worker in a fresh process obeys the native runner's contract."""

    name = "torch"
    title = "PyTorch"
    reference = True
    abis: tuple[str, ...] = ()
    places: frozenset[Place] = frozenset(("desktop",))
    precisions: tuple[Precision, ...] = ("fp32",)
    packages: frozenset[WeightsFormat] = frozenset(("runtime",))
    roles = ("torchscript", NO_FILE)
    deployed: tuple[str, ...] = ("torchscript",)
    start_s = 2.5
    graphs: tuple[str, ...] = ()

    def key(self) -> str:
        """Of everything here that decides what `export` writes."""
        return content_key(metadata.version("torch"), *own_sources("export"))

    def program(self, abis: Sequence[str], at_hand: bool, cache: Cache, progress: Progress) -> Program:
        """The worker, which is installed with bench."""
        return Program((), WORKER, {})

    def export(
        self, network: nn.Module, inputs: Sequence[Tensor], shown: Shown, folder: Path, *, half: bool = False
    ) -> tuple[ArtifactFile, ...]:
        """Write the traced network. Raises ExportRefused where the trace is another network."""
        from bench.export import torchscript

        path = folder / "network.pt"
        torchscript.trace(network, shown.samples, shown.expected, path)
        return (file_of(path, "torchscript"),)

    def export_given(
        self, graph: Path, inputs: Sequence[Tensor], folder: Path
    ) -> tuple[tuple[ArtifactFile, ...], tuple[str, ...]]:
        """Torch executes no graph of another framework. Raises ExportRefused."""
        raise ExportRefused(f"{graph.name} has no torch module", "Leave torch out of `desktop`.")


TORCH = Torch()
