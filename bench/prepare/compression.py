"""`bench compress`: a network made smaller by a method, and judged on the samples that it is tested on."""

from __future__ import annotations

from bench import compress
from bench.cache import Cache
from bench.compress.learner import Learner, Stage
from bench.compress.method import Request
from bench.compress.result import Compressed, compressed
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
    return compressed(member, learner_of(network, data, cache, stage, labels=request.labels), request)
