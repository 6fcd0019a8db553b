"""Distillation: the small network of `dense-small`, which has to have a teacher. Hinton et al., arXiv 1503.02531."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.compress.dense_small.method import DenseSmall
from bench.compress.method import Request, module_of
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.compress.learner import Learner


class Distil(DenseSmall):
    """Structure, targets, training and package are those of `dense-small`, and the ordinary network is its teacher. It
    is refused without one, and with `labels=False` it learns from nothing else."""

    name = "distil"
    title = "a distilled small network"
    taught = True

    def compress(self, learner: Learner, request: Request) -> bytes:
        self.check(request)
        module_of(learner.network, self)
        if learner.data is not None and not learner.trained:
            raise UsageError(
                f"{self.name} needs a teacher, and {learner.network.name} is not trained",
                "Name its trained weights (--weights FILE), or train the small network without: --method dense-small.",
            )
        return super().compress(learner, request)


METHOD = Distil()
