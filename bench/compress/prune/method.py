"""Structured pruning as a method: Fang et al., DepGraph, CVPR 2023, with rankings of three publications."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.compress.method import BY_DATA, Alters, Request, module_of
from bench.compress.narrower.method import Narrower
from bench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from bench.compress.learner import Learner

RANKINGS = ("l1", "taylor", "trr")
"""What a request's budget may be; "uniform", which asks for nothing, is the first."""


class Prune(Narrower):
    """Channels of the trained ordinary network go, as many of each group as `dense-small` would leave out, but those
    that matter least, and what is left keeps its values and is trained on (`tuning.tuned`).

    With `one_shot` all go at once, and `fine_tune` epochs follow. Without, they go in several steps with training
    between and after, `epochs` in all, by default as many as `dense-small` and FR train from the start.
    """

    name = "prune"
    title = "structured pruning"
    alters: Alters = "structure"
    lanes = 8  # other widths can take three times as long

    def check(self, request: Request) -> None:
        super().check(request)
        if request.budget not in ("uniform", *RANKINGS):
            raise UnknownName.of("ranking of channels", request.budget, RANKINGS)
        if request.budget == "trr" and not request.labels:
            raise UsageError(
                "the ranking trr compares pictures by their classes, and no labels are to be used",
                "Rank by l1 or taylor, or leave --unlabelled out.",
            )
        if request.fine_tune and not request.one_shot:
            raise UsageError(
                "--fine-tune follows channels that go all at once, and these are to go step by step",
                "Add --one-shot, or say with --epochs how long to train in all.",
            )
        if request.one_shot and request.epochs is not None:
            raise UsageError(
                "--epochs are shared by the steps of a pruning, and with --one-shot there is one step",
                "Use --fine-tune for the epochs after it.",
            )

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress.narrower.family import Family
        from bench.compress.prune import pruning

        self.check(request)
        ordinary = module_of(learner.network, self)
        target = self.target(learner.network, request)
        ranked = self.ranked(learner, request)
        family = Family(learner.network, ordinary, self.name, self.lanes)
        return pruning.pruned(learner, ranked, family, target)

    @staticmethod
    def ranked(learner: Learner, request: Request) -> Request:
        """The request with its ranking by name. Raises UsageError without what that looks at."""
        if not learner.trained:
            raise UsageError(
                f"{learner.network.name} is not trained, and ranking channels of untrained weights is ranking noise",
                "Name its trained weights (--weights FILE) or data (--data FOLDER).",
            )
        ranking = RANKINGS[0] if request.budget == "uniform" else request.budget
        if ranking in BY_DATA and learner.data is None:
            raise UsageError(
                f"the ranking {ranking} looks at pictures, and there are none",
                "Add --data FOLDER, or leave the ranking out: l1 looks at weights alone.",
            )
        return replace(request, budget=ranking)


METHOD = Prune()
