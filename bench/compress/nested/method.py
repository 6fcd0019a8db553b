"""Several capacities in one file as a method: NestDNN, Fang et al., MobiCom 2018, arXiv 1810.10090."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cache import content_key, file_of, own_sources
from bench.compress.method import (
    Alters,
    Capacity,
    Destination,
    Exported,
    Intended,
    Narrowed,
    Ordinary,
    Request,
    Sight,
    Size,
    module_of,
)
from bench.compress.prune.method import METHOD as PRUNE
from bench.errors import ExportRefused, UsageError
from bench.width import AUTO, Width, short, shown

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from bench.compress.learner import Learner
    from bench.compress.nested.package import Nested as Package
    from bench.compress.nested.target import Nesting
    from bench.networks import Network
    from bench.records import WeightsFormat
    from bench.runtimes.runtime import Runtime

SHARED, APART = "shared", "apart"
FORMAT: WeightsFormat = "nested"


class Nested(Ordinary):
    """A package is a file of docs/formats/nested.md: the whole network, and in it smaller ones, each with the channels
    of the one before (growing.py). Which one is computed is said as a width: `@2/5` is the second of five.

    In the form `shared` all capacities are the same two files on a device, and which is computed is a key of the job.
    In the form `apart`, and for a runtime that does not load such files, a capacity is an ordinary network of its own.
    """

    name = "nested"
    title = "nested capacities"
    suffix = ".nested"
    alters: Alters = "both"
    executions: tuple[str, ...] = (SHARED, APART)
    alone = "a package of it has several networks in one"
    lanes = PRUNE.lanes

    def switches(self, execution: str, runtime: Runtime) -> bool:
        """See `Method.switches`."""
        return execution == SHARED and FORMAT in runtime.packages

    def check(self, request: Request) -> None:
        from bench.compress.nested.target import nesting

        if request.target is not None:
            nesting(request.target)
        PRUNE.check(Request(budget=request.budget, one_shot=request.one_shot, fine_tune=request.fine_tune,
                            epochs=request.epochs, labels=request.labels))  # fmt: skip

    def compress(self, learner: Learner, request: Request) -> bytes:
        from dataclasses import replace

        from bench.compress.narrower.family import Family
        from bench.compress.nested import growing, package, packing

        self.check(request)
        network = learner.network
        ordinary = module_of(network, self)
        smallest = _target(network, request)
        asked = PRUNE.ranked(learner, request)
        family = Family(network, ordinary, self.name, self.lanes)
        grown = growing.grown(learner, replace(asked, target=None), family, smallest)
        return package.write(packing.packed(network, grown))

    def check_intended(self, intended: Intended) -> None:
        """See `Method`."""
        whole = _target(intended.network, intended.request)
        if intended.width is not None:
            self.check_width(intended.execution, intended.width)
            _capacity(intended.width, whole.capacities, f"{self.name}:{intended.request.target}")

    def check_width(self, execution: str, width: Width) -> None:
        if not isinstance(width, str) or width == AUTO:
            raise UsageError(
                f"{self.name} has a few capacities, and the width {shown(width)} is none of them",
                "Say which, e.g. @2/5: the second of five.",
            )

    def narrowed(self, network: Network, package: bytes, execution: str, width: Width, sight: Sight) -> Narrowed:
        from bench.compress.nested.package import read

        self.check_width(execution, width)
        made = read(package)
        return _narrowed(made, _capacity(width, made.count, "the package"))

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress.nested import packing
        from bench.compress.nested.package import read

        module_of(network, self)
        made = read(package)
        return packing.restored(network, made, int(narrowed.plan) if narrowed else made.count)

    def capacities(self, network: Network, package: bytes) -> tuple[Capacity, ...]:
        """See `Method`."""
        from bench.compress.nested import packing
        from bench.compress.nested.package import read, write

        made = read(package)
        return tuple(
            Capacity(_narrowed(made, one), sum(packing.kept(network, made, one).values()), len(write(made.alone(one))))
            for one in range(1, made.count + 1)
        )

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress import tensors
        from bench.compress.nested import packing
        from bench.compress.nested.package import read, write

        made = read(package)
        ordinary = tensors.lasting(module_of(network, self))
        wide = sum(tensor.numel() for tensor in ordinary.values() if tensors.is_weight(tensor))
        alone = len(write(made.alone(made.count)))
        each = [one.bytes for one in self.capacities(network, package)]
        return Size(
            kept=packing.kept(network, made, made.count),
            parameters=sum(tensor.numel() for tensor in ordinary.values() if tensor.requires_grad),
            float32_bytes=(whole := len(tensors.pack(ordinary))),
            float16_bytes=whole - 2 * wide,
            notes=(
                f"{made.count} capacities of {', '.join(f'{one:,}' for one in each)} bytes each alone, together "
                f"{len(package):,}: {len(package) / alone:.4f} times the largest alone.",
            ),
        )

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        from bench.compress.nested.package import read

        made = read(package)
        capacity = int(narrowed.plan) if narrowed else made.count
        notes: tuple[str, ...] = ()
        if self.switches(execution, to.runtime):
            try:
                return self._shared(network, made, to, capacity)
            except ExportRefused as error:
                notes = (f"Capacity {capacity} of {made.count} is in files of its own: {error.what}.",)
        elif execution == SHARED:
            words = f"{to.runtime.title} loads no file of several capacities"
            notes = (f"Capacity {capacity} of {made.count} is an ordinary network in files of its own: {words}.",)
        module = self.restored(network, package, execution, narrowed)
        files = to.runtime.export(module, to.inputs, to.samples, to.folder, half=True)
        return Exported(files, "runtime", "stock", notes)

    def _shared(self, network: Network, made: Package, to: Destination, capacity: int) -> Exported:
        """The same two files for every capacity."""
        import shutil

        from bench.compress.nested import packing
        from bench.export import nested

        def make(folder: Path) -> None:
            modules = [packing.restored(network, made, one) for one in range(1, made.count + 1)]
            nested.export(made, modules, to.inputs, to.samples.samples, folder)

        folder = to.cache.build("exports", content_key(to.key, *own_sources("export", "compress")), make)
        files = {"graph": to.folder / "graph.param", "weights": to.folder / "weights.nested"}
        for file in files.values():
            shutil.copyfile(folder / file.name, file)
        found = tuple(file_of(path, role) for role, path in files.items())
        return Exported(found, FORMAT, "stock", options={"capacity": str(capacity)})


def _target(network: Network, request: Request) -> Nesting:
    """Raises UsageError where there is none."""
    from bench.compress.nested.target import FORMS, nesting

    if request.target is None:
        raise UsageError(f"{network.name} needs a target: how small its smallest capacity is to be", FORMS)
    return nesting(request.target)


def _capacity(width: Width, count: int, what: str) -> int:
    """Which of `count` capacities a width is, also as a label has it: 0.3333. Raises UsageError where it is none."""
    capacity = next((one for one in range(1, count + 1) if short(f"{one}/{count}") == short(width)), None)
    if capacity is None:
        assert isinstance(width, str)
        those = ", ".join(f"{one}/{count}" for one in range(1, count + 1))
        raise UsageError(
            f"{what} has {count} capacities, and the width {width} is none of them", f"Ask for one of {those}."
        )
    return capacity


def _narrowed(made: Package, capacity: int) -> Narrowed:
    own, whole = (sum(len(made.segment(one)) for one in range(1, most + 1)) for most in (capacity, made.count))
    return Narrowed(str(capacity), f"capacity {capacity} of {made.count}: {own:,} of {whole:,} bytes of weights")


METHOD = Nested()
