"""ONNX Runtime as a member of the open set: its own library from PyPI, on phones too, without an NDK or an app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache import Cache, content_key, file_of, own_sources
from bench.layered import LayerCost, Layers
from bench.records import Artifact, ArtifactFile, Progress, Tensor
from bench.runtimes.loaded.build import Backend
from bench.runtimes.loaded.member import Loaded
from bench.runtimes.loaded.program import program
from bench.runtimes.onnxruntime import source
from bench.runtimes.runtime import NO_FILE, Program, Shown, installed

if TYPE_CHECKING:
    from torch import nn

    from bench.export.layout import Layout

_LIBRARY = 36_000_000
"""Bytes of the library and the runner that are resident."""


class OnnxRuntime(Loaded):
    """See `bench.runtimes.runtime.Runtime`."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    roles = ("onnx", NO_FILE)
    deployed: tuple[str, ...] = ("onnx",)
    graphs: tuple[str, ...] = ("onnx",)
    exporters: Mapping[str, str] = dict.fromkeys(("onnx", "onnxscript"), "fr-bench[onnxruntime]")

    def memory(self, layout: Layout) -> tuple[int, int]:
        """Between which bytes the peak of a process with such a network lies: weights are there as read, as parsed and
        as multiplied, for a while at once, and the arena of activations grows by doubling (docs/inspect.md)."""
        least = _LIBRARY + layout.weights + layout.peak
        return least, round(1.1 * _LIBRARY + 3.4 * layout.weights + 2.6 * layout.peak)

    def layer_costs(self, artifact: Artifact, found: Layers) -> dict[int, LayerCost]:
        """What each node that was timed has to do, by its place; see `bench.measure.described`."""
        from bench.runtimes.onnxruntime.costs import costs

        return costs(artifact, found)

    def key(self) -> str:
        """Of everything here that decides what `export` writes."""
        versions = map(installed, ("torch", "onnx", "onnxscript"))
        return content_key(source.VERSION, *versions, *own_sources("export"))

    def program(self, abis: Sequence[str], at_hand: bool, cache: Cache, progress: Progress) -> Program:
        """The runner that loads it, and all that it needs. Raises WrongAbi, BuildFailed, ToolMissing."""
        fetch = partial(source.fetch, cache=cache, progress=progress)
        title = f"{self.title} {source.VERSION}"
        return program(title, lambda abi: Backend(self.name), abis, lambda abi: (fetch(abi),), cache, progress)

    def export(
        self, network: nn.Module, inputs: Sequence[Tensor], shown: Shown, folder: Path, *, half: bool = False
    ) -> tuple[ArtifactFile, ...]:
        """Write network.onnx. Raises ExportRefused and ToolMissing."""
        from bench.export import onnx_file

        path = folder / "network.onnx"
        onnx_file.export(network, inputs, shown.samples, len(shown.expected.outputs), path, half=half)
        return (file_of(path, "onnx"),)

    def export_given(
        self, graph: Path, inputs: Sequence[Tensor], folder: Path
    ) -> tuple[tuple[ArtifactFile, ...], tuple[str, ...]]:
        """Write network.onnx of an ONNX file. Raises ExportRefused, ToolMissing, CorruptData."""
        from bench.export import onnx_file

        path = folder / "network.onnx"
        names = onnx_file.export_given(graph, inputs, path)
        return (file_of(path, "onnx"),), names


ONNXRUNTIME = OnnxRuntime()
