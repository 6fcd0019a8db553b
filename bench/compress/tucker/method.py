"""One-shot compression of a whole network (Kim et al., ICLR 2016, arXiv 1511.06530) as a method."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from bench.compress.method import Alters, Destination, Exported, Narrowed, Ordinary, Request, Size, module_of
from bench.compress.target import Target
from bench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from bench.compress.learner import Learner
    from bench.networks import Network

FORMS = (
    "Say it as a ratio (4x), a number of parameters (20000), the bytes of the whole package (16kB) or multiply-adds "
    "(30MMAC, 4xMAC), or leave it out: then the weights themselves decide."
)
_CHOICES: dict[str, Literal["all", "cheapest"]] = {"resident": "all", "auto": "cheapest"}


class Tucker(Ordinary):
    """Every kernel becomes 1×1 → core → 1×1 at the ranks that EVBMF finds in its weights, or at those ranks times one
    factor, within a target; then all layers are tuned at once. A package holds the ranks and, in float16, all
    parameters, batch norms folded (package.py).

    `factored` runs the factors as the layers they are. `resident` and `auto` are forms of our own runner, in which
    what stands between an expansion and the next reduction is one pass, everywhere or where it is cheaper.
    """

    name = "tucker"
    title = "Tucker decomposition"
    alters: Alters = "structure"
    float16 = True
    executions = ("auto", "resident", "factored")

    def check(self, request: Request) -> None:
        if request.target is not None:
            parsed(request.target)
        if request.budget != "uniform":
            raise UsageError(
                f"tucker scales all ranks by one factor, but the budget {request.budget} was asked",
                "Leave the budget out.",
            )
        if request.one_shot and request.epochs is not None:
            raise UsageError(
                "--epochs is for the training of the ordinary network, which --one-shot takes as it is",
                "Use --fine-tune for epochs after the decomposition.",
            )

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress.tucker import learning

        self.check(request)
        module_of(learner.network, self)
        return learning.compress(learner, request)

    def planner(self, learner: Learner, request: Request) -> Callable[[str], bytes]:
        """See `Method.planner`."""
        from bench.compress.tucker import learning

        module_of(learner.network, self)
        return learning.planner(learner, request)

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress.tucker.package import read

        module_of(network, self)
        return read(network, package)[0]

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress.tensors import is_weight
        from bench.compress.tucker import package as packages
        from bench.compress.tucker.listing import listing

        module_of(network, self)
        made, found, ranks = packages.read(network, package)
        priced = {site.name: site.price(ranks[path]).parameters for path, site in found.sites.items()}
        others = {
            name: weight.numel()
            for name, weight in made.named_parameters()
            if is_weight(weight) and not any(name.startswith(f"{path}." if path else "") for path in found.sites)
        }
        notes = tuple(f"{path} stays as it is: it {why}." for path, why in found.left.items())
        whole = super().size(network, package)
        return replace(whole, kept=priced | others, layers=listing(found, ranks), notes=notes)

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        made = super().export(network, package, execution, to, narrowed)
        if execution not in _CHOICES or "frq" not in to.runtime.packages:
            return made
        from bench.export import low_rank

        files = low_rank.rewrite(made.files, to.inputs, to.folder, _CHOICES[execution])
        return Exported(files, made.weights_format, "stock")


def parsed(text: str) -> Target:
    """The target that tucker understands by `text`. With `4x` the parameters in float16 take a quarter of what those of
    the ordinary network take in float32, biases on both sides. Raises UsageError."""
    return Target.parse(text, FORMS, ("ratio", "count", "bytes", "macs", "mac ratio"))


METHOD = Tucker()
