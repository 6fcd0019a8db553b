"""LiteRT as a member of the open set: its own library from PyPI, on phones too, without an NDK or an app."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache import Cache, content_key, file_of, own_sources
from bench.errors import ExportRefused
from bench.records import ArtifactFile, Progress, Tensor
from bench.runtimes.litert import exporter, source
from bench.runtimes.loaded.build import Backend
from bench.runtimes.loaded.member import Loaded
from bench.runtimes.loaded.program import program
from bench.runtimes.runtime import NO_FILE, Program, Shown

if TYPE_CHECKING:
    from torch import nn


class LiteRt(Loaded):
    """See `bench.runtimes.runtime.Runtime`."""

    name = "litert"
    title = "LiteRT"
    roles = ("tflite", NO_FILE)
    deployed: tuple[str, ...] = ("tflite",)

    def fetched(self) -> str:
        """Whether what writes its files is there, in words."""
        if exporter.is_there():
            return f"{exporter.TITLE}, which writes its files, is in the cache"
        return f"{exporter.TITLE}, which writes its files, is fetched at its first use (0.8 GB on disk)"

    def key(self) -> str:
        """Of everything here that decides what `export` writes."""
        return content_key(source.VERSION, exporter.KEY, *own_sources("export", "runtimes/litert"))

    def program(self, abis: Sequence[str], at_hand: bool, cache: Cache, progress: Progress) -> Program:
        """The runner that loads it, and all that it needs. Raises WrongAbi, BuildFailed, ToolMissing."""
        fetch = partial(source.fetch, cache=cache, progress=progress)

        def backend(abi: str) -> Backend:
            pinned = (f"-DBENCH_VERSION={source.VERSION}", f"-DBENCH_BYTES={fetch(abi).stat().st_size}")
            return Backend(self.name, options=pinned)

        return program(f"{self.title} {source.VERSION}", backend, abis, lambda abi: (fetch(abi),), cache, progress)

    def export(
        self, network: nn.Module, inputs: Sequence[Tensor], shown: Shown, folder: Path, *, half: bool = False
    ) -> tuple[ArtifactFile, ...]:
        """Write network.tflite. Raises ExportRefused and ToolMissing."""
        path = folder / "network.tflite"
        exporter.export(network, inputs, shown.samples, len(shown.expected.outputs), path, half=half)
        return (file_of(path, "tflite"),)

    def export_given(
        self, graph: Path, inputs: Sequence[Tensor], folder: Path
    ) -> tuple[tuple[ArtifactFile, ...], tuple[str, ...]]:
        """No ready graph of another framework is taken. Raises ExportRefused."""
        raise ExportRefused(f"{graph.name} has no torch module, of which LiteRT's file is made", "Use another runtime.")


LITERT = LiteRt()
