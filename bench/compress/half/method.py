"""Float16 weights as a method: half the bytes, and what every framework offers without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.compress.method import Alters, Narrowed, Ordinary, Request, module_of
from bench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.learner import Learner
    from bench.networks import Network


class Half(Ordinary):
    """A package is a safetensors file: weights of two axes and more in float16, biases and norms as they are.

    Batch norms are folded into the layers before them first, since every runtime folds them and a folded weight is not
    one of float16 any more. Computing stays in the runtime's precision.
    """

    name = "half"
    title = "float16 weights"
    alters: Alters = "numbers"
    float16 = True

    def check(self, request: Request) -> None:
        super().check(request)
        if request.fine_tune:
            raise UsageError("half does not train, but --fine-tune was given", "Leave --fine-tune out.")

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress import fuse, tensors
        from bench.networks.count import examples

        self.check(request)
        module_of(learner.network, self)
        found = tensors.lasting(fuse.fused(learner.ordinary(request), examples(learner.network.inputs)))
        if not any(map(tensors.is_weight, found.values())):
            raise UsageError(
                f"{learner.network.name} has no weights of two axes or more that float16 could make smaller",
                "Measure it as it is.",
            )
        return tensors.pack(
            {name: tensors.half(name, one) if tensors.is_weight(one) else one for name, one in found.items()}
        )

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress import fuse, tensors
        from bench.networks.count import examples

        module = fuse.fused(module_of(network, self), examples(network.inputs))
        tensors.load(module, tensors.unpack(package))
        return module


METHOD = Half()
