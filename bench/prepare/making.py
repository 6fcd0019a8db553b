"""A package made by a method, and what was put into it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.records import Made

if TYPE_CHECKING:
    from bench.compress.learner import Learner
    from bench.compress.method import Method, Request


def made(name: str, method: Method, learner: Learner, request: Request) -> tuple[bytes, Made]:
    """The package of the learner's network, and how it was made by the method that a plan calls `name`.

    Trainings count with the seconds of their first time, also where they are now from the cache; that of the ordinary
    network counts for no method. Raises what `method.compress` raises.
    """
    known, begun = len(learner.trainings), time.monotonic()
    package = method.compress(learner, request)
    passed = time.monotonic() - begun
    trainings = learner.trainings[known:]
    own = [training for training in trainings if not training.ordinary]
    epochs = sum(training.epochs for training in own)
    return package, Made(
        method=name,
        target=request.target or method.default_target(learner.network),
        seed=request.seed,
        epochs=epochs,
        pictures=max((training.pictures for training in own), default=0),
        labels=epochs > 0 and request.labels,
        seconds=passed - sum(training.now_s for training in trainings) + sum(training.seconds for training in own),
    )
