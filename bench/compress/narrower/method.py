"""What methods have in common whose networks have fewer channels: targets, packages, sizes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.compress.method import Alters, Intended, Narrowed, Ordinary, Request, Size, module_of
from bench.compress.target import Target
from bench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from bench.compress.learner import Learner
    from bench.networks import Network

FORMS = (
    "Say it as a ratio (20x), a number of parameters (20000), the bytes of the whole package (16kB), or the "
    "multiply-adds of an inference (30MMAC, 4xMAC)."
)


def parsed(text: str) -> Target:
    """Raises UsageError."""
    return Target.parse(text, FORMS, ("ratio", "count", "bytes", "macs", "mac ratio"))


class Narrower(Ordinary):
    """A package holds the widths and, in float16, all parameters, batch norms folded (package.py).

    Its targets are those of FR: with `20x` its parameters in float16 take a twentieth of what those of the ordinary
    network take in float32; biases count on both sides. Multiply-adds are counted as those of the ordinary network are.
    """

    alters: Alters = "structure"
    float16 = True
    lanes = 4
    """From so many channels on, widths are multiples of so many where that can be."""

    def check(self, request: Request) -> None:
        if request.target is not None:
            parsed(request.target)

    def target(self, network: Network, request: Request) -> Target:
        """Raises UsageError where there is none."""
        if request.target is None:
            raise UsageError(f"{network.name} needs a target: how small it is to be", FORMS)
        return parsed(request.target)

    def check_intended(self, intended: Intended) -> None:
        """See `Method`."""
        self.target(intended.network, intended.request)

    def planner(self, learner: Learner, request: Request) -> Callable[[str], bytes]:
        """See `Method.planner`."""
        from bench.compress.narrower import package, structure
        from bench.compress.narrower.family import Family

        network = learner.network
        ordinary = module_of(network, self)
        family = Family(network, ordinary, self.name, self.lanes)

        def planned(target: str) -> bytes:
            widths = family.widths(family.within(parsed(target)))
            return package.write(network, widths, structure.resized(ordinary, widths), self.name)

        return planned

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress.narrower.package import read

        module_of(network, self)
        return read(network, package, self.name)

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress.tensors import is_weight

        made = self.restored(network, package, self.executions[0])
        kept = {name: weight.numel() for name, weight in made.named_parameters() if is_weight(weight)}
        return dataclasses.replace(super().size(network, package), kept=kept)
