"""ncnn as a member of the open set: a static program that needs nothing on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache import Cache, content_key, file_of, own_sources
from bench.errors import WrongAbi
from bench.layered import LayerCost, Layers
from bench.records import Artifact, ArtifactFile, Precision, Progress, Tensor, WeightsFormat
from bench.runtimes.ncnn import build, source
from bench.runtimes.ncnn.toolchain import ABIS, host_abi
from bench.runtimes.runtime import Place, Program, Shown

if TYPE_CHECKING:
    from torch import nn

    from bench.export.layout import Layout


class Ncnn:
    """See `bench.runtimes.runtime.Runtime`. It loads `.frq` packages too, by layers of our own."""

    name = "ncnn"
    title = "ncnn"
    reference = False
    abis = ABIS
    places: frozenset[Place] = frozenset(("phone", "desktop"))
    precisions: tuple[Precision, ...] = ("fp32", "fp16s", "fp16a", "bf16", "int8")
    packages: frozenset[WeightsFormat] = frozenset(("runtime", "frq", "nested", "elm"))
    roles = ("graph", "weights")
    deployed = ("graph", "weights")
    start_s = 0.1
    graphs = ("ncnn", "onnx")

    @property
    def lacks(self) -> Mapping[str, str]:
        """Operators that it has nothing for, and what to do."""
        from bench.export.operators import LACKS

        return LACKS

    def memory(self, layout: Layout) -> tuple[int, int]:
        """Between which bytes the peak of a process with such a network lies."""
        from bench.runtimes.ncnn import memory

        return memory.expected(layout)

    def key(self) -> str:
        """Of everything here that decides what `export` writes."""
        return content_key(source.VERSION, metadata.version("pnnx"), *own_sources("export"))

    def program(self, abis: Sequence[str], at_hand: bool, cache: Cache, progress: Progress) -> Program:
        """The static runner. Raises WrongAbi, BuildFailed, ToolMissing."""
        known = (*ABIS, host_abi()) if at_hand else ABIS
        abi = next((abi for abi in abis if abi in known), None)
        if abi is None:
            raise WrongAbi(
                f"it runs {', '.join(abis) or 'an ABI that it does not report'}",
                f"The native runner is built for {', '.join(ABIS)}.",
            )
        binary = build.build(abi, cache, progress, portable=not at_hand)
        facts = binary.toolchain | {"sha256": binary.sha256, "bytes": binary.bytes}
        file = ArtifactFile(role="runner", path=binary.path, sha256=binary.sha256, bytes=binary.bytes)
        return Program((file,), ("{0}",), facts)

    def export(
        self, network: nn.Module, inputs: Sequence[Tensor], shown: Shown, folder: Path, *, half: bool = False
    ) -> tuple[ArtifactFile, ...]:
        """Write graph.param and weights.bin. Raises ExportRefused and ToolMissing."""
        from bench.export import ncnn

        ncnn.export(network, inputs, shown.samples, shown.expected, folder, half=half)
        return _files(folder)

    def layer_costs(self, artifact: Artifact, found: Layers) -> dict[int, LayerCost]:
        """What each layer that was timed has to do, by its place; see `bench.measure.described`."""
        from bench.runtimes.ncnn.costs import costs

        return costs(artifact, found)

    def export_given(
        self, graph: Path, inputs: Sequence[Tensor], folder: Path
    ) -> tuple[tuple[ArtifactFile, ...], tuple[str, ...]]:
        """Write graph.param and weights.bin: of a ready pair as they are, of ONNX converted."""
        from bench.export import given
        from bench.networks import content

        if content.kind(graph) == "ncnn":
            names = given.ncnn_pair(graph, folder)
        else:
            names = given.export_onnx(graph, inputs, folder)
        return _files(folder), names


def _files(folder: Path) -> tuple[ArtifactFile, ...]:
    return file_of(folder / "graph.param", "graph"), file_of(folder / "weights.bin", "weights")


NCNN = Ncnn()
