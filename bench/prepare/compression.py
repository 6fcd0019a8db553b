"""`bench compress`: a network made smaller by a method, and judged on the samples that it is tested on."""

from __future__ import annotations

from bench import compress
from bench.cache import Cache
from bench.compress.learner import Learner, Stage
from bench.compress.method import Request
from bench.compress.result import Compressed, compressed
from bench.errors import UsageError
from bench.networks.network import Network
from bench.plan import Data
from bench.prepare.samples import to_learn


def learner_of(
    network: Network, data: Data | None, cache: Cache, stage: Stage, *, needs_data: bool = True, labels: bool = True
) -> Learner:
    """The network with what it can learn from, with labels or without, where there is any. Raises UsageError,
    CorruptData."""
    found = to_learn(network, data, labels=labels) if needs_data else None
    return Learner(network, cache, stage, found)


def compression(
    network: Network, data: Data | None, method: str, request: Request, cache: Cache, stage: Stage
) -> Compressed:
    """The network as `request` asks for it: from the cache when it was made before, else made now; a training that was
    interrupted goes on where it was.

    Raises UnknownName (method, budget), UsageError (target, options that do not go together, data that does not suit),
    CorruptData (data, weights, checkpoint).
    """
    member = compress.method(method)
    member.check(request)
    before = None
    if data is not None and data.add is not None:
        _check_added(network, data, method, request)
        before = learner_of(network, data.model_copy(update={"add": None}), cache, stage)
    after = learner_of(network, data, cache, stage, labels=request.labels)
    return compressed(member, after, request, before)


def _check_added(network: Network, data: Data, method: str, request: Request) -> None:
    """Raises UsageError for what would make nothing of added pictures."""
    if data.path is None:
        raise UsageError("--add is given without data to add it to", "Name it by --data.")
    if network.task != "classification":
        raise UsageError(f"{network.name} does {network.task}, and --add is for classes", "Leave --add out.")
    if not request.labels:
        raise UsageError("--add has labels to learn from, and --unlabelled looks at none", "Leave one of them out.")
    if network.twin is not None:
        raise UsageError(
            f"bench trains {network.name} through a narrower one, and adds no pictures", "Leave --add out."
        )
    if request.one_shot and not (network.trained or network.learns):
        raise UsageError(
            f"{network.name} has no weights, and by --one-shot {method} trains none", "Add --weights FILE."
        )
