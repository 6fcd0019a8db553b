"""MNN as a member of the open set: its own engine from PyPI, on phones too, without an NDK or an app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache import Cache, content_key, file_of, own_sources
from bench.records import ArtifactFile, Progress, Tensor
from bench.runtimes.loaded.build import Backend
from bench.runtimes.loaded.member import Loaded
from bench.runtimes.loaded.program import program
from bench.runtimes.mnn import exporter, source
from bench.runtimes.runtime import NO_FILE, Program, Shown, installed

if TYPE_CHECKING:
    from torch import nn


class Mnn(Loaded):
    """See `bench.runtimes.runtime.Runtime`."""

    name = "mnn"
    title = "MNN"
    roles = ("mnn", NO_FILE)
    deployed: tuple[str, ...] = ("mnn",)
    graphs: tuple[str, ...] = ("onnx",)
    exporters: Mapping[str, str] = dict.fromkeys(("MNN", "onnx", "onnxscript"), exporter.EXTRA)

    def key(self) -> str:
        """Of everything here that decides what `export` writes."""
        versions = map(installed, ("torch", "onnx", "onnxscript"))
        return content_key(source.VERSION, exporter.KEY, *versions, *own_sources("export", "runtimes/mnn"))

    def program(self, abis: Sequence[str], at_hand: bool, cache: Cache, progress: Progress) -> Program:
        """The runner that loads it, and all that it needs. Raises WrongAbi, BuildFailed, ToolMissing."""
        fetch = partial(source.fetch, cache=cache, progress=progress)
        title = f"{self.title} {source.VERSION}"
        backend = Backend(self.name, options=(f"-DBENCH_VERSION={source.VERSION}",))
        return program(title, lambda abi: backend, abis, fetch, cache, progress)

    def export(
        self, network: nn.Module, inputs: Sequence[Tensor], shown: Shown, folder: Path, *, half: bool = False
    ) -> tuple[ArtifactFile, ...]:
        """Write network.mnn, with weights as float32 in any case: the converter's float16 takes biases along, which it
        changes. Raises ExportRefused and ToolMissing."""
        from bench.export import onnx_file

        exporter.need_converter()
        path = folder / "network.mnn"
        with exporter.scratch() as onnx:
            onnx_file.export(network, inputs, shown.samples, len(shown.expected.outputs), onnx, half=False)
            exporter.convert(onnx, path)
        return (file_of(path, "mnn"),)

    def export_given(
        self, graph: Path, inputs: Sequence[Tensor], folder: Path
    ) -> tuple[tuple[ArtifactFile, ...], tuple[str, ...]]:
        """Write network.mnn of an ONNX file. Raises ExportRefused, ToolMissing, CorruptData."""
        from bench.export import onnx_file

        path = folder / "network.mnn"
        with exporter.scratch() as onnx:
            names = onnx_file.export_given(graph, inputs, onnx)
            exporter.convert(onnx, path)
        return (file_of(path, "mnn"),), names


MNN = Mnn()
