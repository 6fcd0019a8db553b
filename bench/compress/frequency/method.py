"""Frequency Regularization as a method: what is kept of every weight are the first coefficients of its DCT."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache import content_key, file_of, own_sources
from bench.compress.method import Destination, Exported, Request, Size, module_of
from bench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.learner import Learner
    from bench.networks import Network

BUDGETS = ("uniform", "energy", "sensitivity")


class FrequencyRegularization:
    """A package is a `.frq` file (docs/formats/frq.md), trained from the start or the truncated DCT of trained weights.

    The form `dense` decodes whole weights, `factored` runs every layer as 1×1 → core → 1×1, `resident` leaves what is
    between two layers small, and `auto` picks for each layer what costs least. A runtime that does not load `.frq` gets
    an ordinary network: dense weights, or for all other forms the factors.
    """

    name = "fr"
    title = "Frequency Regularization"
    suffix = ".frq"
    executions: tuple[str, ...] = ("auto", "resident", "factored", "dense")

    def check(self, request: Request) -> None:
        from bench.compress.frequency.target import Target

        if request.budget not in BUDGETS:
            raise UnknownName.of("budget", request.budget, BUDGETS)
        if request.target is not None:
            Target.parse(request.target)
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
        from bench.compress.frequency.target import FORMS, Target

        self.check(request)
        module_of(learner.network, self)
        target = request.target or self.default_target(learner.network)
        if target is None:
            raise UsageError(f"{learner.network.name} needs a target: how far it is to be compressed", FORMS)
        return learning.compress(learner, request, Target.parse(target))

    def restored(self, network: Network, package: bytes, execution: str) -> nn.Module:
        from bench.compress.frequency import factor, layers

        made = self.compressed(network, package)
        return (layers.decoded(made) if execution == "dense" else factor.factored(made)).eval()

    def compressed(self, network: Network, package: bytes) -> nn.Module:
        """The module that `package` was made of, its FR layers compressed: the form that FR trains, or the ordinary
        one. Raises UsageError and CorruptData as `restored` does."""
        from bench.compress.frequency import restore
        from bench.compress.frequency.package import read

        found = read(package)
        ordinary = module_of(network, self)
        if network.learner is not None:
            try:
                return restore.restored(network.learner(), found).eval()
            except UsageError:  # it was made of the ordinary form, or is refused with what is wrong with that
                pass
        return restore.restored(ordinary, found).eval()

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

    def export(self, network: Network, package: bytes, execution: str, to: Destination) -> Exported:
        if "frq" not in to.runtime.packages:
            module = self.restored(network, package, execution)
            return Exported(to.runtime.export(module, to.inputs, to.samples, to.folder), "runtime", "stock")
        from bench.export import frequency, graph

        def make(folder: Path) -> None:
            frequency.export_fr(network.name, self.compressed(network, package), to.inputs, folder)

        # All forms are of one conversion, which takes longest.
        shared = to.cache.build("exports", content_key(to.key, *own_sources("export")), make)
        files = {"graph": to.folder / "graph.param", "weights": to.folder / "weights.frq"}
        for file in files.values():
            shutil.copyfile(shared / file.name, file)
        if execution in ("auto", "resident"):
            choice: frequency.Choice = "cheapest" if execution == "auto" else "all"
            graph.write(frequency.rewrite(frequency.read(shared), to.inputs, choice).graph, files["graph"])
        form = "resident" if execution == "auto" else execution
        return Exported(tuple(file_of(path, role) for role, path in files.items()), "frq", form)


METHOD = FrequencyRegularization()
