"""What came of a compression, all of it from the package's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.compress.learner import Data, Learner
from bench.compress.method import Capacity, Method, Request
from bench.compress.retrained import Retrained, retrained
from bench.errors import UsageError
from bench.networks import Network

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.training import Samples

UNTRAINED = "No --weights given: these are seeded, and the network's answers mean nothing."

NO_SCORE = (
    "The data has no labels, so no score was computed from any; measured with the same pictures it is measured with "
    "what it learnt from."
)


@dataclass(frozen=True)
class Answers:
    """One of several capacities in a package, the `number`th from the smallest `of` them: how many numbers of weights
    it has, the bytes of a package of it alone, and the `accuracy` of the network read back at it; None without labels.
    """

    number: int
    of: int
    coefficients: int
    bytes: int
    accuracy: float | None


@dataclass(frozen=True)
class Compressed:
    """A network that was compressed.

    `kept` counts the numbers that the package keeps of each weight, `parameters` those of the ordinary network.
    `float32_bytes` and `float16_bytes` are the ordinary network in the same kind of file. `accuracy` is that of the
    network read back from the package, over `tested` samples of `source` (see `training.accuracy`); None where no
    labels are known. `accuracy_before` is the ordinary network's; None where that is not trained. `capacities` are
    those of a package that has several, which is then judged as a whole at its largest. `retrained` compares with what
    was before pictures were added to the data.
    """

    model: str
    method: str
    package: bytes
    kept: Mapping[str, int]
    parameters: int
    float32_bytes: int
    float16_bytes: int
    accuracy: float | None
    accuracy_before: float | None
    tested: int
    source: str
    layers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    retrained: Retrained | None = None
    capacities: tuple[Answers, ...] = ()

    @property
    def coefficients(self) -> int:
        return sum(self.kept.values())

    @property
    def parameter_ratio(self) -> float:
        """Parameters of the ordinary network for each number that is kept."""
        return self.parameters / self.coefficients

    @property
    def published_ratio(self) -> float:
        """As the publication of FR counts, a float16 coefficient is half a parameter, and biases are none."""
        return 2 * self.parameter_ratio

    @property
    def byte_ratio(self) -> float:
        """File to file, float32 against the package, all that the network needs on both sides."""
        return self.float32_bytes / len(self.package)

    def as_json(self) -> dict[str, Any]:
        fields = ("model", "method", "parameters", "float32_bytes", "float16_bytes", "accuracy", "accuracy_before")
        ratios = ("coefficients", "parameter_ratio", "published_ratio", "byte_ratio")
        return {
            **{name: getattr(self, name) for name in (*fields, "tested", "source", *ratios)},
            "bytes": len(self.package),
            "kept": dict(self.kept),
            "layers": dict(self.layers),
            "notes": list(self.notes),
            "capacities": [asdict(one) for one in self.capacities],
            "retrained": self.retrained.as_json() if self.retrained else None,
        }


def compressed(method: Method, learner: Learner, request: Request, before: Learner | None = None) -> Compressed:
    """The learner's network compressed, and judged; where pictures were added to the data, also beside what comes of
    the same request by `before`, the learner without them. Raises what `method.compress` raises."""
    from bench.compress import training

    package = method.compress(learner, request)
    network, size, data = learner.network, method.size(learner.network, package), learner.data
    test = data.test if data and data.labelled else None
    form, module = restored(method, network, package)
    only = () if form == method.executions[0] else (f"It can be run as {method.name}-{form} alone.",)
    return Compressed(
        model=network.name,
        method=method.name,
        package=package,
        kept=size.kept,
        parameters=size.parameters,
        float32_bytes=size.float32_bytes,
        float16_bytes=size.float16_bytes,
        accuracy=training.accuracy(module, test) if test else None,
        accuracy_before=training.accuracy(learner.ordinary(request), test) if test and learner.trained else None,
        tested=len(test) if test else 0,
        source=data.source if data else "",
        layers=size.layers,
        notes=(
            *size.notes,
            *only,
            *(() if network.trained or data else (UNTRAINED,)),
            *unlabelled(request, network, data),
        ),
        retrained=retrained(method, before, learner, package, request) if before else None,
        capacities=_answers(method, network, package, form, test),
    )


def _answers(method: Method, network: Network, package: bytes, form: str, test: Samples | None) -> tuple[Answers, ...]:
    """What each capacity answers, the smallest first; none of a package with one."""
    from bench.compress import training

    each = getattr(method, "capacities", None)
    found: tuple[Capacity, ...] = each(network, package) if each else ()
    return tuple(
        Answers(
            number, len(found), one.kept, one.bytes,
            training.accuracy(method.restored(network, package, form, one.narrowed), test) if test else None,
        )
        for number, one in enumerate(found, 1)
    )  # fmt: skip


def restored(method: Method, network: Network, package: bytes) -> tuple[str, nn.Module]:
    """The package's module in the first of the method's forms that it can have, and which that is: weights in 8 bits
    that nothing was calibrated for do not have all. Raises what `method.restored` raises."""
    for form in method.executions[:-1]:
        try:
            return form, method.restored(network, package, form)
        except UsageError:
            continue
    return method.executions[-1], method.restored(network, package, method.executions[-1])


def unlabelled(request: Request, network: Network, data: Data | None) -> tuple[str, ...]:
    """Sentences for what was made without labels: what it learnt from, and what therefore is not known of it."""
    if request.labels or data is None or not (request.fine_tune or not request.one_shot):
        return ()
    seen = f"the ordinary network's answers to {len(data.train):,} pictures"
    whose = "" if network.trained else "; that network was trained with labels"
    told = f"No labels were used to make it smaller: whatever was trained on learnt {seen}{whose}."
    return (told,) if data.labelled else (told, NO_SCORE)
