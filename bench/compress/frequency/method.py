"""Frequency Regularization as a method: what is kept of every weight are the first coefficients of its DCT."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache import content_key, file_of, own_sources
from bench.compress.method import (
    Alters,
    Destination,
    Exported,
    Intended,
    Narrowed,
    Request,
    Sight,
    Size,
    begun,
    module_of,
)
from bench.errors import UnknownName, UsageError
from bench.width import AUTO, Width, is_whole, shown

if TYPE_CHECKING:
    from torch import nn

    from bench.cache import Cache
    from bench.compress.learner import Learner
    from bench.compress.target import Target
    from bench.export import frequency
    from bench.networks import Network
    from bench.records import Tensor

BUDGETS = ("uniform", "energy", "sensitivity")
RESIDENT: dict[str, frequency.Choice] = {"auto": "cheapest", "resident": "all"}
"""The forms whose wide spaces are in no memory, so that they can have any width; and how layers get theirs in each."""


class FrequencyRegularization:
    """A package is a `.frq` file (docs/formats/frq.md), trained from the start or the truncated DCT of trained weights.

    The form `dense` decodes whole weights, `factored` runs every layer as 1×1 → core → 1×1, `resident` leaves what is
    between two layers small, and `auto` picks for each layer what costs least. A runtime that does not load `.frq` gets
    an ordinary network: dense weights, or for all other forms the factors.
    """

    name = "fr"
    title = "Frequency Regularization"
    suffix = ".frq"
    alters: Alters = "both"
    int8 = False
    executions: tuple[str, ...] = ("auto", "resident", "factored", "dense")

    def check(self, request: Request) -> None:
        from bench.compress.frequency.target import parsed

        if request.budget not in BUDGETS:
            raise UnknownName.of("budget", request.budget, BUDGETS)
        if request.target is not None:
            parsed(request.target)
        if not request.one_shot and request.fine_tune:
            raise UsageError(
                "--fine-tune is for a network that is already trained, and this one will be trained with few "
                "coefficients from the start",
                "Add --one-shot.",
            )
        if request.one_shot and request.epochs is not None:
            raise UsageError(
                "--epochs is for training from the start, which --one-shot does not do",
                "Use --fine-tune for epochs after the truncation.",
            )

    def default_target(self, network: Network) -> str | None:
        return None if network.coefficients is None else str(network.coefficients)

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress.frequency import learning

        self.check(request)
        module_of(learner.network, self)
        return learning.compress(learner, request, self._target(learner.network, request), int8=self.int8)

    def check_intended(self, intended: Intended) -> None:
        """See `Method`."""
        self._target(intended.network, intended.request)

    def _target(self, network: Network, request: Request) -> Target:
        """Raises UsageError where there is none."""
        from bench.compress.frequency.target import FORMS, parsed

        target = request.target or self.default_target(network)
        if target is None:
            raise UsageError(f"{network.name} needs a target: how far it is to be compressed", FORMS)
        return parsed(target)

    def check_width(self, execution: str, width: Width) -> None:
        if execution not in RESIDENT and not is_whole(width):
            raise UsageError(
                f"{self.name}-{execution} writes every channel, so it cannot be computed at the width {shown(width)}",
                f"Ask for {' or '.join(f'{self.name}-{form}' for form in RESIDENT)}.",
            )

    def narrowed(self, network: Network, package: bytes, execution: str, width: Width, sight: Sight) -> Narrowed:
        from bench.compress.frequency import widths
        from bench.export import frequency

        self.check_width(execution, width)
        shared = self.converted(network, package, sight.inputs, sight.cache, sight.key)
        question = widths.Question(frequency.read(shared), sight.inputs, RESIDENT[execution])
        if width == AUTO:
            if network.task == "reconstruction":
                raise UsageError(
                    f"{network.name} answers with pictures, and auto compares classes", "Say a width: 1/4."
                )
            found = widths.automatic(question, self.compressed(network, package), sight.samples)
            return Narrowed(found.narrowing.text(), found.told)
        found = widths.chosen(question, width)
        agreement = ""
        if network.task != "reconstruction":
            agreement = widths.judged(found.narrowing, self.compressed(network, package), sight.samples)
        return Narrowed(found.narrowing.text(), "; ".join(filter(None, (found.told, agreement))))

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress.frequency import factor, layers, narrow

        made = self.compressed(network, package)
        if narrowed is not None:
            return narrow.narrowed(made, narrow.Narrowing.parse(narrowed.plan))
        return (layers.decoded(made) if execution == "dense" else factor.factored(made)).eval()

    def compressed(self, network: Network, package: bytes) -> nn.Module:
        """The module that `package` was made of, its FR layers compressed: the form that FR trains, or the ordinary
        one. Raises UsageError and CorruptData as `restored` does."""
        from bench.compress.frequency import restore
        from bench.compress.frequency.package import read

        found = read(package)
        if found.capacities > 1:
            raise UsageError(
                f"the package has {found.capacities} capacities, so it is none of {self.name}",
                "Name the method that it was made by: nested-fr.",
            )
        if found.int8 != self.int8:
            bits, maker = ("in 8 bits", "fr-int8") if found.int8 else ("float16", "fr")
            raise UsageError(
                f"the package's coefficients are {bits}, so it is none of {self.name}",
                f"Name the method that it was made by: {maker}.",
            )
        return restore.of_either_form(network, module_of(network, self), found)

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress.frequency import layers, norms, size

        ordinary = module_of(network, self)
        whole = size.count(norms.folded(ordinary), network.name)
        sites = layers.sites(self.compressed(network, package))
        return Size(
            kept={name: site.frequency.kept for name, site in sites.items() if site.compressed},
            parameters=sum(parameter.numel() for parameter in ordinary.parameters()),
            float32_bytes=whole.ordinary_bytes,
            float16_bytes=whole.bytes,
        )

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        if "frq" not in to.runtime.packages:
            module = self.restored(network, package, execution, narrowed)
            return Exported(to.runtime.export(module, to.inputs, to.samples, to.folder), "runtime", "stock")
        from bench.compress.frequency.narrow import Narrowing
        from bench.export import frequency, graph

        shared = self.converted(network, package, to.inputs, to.cache, to.key)
        files = {"graph": to.folder / "graph.param", "weights": to.folder / "weights.frq"}
        for file in files.values():
            shutil.copyfile(shared / file.name, file)
        if narrowed is not None:
            plan = Narrowing.parse(narrowed.plan)
            graph.write(frequency.at_points(frequency.read(shared), plan.forms, plan.points), files["graph"])
        elif execution in RESIDENT:
            made = frequency.rewrite(frequency.read(shared), to.inputs, RESIDENT[execution])
            graph.write(made.graph, files["graph"])
        form = "resident" if execution in RESIDENT else execution
        return Exported(tuple(file_of(path, role) for role, path in files.items()), "frq", form)

    def converted(self, network: Network, package: bytes, inputs: Sequence[Tensor], cache: Cache, key: str) -> Path:
        """The folder of the graph and weights that all forms and widths are made of; to make it takes longest."""
        from bench.export import frequency

        def make(folder: Path) -> None:
            frequency.export_fr(network.name, self.compressed(network, package), inputs, folder)

        return cache.build("exports", content_key(key, *own_sources("export")), make)


class FrequencyInt8(FrequencyRegularization):
    """The same with coefficients in 8 bits: a `.frq` file of format 3. Where the network has a finished package of the
    target, with float16 coefficients, that is rounded as it is unless an effort is asked for."""

    name = "fr-int8"
    title = "Frequency Regularization in 8 bits"
    suffix = ".frq8"
    int8 = True
    begins_with = FrequencyRegularization.suffix

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress.frequency import learning

        self.check(request)
        module_of(learner.network, self)
        finished = begun(self, learner.network, request)
        return learning.rounded(learner, finished) if finished else super().compress(learner, request)


METHOD = FrequencyRegularization()
INT8 = FrequencyInt8()
