"""Quantisation after training: int8 weights by channel, and, in the form `full`, int8 arithmetic."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.compress.method import Alters, Destination, Exported, Narrowed, Ordinary, Request, Size, module_of
from bench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.int8.layers import Quantised
    from bench.compress.learner import Learner
    from bench.networks import Network
    from bench.records import Precision
    from bench.runtimes.runtime import Runtime

FULL, WEIGHTS = "full", "weights"
UNIFORM = "uniform"
_FEW = 4


class Int8(Ordinary):
    """In the form `full` ncnn computes convolutions and linear layers in integers, what goes into them rounded by
    calibrated scales; in the form `weights` int8 weights are widened when they are loaded, and all arithmetic is float.
    One package serves both; one that was made without data has no scales of inputs and cannot be run `full`.

    Batch norms are folded first. The request's `budget` says how scales are chosen: `kl` or `absmax`.
    """

    name = "int8"
    title = "int8 quantisation"
    alters: Alters = "numbers"
    executions = (FULL, WEIGHTS)
    calibrates = True

    def check(self, request: Request) -> None:
        from bench.compress.int8.calibration import RULES

        super().check(request)
        if request.budget not in (UNIFORM, *RULES):
            raise UnknownName.of("budget", request.budget, RULES)
        if request.fine_tune:
            raise UsageError(
                "int8 quantises after training and does not train, but --fine-tune was given", "Leave --fine-tune out."
            )

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress import fuse
        from bench.compress.int8 import calibration, layers, package
        from bench.networks.count import examples

        self.check(request)
        network = learner.network
        module_of(network, self)
        shown = examples(network.inputs)
        folded = fuse.fused(learner.ordinary(request), shown)
        made = {name: layers.Quantised.of(layer) for name, layer in layers.sites(folded, shown).items()}
        if not made:
            raise UsageError(
                f"{network.name} has no convolution of pictures and no linear layer of vectors, which int8 is for",
                "Measure it as it is, or with the method half.",
            )
        if batches := calibration.pictures(learner, request):
            # Seeded values have no distribution to be true to, and its search takes most of the time.
            usual = calibration.RULES[0] if learner.data is not None else "absmax"
            rule = usual if request.budget == UNIFORM else request.budget
            chosen = calibration.inputs(folded, list(made), batches, rule)
            made = {name: dataclasses.replace(one, input=chosen[name]) for name, one in made.items()}
        return package.write(folded, made)

    def precision(self, execution: str, runtime: Runtime) -> Precision | None:
        """What that runtime computes the form in; None for what the plan asks for."""
        return "int8" if execution == FULL and _integer(runtime) else None

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress.int8 import layers

        folded, made = self._read(network, package, execution)
        return layers.integer(folded, made) if execution == FULL else folded

    def _read(self, network: Network, package: bytes, execution: str) -> tuple[nn.Module, dict[str, Quantised]]:
        """The network with norms folded and the weights that the codes stand for, and what is quantised of it."""
        from bench.compress import fuse
        from bench.compress.int8.package import read
        from bench.networks.count import examples

        folded = fuse.fused(module_of(network, self), examples(network.inputs))
        made = read(folded, package)
        if execution == FULL and any(one.input is None for one in made.values()):
            raise UsageError(
                f"int8-full of {network.name} needs pictures to calibrate with, which are never those that it is "
                "tested on, and there were none",
                "Name data with a part to train with (--data), or ask for int8-weights.",
            )
        return folded.eval(), made

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress.int8 import layers

        left = layers.left(*self._read(network, package, WEIGHTS))
        return dataclasses.replace(super().size(network, package), notes=(_left(left),) if left else ())

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        from bench.compress.int8 import layers

        folded, made = self._read(network, package, execution)
        notes = [_left(layers.left(folded, made))] if layers.left(folded, made) else []
        if _integer(to.runtime):
            from bench.export import int8

            files = int8.export(folded, made, execution == FULL, to)
            return Exported(files, "runtime", "stock", tuple(notes))
        if execution == FULL:
            notes.append(
                f"{to.runtime.title} runs int8 here as rounding in float32: its answers are int8's, its time is not"
            )
        module = layers.integer(folded, made) if execution == FULL else folded
        return Exported(to.runtime.export(module, to.inputs, to.samples, to.folder), "runtime", "stock", tuple(notes))


def _integer(runtime: Runtime) -> bool:
    """Whether it loads our own kinds of files: then it is our runner, which has integer kernels."""
    return "frq" in runtime.packages


def _left(found: dict[str, str]) -> str:
    """Which layers stay float, in a sentence."""
    named = [f"{name} ({kind})" for name, kind in list(found.items())[:_FEW]]
    more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return f"not in int8: {', '.join(named)}{more}"


METHOD = Int8()
