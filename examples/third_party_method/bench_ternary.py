"""A method for bench in a package of its own: weights of -1, 0 and 1, with a scale for each output.

pip install ./examples/third_party_method
bench run --model lenet5 --variant baseline --variant ternary
"""

from torch import Tensor, nn

from bench.compress import tensors
from bench.compress.learner import Learner
from bench.compress.method import Ordinary, Request
from bench.networks import Network


class Ternary(Ordinary):
    """Ternary Weight Networks without their training: Li, Zhang, Liu, arXiv 1605.04711."""

    name = "ternary"
    title = "ternary weights"

    def compress(self, learner: Learner, request: Request) -> bytes:
        self.check(request)
        found = {}
        for name, tensor in tensors.lasting(learner.ordinary(request)).items():
            found |= ternary(name, tensor.detach()) if tensors.is_weight(tensor) else {name: tensor}
        return tensors.pack(found)

    def restored(self, network: Network, package: bytes, execution: str) -> nn.Module:
        module, found = network.build(), tensors.unpack(package)
        for name in [name for name in found if f"{name}|scale" in found]:
            signs, scale = found[name].float(), found.pop(f"{name}|scale")
            found[name] = signs * scale.view(-1, *[1] * (signs.dim() - 1))
        tensors.load(module, found)
        return module


def ternary(name: str, weight: Tensor) -> dict[str, Tensor]:
    """What is far from zero for its output becomes 1 or -1 times the mean size of all that is."""
    rows = weight.flatten(1)
    far = rows.abs() > 0.7 * rows.abs().mean(1, keepdim=True)
    scale = (rows.abs() * far).sum(1) / far.sum(1).clamp(min=1)
    return {name: (rows.sign() * far).char().view(weight.shape), f"{name}|scale": scale}


METHOD = Ternary()
