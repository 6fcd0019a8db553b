"""Training on of a network that a method made smaller, the same for every method: equal effort is a rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from bench.compress import objective, training
from bench.compress.narrower import recipe as narrower
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.compress.checkpoint import Checkpoint
    from bench.compress.learner import Learner
    from bench.compress.method import Request
    from bench.records import Progress, Task


class Lesson(NamedTuple):
    """What a network that is made smaller learns from; the fields are what `training.fit` takes. `key` is for the names
    of trainings."""

    train: training.Samples
    test: training.Samples | None
    teacher: nn.Module | None
    matching: objective.Matching | None

    @property
    def key(self) -> tuple[str, ...]:
        return ("unlabelled", self.matching) if self.matching else ()


def lesson(learner: Learner, request: Request, *, taught: bool = True) -> Lesson:
    """The learner's data, and the ordinary network as a teacher where that is trained. Without labels that is all there
    is to learn from: what the data says is right cannot be seen any more. Raises UsageError without data, and where
    there are neither labels nor a trained network."""
    data = learner.needed()
    teacher = learner.ordinary(request) if taught and learner.trained else None
    test = data.test if data.labelled else None
    if request.labels:
        return Lesson(data.train, test, teacher, None)
    if teacher is None:
        raise UsageError(
            f"without labels {learner.network.name} learns from what the ordinary network answers, and that is not "
            "trained",
            "Name its trained weights (--weights FILE), or leave --unlabelled out and name data with labels.",
        )
    classes = learner.network.task in ("classification", "segmentation")
    return Lesson(training.Unlabelled(data.train), test, teacher, "classes" if classes else "values")


def recipe(request: Request, task: Task, half: float = 0.0) -> training.Recipe:
    """Of a tuning of `request.fine_tune` epochs, the last `half` of it with float16 values: steps, rate and distortions
    are those of a small network that is trained from the start. At 50 times fewer parameters little is left of what was
    learnt, and at a gentler rate it would take many times the epochs to learn it again."""
    return replace(narrower.recipe(request.seed, task), epochs=request.fine_tune, half=half)


def tuned(
    learner: Learner, module: nn.Module, request: Request, parts: tuple[str, ...], half: float = 0.0
) -> nn.Module:
    """`module`, which is the learner's network made smaller, trained on in place for `request.fine_tune` epochs, all
    layers at once, with the ordinary network as its teacher where that is trained; in evaluation mode. Without
    `request.labels` the teacher's answers are all that it learns from (`lesson`), in as many epochs over the same data.
    A method whose package has float16 values says in which last part of the steps they are computed with (`half`, as in
    a Recipe).

    `parts` say what determines `module` beside the network, the data and the seed. Made once; one that was interrupted
    goes on where it was. Raises UsageError without data.
    """
    if not request.fine_tune:
        return module.eval()
    learnt, how = lesson(learner, request), recipe(request, learner.network.task, half)

    def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
        training.fit(
            module, learnt.train, how, progress,
            teacher=learnt.teacher, matching=learnt.matching, test=learnt.test, checkpoint=checkpoint,
        )  # fmt: skip
        torch.save(module.state_dict(), file)

    title = f"fine-tune {learner.network.name}, {parts[0]}"
    file = learner.learned(request, title, "tuned.pt", ("tuned", *parts, *learnt.key, repr(how)), make)
    module.load_state_dict(torch.load(file, weights_only=True))
    return module.eval()
