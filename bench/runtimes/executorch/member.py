"""ExecuTorch as a member of the open set: its own libraries from PyPI, on phones too, without an NDK or an app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache import Cache, content_key, file_of, own_sources
from bench.errors import ExportRefused
from bench.records import ArtifactFile, Progress, Tensor
from bench.runtimes.executorch import source
from bench.runtimes.loaded.member import Loaded
from bench.runtimes.loaded.program import program
from bench.runtimes.runtime import NO_FILE, Program, Shown, installed

if TYPE_CHECKING:
    from torch import nn


class ExecuTorch(Loaded):
    """See `bench.runtimes.runtime.Runtime`."""

    name = "executorch"
    title = "ExecuTorch"
    roles = ("pte", NO_FILE)
    deployed: tuple[str, ...] = ("pte",)
    start_s = 0.1
    exporters: Mapping[str, str] = {"executorch": "fr-bench[executorch]"}

    def key(self) -> str:
        """Of everything here that decides what `export` writes."""
        return content_key(source.VERSION, *map(installed, ("torch", "executorch")), *own_sources("export"))

    def program(self, abis: Sequence[str], at_hand: bool, cache: Cache, progress: Progress) -> Program:
        """The runner that loads it, and all that it needs. Raises WrongAbi, BuildFailed, ToolMissing."""
        fetch = partial(source.fetch, cache=cache, progress=progress)
        title = f"{self.title} {source.VERSION}"
        return program(title, lambda abi: fetch(abi).backend, abis, lambda abi: fetch(abi).files, cache, progress)

    def export(
        self, network: nn.Module, inputs: Sequence[Tensor], shown: Shown, folder: Path, *, half: bool = False
    ) -> tuple[ArtifactFile, ...]:
        """Write network.pte, with weights of float32 whether `half` or not. Raises ExportRefused and ToolMissing."""
        from bench.export import pte_file

        path = folder / "network.pte"
        pte_file.export(network, shown.samples, path)
        return (file_of(path, "pte"),)

    def export_given(
        self, graph: Path, inputs: Sequence[Tensor], folder: Path
    ) -> tuple[tuple[ArtifactFile, ...], tuple[str, ...]]:
        """ExecuTorch's exporter takes torch modules alone. Raises ExportRefused."""
        raise ExportRefused(f"{graph.name} has no torch module", "Measure it with onnxruntime or ncnn.")


EXECUTORCH = ExecuTorch()
