"""Frequency Regularization in capacities: one `.frq`, of which every prefix is a network (docs/nested-fr.md)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from bench.cache import file_of
from bench.compress.frequency.method import METHOD as FR
from bench.compress.frequency.method import RESIDENT, FrequencyRegularization
from bench.compress.method import Capacity, Destination, Exported, Narrowed, Request, Sight, Size, module_of
from bench.errors import ExportRefused, UsageError
from bench.width import AUTO, Width, fraction, shown

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.frequency.package import Package
    from bench.compress.learner import Learner
    from bench.export import frequency
    from bench.networks import Network
    from bench.runtimes.runtime import Runtime


class NestedFrequency(FrequencyRegularization):
    """A package is a `.frq` file of format 4 (docs/formats/frq.md), trained so that each of its capacities is a good
    network by itself; all have the same file, and a device computes with as much of it as it is asked to.

    A capacity is named as a width: `nested-fr@1/4` is capacity 1 of 4. The forms are those of FR.
    """

    name = "nested-fr"
    title = "Nested Frequency Regularization"
    suffix = ".frqn"
    alone = "a package of it has several networks in one"

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress.frequency import learning

        self.check(request)
        module_of(learner.network, self)
        return learning.compress(learner, request, self._target(learner.network, request), nested=True)

    def check_width(self, execution: str, width: Width) -> None:
        from bench.compress.frequency.nesting import CAPACITIES

        if not isinstance(width, str) or width == AUTO or (fraction(width) * CAPACITIES).denominator != 1:
            parts = ", ".join(f"{capacity}/{CAPACITIES}" for capacity in range(1, CAPACITIES + 1))
            raise UsageError(
                f"{self.name} has {CAPACITIES} capacities and no width {shown(width)}", f"Ask for one of {parts}."
            )

    def narrowed(self, network: Network, package: bytes, execution: str, width: Width, sight: Sight) -> Narrowed:
        self.check_width(execution, width)
        return self._narrowed(package, width)

    def _narrowed(self, package: bytes, width: Width) -> Narrowed:
        whole = self._read(package)
        part = fraction(width) * whole.capacities if isinstance(width, str) and width != AUTO else Fraction(0)
        if part.denominator != 1 or part < 1:
            raise UsageError(
                f"this package has {whole.capacities} capacities, and none of them is {shown(width)}",
                f"Ask for e.g. {self.name}@1/{whole.capacities}.",
            )
        return _narrowed(whole, int(part))

    def by_itself(self, package: bytes, width: Width | None) -> tuple[bytes, str]:
        """One capacity as a package of FR by itself, and what it is; the largest without a width. Raises UsageError."""
        found = self._narrowed(package, "1" if width is None else width)
        return self._capacity(package, found)[0], found.told

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        return FR.restored(network, self._capacity(package, narrowed)[0], execution)

    def compressed(self, network: Network, package: bytes) -> nn.Module:
        """The module at its largest capacity; see `FrequencyRegularization.compressed`."""
        return FR.compressed(network, self._capacity(package, None)[0])

    def capacities(self, network: Network, package: bytes) -> tuple[Capacity, ...]:
        """See `Method`."""
        from bench.compress.frequency.package import write

        whole = self._read(package)
        each = [(_narrowed(whole, one), whole.at(one)) for one in range(1, whole.capacities + 1)]
        return tuple(Capacity(how, alone.coefficients, len(write(alone))) for how, alone in each)

    def size(self, network: Network, package: bytes) -> Size:
        whole, largest = self._read(package), self._capacity(package, None)[0]
        kept = ", ".join(f"{whole.at(capacity).coefficients:,}" for capacity in range(1, whole.capacities + 1))
        more = (len(package) - len(largest)) / len(largest)
        told = f"{whole.capacities} capacities of {kept} coefficients; {more:.1%} more bytes than the largest by itself"
        return replace(super().size(network, package), notes=(told,))

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        largest, _ = self._capacity(package, None)
        if "frq" not in to.runtime.packages:
            module = self.restored(network, package, execution, narrowed)
            return Exported(to.runtime.export(module, to.inputs, to.samples, to.folder), "runtime", "stock")
        from bench.compress.frequency.package import write
        from bench.export import frequency, graph

        _, capacity = self._capacity(package, narrowed)
        made = frequency.read(FR.converted(network, largest, to.inputs, to.cache, to.key))
        whole = self._loaded(network, package, made)
        weights, form = to.folder / "weights.frq", "resident" if execution in RESIDENT else execution
        weights.write_bytes(write(whole))
        graphs = {}
        # Where the runner makes the ranks itself one graph is that of all capacities.
        for number in range(1, whole.capacities + 1) if execution in RESIDENT else (capacity,):
            role, own = "graph" if number == capacity else f"graph{number}", made.graph
            if execution in RESIDENT:
                at = replace(made, package=whole.at(number))
                own = frequency.rewrite(at, to.inputs, RESIDENT[execution]).graph
            graphs[role] = to.folder / f"{role}.param"
            graph.write(own, graphs[role])
        return Exported(
            (*(file_of(path, role) for role, path in graphs.items()), file_of(weights, "weights")), "frq", form,
            roles=tuple(role for role in graphs if role != "graph"), options={"capacity": str(capacity)},
        )  # fmt: skip

    def switches(self, execution: str, runtime: Runtime) -> bool:
        """Whether that runtime changes the capacity in place."""
        return "frq" in runtime.packages

    def _loaded(self, network: Network, package: bytes, made: frequency.Exported) -> Package:
        """The package with its tensors in the order in which the graph's layers load them."""
        from bench.compress.frequency import layers, norms
        from bench.compress.frequency.nesting import neutral

        whole = self._read(package)
        names = [name for name, _ in layers.parts(norms.folded(self.compressed(network, package)))]
        tensors = dict(zip(names, whole.tensors, strict=True))
        for name in tensors.keys() - set(made.names):
            if not neutral(tensors[name]):
                raise ExportRefused(
                    f"{name} does something in a smaller capacity, and nothing in the largest, so that the converter "
                    "drops it",
                    "Compress by another seed.",
                )
        pairs = zip(made.names, made.package.tensors, strict=True)
        loaded = tuple(replace(tensors[name], vector=plain.vector) for name, plain in pairs)
        return replace(whole, tensors=loaded)

    def _read(self, package: bytes) -> Package:
        from bench.compress.frequency.package import read

        found = read(package)
        if found.capacities == 1:
            raise UsageError(
                f"the package has one capacity, so it is none of {self.name}",
                f"Name the method that it was made by: {'fr-int8' if found.int8 else 'fr'}.",
            )
        return found

    def _capacity(self, package: bytes, narrowed: Narrowed | None) -> tuple[bytes, int]:
        """That capacity as a package of FR, and its number; the largest without a narrowing."""
        from bench.compress.frequency.package import write

        whole = self._read(package)
        capacity = whole.capacities if narrowed is None else int(narrowed.plan)
        return write(whole.at(capacity)), capacity


def _narrowed(whole: Package, capacity: int) -> Narrowed:
    own = whole.at(capacity).coefficients
    told = f"capacity {capacity} of {whole.capacities}: {own:,} of {whole.coefficients:,} coefficients"
    return Narrowed(str(capacity), told, own)


METHOD = NestedFrequency()
