"""Which bytes to ask of a method, so that the files on a device have those that were asked for.

A method's target in bytes is of its package; a device gets a graph beside the weights, in the runtime's own formats.
How many bytes that makes is tried on packages that nothing was trained for, which have the same structure.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bench.cache import Cache
from bench.compress.learner import Learner
from bench.compress.method import Destination, Method, Request
from bench.errors import BenchError, UsageError
from bench.records import MATCHED, Progress
from bench.runtimes.runtime import Runtime, Shown

_TRIES = 4

Samples = tuple[NDArray[Any], ...]
Sizes = tuple[int, int]
"""Bytes of a package, and of the files that a device gets of it."""


def target(shipped: int, tried: Callable[[int], Sizes]) -> int:
    """The bytes to ask of a method for files of `shipped` bytes, at most; `tried` says what comes of such a target.

    Raises UsageError where the graph leaves nothing for weights, or less than the method can do with.
    """
    asked, best, beside = shipped, 0, 0
    for number in range(_TRIES):
        try:
            package, files = tried(asked)
        except BenchError as error:
            if not number:
                return shipped  # what cannot be tried is said, or turns out otherwise, when it is made
            if not isinstance(error, UsageError):
                raise
            raise UsageError(
                f"the files would have {beside:,} of {shipped:,} bytes beside the weights, and what is left is not "
                f"enough: {error.what}",
                "Ask for larger files.",
            ) from error
        beside = files - package
        if files <= shipped:
            best = max(best, asked)
            if files >= (1 - MATCHED / 2) * shipped:
                break
        following = shipped - beside
        if following < 1 or following == asked:
            break
        asked = following
    if not best and shipped - beside < 1:
        raise UsageError(
            f"the files would have {beside:,} bytes beside the weights alone, and {shipped:,} were asked for",
            "Ask for larger files.",
        )
    return best or asked


def sizes(
    learner: Learner, method: Method, execution: str, runtime: Runtime, samples: Samples, request: Request
) -> Sizes:  # fmt: skip
    """Of a package as the request says, without any training; `samples` are a few of each input. Raises what the
    method's `compress` and `export` do."""
    from bench.export import eager

    def quiet(title: str) -> Progress:
        return lambda done, words: None

    network = learner.network
    easy = replace(request, one_shot=True, seeded=not network.trained, epochs=None, fine_tune=0)
    try:
        package = method.compress(Learner(network, learner.cache, quiet), easy)
    except BenchError:
        if network.trained or network.graph is not None:
            raise
        # A method that begins with trained weights makes as many bytes of others.
        network = replace(network, trained=True, learns=False)
        package = method.compress(Learner(network, learner.cache, quiet), replace(easy, seeded=False))
    shown = Shown(samples, eager.answers(method.restored(network, package, execution), samples))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        to = Destination(runtime, network.inputs, shown, folder, Cache(folder / ".cache"), "fitting")
        files = method.export(network, package, execution, to).files
        return len(package), sum(file.bytes for file in files if file.role in runtime.deployed)


def kept(cache: Cache, key: str, make: Callable[[], int]) -> int:
    """A target, found once."""

    def build(folder: Path) -> None:
        (folder / "target.json").write_text(json.dumps(make()), encoding="utf-8")

    found: int = json.loads((cache.build("targets", key, build) / "target.json").read_bytes())
    return found
