"""What a runtime is to the rest of the house: where it runs, what it loads, and the program that measures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bench.cache import Cache
from bench.records import ArtifactFile, Precision, Progress, Tensor, WeightsFormat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from bench.export.answers import Answers

Place = Literal["phone", "desktop"]
NO_FILE = "-"
"""A role that a runtime has no file for."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What a network is tried on: for each input an array (N, *shape), and what the eager network answers to it."""

    samples: tuple[NDArray[np.generic], ...]
    expected: Answers


@dataclass(frozen=True)
class Program:
    """What obeys a job file (device_scripts/runner/contract/contract.h) on a machine.

    `files` are brought there, the first of them executable; `command` starts it, with `{0}`, `{1}`, … for the paths of
    the files there. `facts` say how it was built. `library` are those of the files that an application would bring to
    compute with the runtime; None: all, since it is part of the one program.
    """

    files: tuple[ArtifactFile, ...]
    command: tuple[str, ...]
    facts: Mapping[str, Any]
    library: tuple[ArtifactFile, ...] | None = None


class Runtime(Protocol):
    """A member of the open set. A third party's is found through the entry point group `fr_bench.runtimes`.

    `reference` marks the runtime that executes a network as its author wrote it. `roles` are the files that a job names
    as graph and weights (`-` where there is none), `deployed` those that a device needs. `abis` are those that it can
    be built for, `packages` the kinds of weights that it loads. `start_s` is about what a fresh process takes before
    its first inference, for estimates alone. `graphs` are the kinds of ready graphs (`bench.networks.content`) that it
    takes as they are.

    A member that computes on a GPU has `gpu = True`, and its launches tell which layers really were computed there. One
    that runs on phones only where something else is there says what in `phones_need`. `opens` is a mapping from each
    shared library of this computer that its program opens here to what brings it.

    A member whose files are written by packages of an extra names them in `exporters`, a mapping from each module to
    what pip installs it with; `bench doctor` looks. One whose packages no environment can have beside bench's fetches
    them itself, and `fetched()` says for `bench doctor` whether it has, in words. One that is known not to take some
    operators names them in `lacks`, a mapping from torch's names (`topk`) to what to do; `bench inspect` marks them.
    One whose use of memory is known has `memory(layout)`: between which bytes the peak of a process lies, with a
    network of that `bench.export.layout.Layout`.
    """

    name: str
    title: str
    reference: bool
    abis: tuple[str, ...]
    places: frozenset[Place]
    precisions: tuple[Precision, ...]
    packages: frozenset[WeightsFormat]
    roles: tuple[str, str]
    deployed: tuple[str, ...]
    start_s: float
    graphs: tuple[str, ...]

    def key(self) -> str:
        """Of everything in the runtime that decides what `export` writes: versions and sources."""
        ...

    def program(self, abis: Sequence[str], at_hand: bool, cache: Cache, progress: Progress) -> Program:
        """The program for the first of a machine's ABIs that there is one for; `at_hand`: its processor is this host's.

        Raises WrongAbi, BuildFailed, ToolMissing.
        """
        ...

    def export(
        self, network: nn.Module, inputs: Sequence[Tensor], shown: Shown, folder: Path, *, half: bool = False
    ) -> tuple[ArtifactFile, ...]:
        """Write the files of an eager network. `half` stores weights as float16 where that changes none of them.

        Raises ExportRefused and ToolMissing.
        """
        ...

    def export_given(
        self, graph: Path, inputs: Sequence[Tensor], folder: Path
    ) -> tuple[tuple[ArtifactFile, ...], tuple[str, ...]]:
        """Write the files of a ready graph of one of `graphs`; also returns the names of its outputs.

        Raises ExportRefused, ToolMissing, CorruptData.
        """
        ...


def installed(package: str) -> str:
    """The version of a package in this environment; empty where it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
