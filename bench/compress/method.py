"""What a method of compression is. `bench.compress.METHODS` has the members; third parties add theirs.

This module does not import torch, and a member's does so only when it works: names and forms are looked up at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.cache import Cache
    from bench.compress.learner import Learner
    from bench.networks.network import Network
    from bench.records import ArtifactFile, Tensor, WeightsFormat
    from bench.runtimes.runtime import Runtime, Shown


@dataclass(frozen=True)
class Request:
    """How small a network is to become, and with how much effort.

    `target` is text that the method understands; None asks for its default. Without `one_shot` the compressed network
    is trained from the seed, for `epochs` (None: the method's own number); with it, the trained network is compressed
    as it is and then trained for `fine_tune` epochs. `budget` names how the target is shared between layers.
    `fresh` ignores what an earlier run has reached. `seeded` asks for seeded values where there are neither trained
    weights nor data, with or without `one_shot`: such a network is good for measuring speed, and its answers mean
    nothing.
    """

    target: str | None = None
    seed: int = 1
    epochs: int | None = None
    budget: str = "uniform"
    one_shot: bool = False
    fine_tune: int = 0
    fresh: bool = False
    seeded: bool = False


@dataclass(frozen=True)
class Size:
    """How much a package keeps. `kept` counts the numbers of each weight, `parameters` those of the ordinary network;
    `float32_bytes` and `float16_bytes` are the ordinary network in the same kind of file."""

    kept: Mapping[str, int]
    parameters: int
    float32_bytes: int
    float16_bytes: int


@dataclass(frozen=True, eq=False)
class Destination:
    """Where an export goes. `inputs` and `samples` are what `runtime.export` takes; `folder` is empty.

    `key` stands for the package and the inputs: what several forms of one package share is cached under it.
    """

    runtime: Runtime
    inputs: Sequence[Tensor]
    samples: Shown
    folder: Path
    cache: Cache
    key: str


@dataclass(frozen=True)
class Exported:
    """The files in a destination's folder, what kind of weights they have, and how the runtime is to execute them."""

    files: tuple[ArtifactFile, ...]
    weights_format: WeightsFormat
    execution: str


class Method(Protocol):
    """A way to make networks smaller. `bench` calls nothing else of it and compares no names.

    `name` is what a plan says; `suffix` ends the names of its packages; `executions` are the forms in which a
    compressed network can be run, the first of them the default. With several, `<name>-<execution>` is a short name
    for each.
    """

    name: str
    title: str
    suffix: str
    executions: tuple[str, ...]

    def check(self, request: Request) -> None:
        """Raises UsageError or UnknownName for a request that it understands in no network."""

    def default_target(self, network: Network) -> str | None:
        """The target where none is given."""

    def compress(self, learner: Learner, request: Request) -> bytes:
        """The package of the learner's network: everything beside the network's own code that `restored` needs.

        What is trained is kept in the learner's cache, and a training that was interrupted goes on where it was.
        Raises UsageError for a network that the method cannot treat and for a target out of its reach, UnknownName,
        and CorruptData (a damaged checkpoint, weights that are not finite).
        """

    def restored(self, network: Network, package: bytes, execution: str) -> nn.Module:
        """An eager module in evaluation mode that computes what the package says, as that form does.

        Raises UsageError for the package of another network, CorruptData for a damaged one.
        """

    def size(self, network: Network, package: bytes) -> Size:
        """How much the package keeps. Raises what `restored` raises."""

    def export(self, network: Network, package: bytes, execution: str, to: Destination) -> Exported:
        """Write the files of that form. Raises ToolMissing, ExportRefused, and what `restored` raises."""


class Ordinary:
    """What most methods have in common: one form, no target, modules that every runtime can export, and packages in
    safetensors, where whatever has two axes or more counts as kept. `float16` is whether all weights have values of
    float16, so that a runtime can store them as such."""

    executions: tuple[str, ...] = ("stock",)
    float16 = False
    suffix = ".safetensors"
    name: str
    title: str

    def check(self, request: Request) -> None:
        if request.target is not None:
            raise UsageError(f"{self.name} has no target, but {request.target!r} was given", "Leave the target out.")

    def default_target(self, network: Network) -> str | None:
        return None

    def restored(self, network: Network, package: bytes, execution: str) -> nn.Module:
        raise NotImplementedError

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress import tensors

        ordinary = tensors.lasting(module_of(network, self))
        wide = sum(tensor.numel() for tensor in ordinary.values() if tensors.is_weight(tensor))
        return Size(
            kept={name: one.numel() for name, one in tensors.unpack(package).items() if one.dim() >= 2},
            parameters=sum(tensor.numel() for tensor in ordinary.values() if tensor.requires_grad),
            float32_bytes=(whole := len(tensors.pack(ordinary))),
            float16_bytes=whole - 2 * wide,
        )

    def export(self, network: Network, package: bytes, execution: str, to: Destination) -> Exported:
        module = self.restored(network, package, execution)
        files = to.runtime.export(module, to.inputs, to.samples, to.folder, half=self.float16)
        return Exported(files, "runtime", "stock")


def module_of(network: Network, method: Method | Ordinary) -> nn.Module:
    """The ordinary network, for a method to work on. Raises UsageError for a ready graph."""
    if network.graph is not None:
        raise UsageError(
            f"{network.name} is a ready graph, {network.graph.name}, whose weights {method.title} cannot change",
            "Name the PyTorch network that the graph was made of.",
        )
    return network.build()
