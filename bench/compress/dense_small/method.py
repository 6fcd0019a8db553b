"""The opponent of every compression: a network of the same family, only smaller, trained like the large one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.compress.method import Request, module_of
from bench.compress.narrower.method import Narrower
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.compress.checkpoint import Checkpoint
    from bench.compress.learner import Learner
    from bench.compress.narrower.structure import Widths
    from bench.networks import Network
    from bench.records import Progress


class DenseSmall(Narrower):
    """All groups of channels that can only go together are made narrower by one factor, and that network is trained
    from the start, by labels alone: what someone does who has never heard of compression. A subclass that is `taught`
    learns from the ordinary network too."""

    name = "dense-small"
    title = "a small dense network"
    taught = False

    def check(self, request: Request) -> None:
        super().check(request)
        if request.budget != "uniform":
            raise UsageError(
                f"{self.name} shares its target by one scale for all layers, but the budget {request.budget} was asked",
                "Leave the budget out.",
            )
        if not (self.taught or request.labels):
            raise UsageError(
                f"{self.name} learns from labels alone, and none are to be used",
                "Take the method distil, which the ordinary network teaches, or leave --unlabelled out.",
            )
        if request.fine_tune or (request.one_shot and not request.seeded):
            raise UsageError(
                f"{self.name} trains a smaller network from the start and keeps nothing of trained weights",
                "Leave --one-shot and --fine-tune out and name --data (in a plan: effort = { one_shot = false }).",
            )

    def compress(self, learner: Learner, request: Request) -> bytes:
        from bench.compress.narrower.family import Family

        self.check(request)
        network = learner.network
        ordinary = module_of(network, self)
        target = self.target(network, request)
        if learner.data is None and not request.seeded:
            raise UsageError(f"there is no data to train {network.name} with", "Add --data FOLDER.")
        family = Family(network, ordinary, self.name, self.lanes)
        widths = family.widths(family.within(target))
        if learner.data is None:
            return self._seeded(network, request, widths)
        return self._trained(learner, request, widths)

    def _seeded(self, network: Network, request: Request, widths: Widths) -> bytes:
        """Seeded weights, with which it computes as much as a trained network and answers nothing."""
        from bench.compress.narrower import package, structure
        from bench.compress.narrower.recipe import initial
        from bench.networks.count import examples
        from bench.networks.settle import settle

        made = structure.resized(initial(network, request.seed), widths)
        settle(made, *examples(network.inputs, request.seed))
        return package.write(network, widths, made, self.name)

    def _trained(self, learner: Learner, request: Request, widths: Widths) -> bytes:
        from bench.compress import training, tuning
        from bench.compress.learner import with_epochs
        from bench.compress.narrower import package, structure
        from bench.compress.narrower.recipe import initial, recipe

        network = learner.network
        made = structure.resized(initial(network, request.seed), widths)
        parts = with_epochs(recipe(request.seed, network.task), request.epochs)
        learnt = tuning.lesson(learner, request, taught=self.taught)

        def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
            training.fit(
                made, learnt.train, parts, progress,
                teacher=learnt.teacher, matching=learnt.matching, test=learnt.test, checkpoint=checkpoint,
            )  # fmt: skip
            file.write_bytes(package.write(network, widths, made.eval(), self.name))

        total = sum(parameter.numel() for parameter in made.parameters())
        title = f"train a small {network.name} with {total:,} parameters"
        key = (self.name, repr(widths), repr(parts), repr(network.trained), *learnt.key)
        return learner.learned(request, title, "network.safetensors", key, make).read_bytes()


METHOD = DenseSmall()
