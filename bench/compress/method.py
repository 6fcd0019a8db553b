"""What a method of compression is. `bench.compress.METHODS` has the members; third parties add theirs.

This module does not import torch, and a member's does so only when it works: names and forms are looked up at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bench.errors import UsageError
from bench.width import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from bench.cache import Cache
    from bench.compress.learner import Learner
    from bench.confidence import Calibration, Cascade
    from bench.networks.network import Network
    from bench.records import ArtifactFile, Precision, Tensor, WeightsFormat
    from bench.runtimes.runtime import Runtime, Shown
    from bench.width import Width


Alters = Literal["structure", "numbers", "both"]
"""What a method changes: the structure of a network, whose package then restores ordinary layers that another method
can go on from; how its numbers are stored; or both at once, in a format of its own."""


@dataclass(frozen=True)
class Request:
    """How small a network is to become, and with how much effort.

    `target` is text that the method understands; None asks for its default. Without `one_shot` the compressed network
    is trained from the seed, for `epochs` (None: the method's own number); with it, the trained network is compressed
    as it is and then trained for `fine_tune` epochs. `budget` names how the target is shared between layers, or by what
    channels are ranked. Without `labels` a network made smaller learns nothing but what the ordinary one answers.
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
    labels: bool = True


@dataclass(frozen=True, eq=False)
class Intended:
    """A variant as it is asked for, before anything is trained or built for it. `held_out` is whether a part of what
    there is to learn from is kept apart to choose thresholds on."""

    network: Network
    request: Request
    execution: str
    width: Width | None = None
    held_out: bool = False


BY_DATA = ("sensitivity", "taylor", "trr")
"""Budgets of bench's methods that look at what can be learnt from, also where nothing is trained."""


@dataclass(frozen=True)
class Size:
    """How much a package keeps. `kept` counts the numbers of each weight, `parameters` those of the ordinary network;
    `float32_bytes` and `float16_bytes` are the ordinary network in the same kind of file. `layers` says in a few words
    what became of each weight, and `notes` are sentences, where a method has something to say."""

    kept: Mapping[str, int]
    parameters: int
    float32_bytes: int
    float16_bytes: int
    layers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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


@dataclass(frozen=True, eq=False)
class Sight:
    """What a method may look at to narrow a network: its `inputs`, and for each an array (N, *shape) of `samples`.

    `key` stands for the package and the inputs: what several widths of one package share is cached under it.
    """

    inputs: Sequence[Tensor]
    samples: Sequence[NDArray[Any]]
    cache: Cache
    key: str


@dataclass(frozen=True)
class Narrowed:
    """How a network is computed at less than its width. `plan` is text that the method that made it understands; `told`
    is a sentence: what was asked for, and what came of it. `kept` is how many of the package's numbers count then,
    where those are not all."""

    plan: str
    told: str
    kept: int | None = None


@dataclass(frozen=True)
class Capacity:
    """One of several networks in a package: how it is computed, how many numbers it has of all weights together, and
    how many bytes a package of it alone would take."""

    narrowed: Narrowed
    kept: int
    bytes: int


@dataclass(frozen=True)
class Exported:
    """The files in a destination's folder, what kind of weights they have, and how the runtime is to execute them.
    `notes` are sentences: what of the form this runtime does not do. `roles` are files that a device needs beside the
    runtime's own, and `options` further keys of the runner's job (`bench.records.Artifact`). `cascade` says that they
    are two networks, the last output telling which answered; `calibration` is one that comes with the package."""

    files: tuple[ArtifactFile, ...]
    weights_format: WeightsFormat
    execution: str
    notes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    cascade: Cascade | None = None
    calibration: Calibration | None = None


class Method(Protocol):
    """A way to make networks smaller. `bench` calls nothing else of it and compares no names.

    `name` is what a plan says; `suffix` ends the names of its packages; `executions` are the forms in which a
    compressed network can be run, the first of them the default. With several, `<name>-<execution>` is a short name
    for each. `alters` says where it stands in a chain (docs/methods.md): a method that changes structure, then one that
    changes numbers; one that does both stands alone. The first of a chain may have `planner(learner, request)`, which
    returns what makes, of a target and without training, a package as large as the one to come. One that can go on from
    the finished packages of another method has that one's suffix as `begins_with` (see `begun`). One whose package has
    several capacities in it has `switches(execution, runtime)`: whether that runtime changes from one to another in
    place, and `capacities(network, package)`: each as a `Capacity`, the smallest first. One that could refuse only what
    it has trained may have `check_intended(intended)`, which raises UsageError for what cannot come of an `Intended`
    before it is begun. One whose package cannot be the small network of a cascade says why as `alone`.
    """

    name: str
    title: str
    suffix: str
    alters: Alters
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

    def check_width(self, execution: str, width: Width) -> None:
        """Raises UsageError where no network can be computed at such a width in that form."""

    def narrowed(self, network: Network, package: bytes, execution: str, width: Width, sight: Sight) -> Narrowed:
        """How the network is computed at that width, for `restored` and `export`.

        Raises UnknownName (a layer), ExportRefused where it cannot be narrower at all, UsageError, and what `export`
        raises.
        """

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        """An eager module in evaluation mode that computes what the package says, as that form does; at that width.

        Raises UsageError for the package of another network, CorruptData for a damaged one.
        """

    def size(self, network: Network, package: bytes) -> Size:
        """How much the package keeps. Raises what `restored` raises."""

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        """Write the files of that form and width. Raises ToolMissing, ExportRefused, and what `restored` raises."""


def begun(method: Method | None, network: Network, request: Request) -> Path | None:
    """The finished package of another method from which `method` goes on, as its `begins_with` says, where the network
    has one of the request's target and no effort of its own is asked for; else None."""
    own = network.package_for(request.target)
    plain = Request(request.target, one_shot=request.one_shot, seeded=request.seeded)
    if own is None or request != plain or not (begins := getattr(method, "begins_with", None)):
        return None
    from bench.networks import content

    return own if f".{content.kind(own)}" == begins else None


class Ordinary:
    """What most methods have in common: one form, no target, modules that every runtime can export, and packages in
    safetensors, where whatever has two axes or more counts as kept. `float16` is whether all weights have values of
    float16, so that a runtime can store them as such; `calibrates` whether data is looked at where nothing is trained.
    """

    executions: tuple[str, ...] = ("stock",)
    float16 = False
    calibrates = False
    suffix = ".safetensors"
    alters: Alters = "both"
    name: str
    title: str

    def check(self, request: Request) -> None:
        if request.target is not None:
            raise UsageError(f"{self.name} has no target, but {request.target!r} was given", "Leave the target out.")

    def default_target(self, network: Network) -> str | None:
        return None

    def check_width(self, execution: str, width: Width) -> None:
        raise UsageError(
            f"{self.title} has one width, and {shown(width)} was asked for", "Leave the width out, or ask fr-resident."
        )

    def narrowed(self, network: Network, package: bytes, execution: str, width: Width, sight: Sight) -> Narrowed:
        self.check_width(execution, width)
        raise UsageError(
            f"{self.title} does not say how it computes {network.name} at a width, and {shown(width)} was asked for",
            f"Leave the width out; {self.name} has `check_width`, and lacks `narrowed` (docs/methods.md).",
        )

    def precision(self, execution: str, runtime: Runtime) -> Precision | None:
        """What that runtime computes the form in, whatever the plan asks for; None: in what the plan asks for."""
        return None

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
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

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
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
