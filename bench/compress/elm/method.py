"""Extreme learning machines as a method: another network for the same task, solved for instead of trained."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.compress.method import Alters, Destination, Exported, Narrowed, Ordinary, Request, Size, module_of
from bench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.elm.package import Package
    from bench.compress.learner import Learner
    from bench.networks import Network

DEFAULT = 1024
MOST = 2**17
_FORM = f"Say how many neurons it has, 1 to {MOST:,}: --target 4096."


class Elm(Ordinary):
    """Its target is the number of hidden neurons. A package is a seed and the output weights in float16 (package.py);
    what the runner makes of it is an ordinary network of two layers, whose first never lies in a file."""

    name = "elm"
    title = "an extreme learning machine"
    suffix = ".elm"
    alone = "a device makes its hidden layer of a seed, and a cascade is of layers in files"
    alters: Alters = "both"

    def check(self, request: Request) -> None:
        neurons_of(request.target)
        if request.one_shot or request.fine_tune or not request.labels:
            given = "--one-shot" if request.one_shot else "--fine-tune" if request.fine_tune else "--unlabelled"
            raise UsageError(
                f"{self.name} is solved for from samples and their classes, but {given} was given",
                f"Leave {given} out.",
            )

    def default_target(self, network: Network) -> str | None:
        return str(DEFAULT)

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress.elm import learning, package

        self.check(request)
        classes = classes_of(learner.network)
        given = learner.needed()
        whole = learning.part_of(given.train)
        learning.refuse_beyond(whole, classes, given.source)
        fit, held = learning.parts(whole, request.seed, learning.ALPHAS)
        learning.refuse_unteachable(fit, given.source)
        neurons = neurons_of(request.target)
        progress = learner.stage(f"solve for {neurons:,} neurons of an extreme learning machine")
        found = learning.learn(fit, held, classes, neurons, request.seed, learning.ALPHAS, progress)
        progress(1.0, f"alpha {found.alpha:g}")
        return package.write(found.package)

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress.elm.layer import Elm as Module

        module_of(network, self)
        return Module(_read(network, package)).eval()

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress import tensors

        found = _read(network, package)
        ordinary = tensors.lasting(module_of(network, self))
        wide = sum(tensor.numel() for tensor in ordinary.values() if tensors.is_weight(tensor))
        return Size(
            kept={"output": found.stored.size},
            parameters=sum(tensor.numel() for tensor in ordinary.values() if tensor.requires_grad),
            float32_bytes=(whole := len(tensors.pack(ordinary))),
            float16_bytes=whole - 2 * wide,
            layers={"hidden": f"{found.neurons:,} neurons of seed {found.seed}", "output": "float16"},
        )

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        if "elm" not in to.runtime.packages:
            module = self.restored(network, package, execution)
            return Exported(to.runtime.export(module, to.inputs, to.samples, to.folder), "runtime", "stock")
        from bench.cache import file_of
        from bench.export import elm

        graph, weights = to.folder / "graph.param", to.folder / "weights.elm"
        found = _read(network, package)
        graph.write_text(
            elm.graph(to.inputs[0].shape, found.neurons, found.classes, found.mean, found.deviation), encoding="ascii"
        )
        weights.write_bytes(package)
        return Exported((file_of(graph, "graph"), file_of(weights, "weights")), "elm", "stock")


def neurons_of(target: str | None) -> int:
    """Raises UsageError."""
    text = str(DEFAULT) if target is None else target.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST):
        raise UsageError(f"{target!r} is not a number of neurons", _FORM)
    return int(text)


def classes_of(network: Network) -> int:
    """How many classes the network tells apart. Raises UsageError for one of another task or with several inputs."""
    from bench.networks.count import count

    if network.task != "classification" or len(network.inputs) != 1:
        raise UsageError(
            f"{network.name} does not put one picture into a class, and an extreme learning machine does",
            "Name a network that classifies, e.g. lenet5.",
        )
    outputs = count(network.build(), network.inputs).outputs
    if len(outputs) != 1 or len(outputs[0].shape) != 1:
        raise UsageError(f"{network.name} does not answer with one row of classes", "Name a network that does.")
    return outputs[0].shape[0]


def _read(network: Network, data: bytes) -> Package:
    """Raises UsageError for the package of another network, CorruptData for a damaged one."""
    from bench.compress.elm import package

    found = package.read(data)
    wanted = math.prod(network.inputs[0].shape)
    if found.inputs != wanted:
        raise UsageError(
            f"the package takes {found.inputs:,} values, and {network.name} takes {wanted:,}",
            "Name the network that the package was made for.",
        )
    return found


METHOD = Elm()
