"""Training on of a network that a method made smaller, the same for every method: equal effort is a rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench.compress import training

if TYPE_CHECKING:
    from bench.compress.checkpoint import Checkpoint
    from bench.compress.learner import Learner
    from bench.compress.method import Request
    from bench.records import Progress, Task

RATE = 0.25
"""Of the rate that an ordinary network learns at: what is trained on begins near where it should end."""


def recipe(request: Request, task: Task, half: float = 0.0) -> training.Recipe:
    """Of a tuning of `request.fine_tune` epochs, the last `half` of it with float16 values."""
    whole = training.recipe(request.seed, task)
    return replace(whole, epochs=request.fine_tune, rate=RATE * whole.rate, half=half)


def tuned(
    learner: Learner, module: nn.Module, request: Request, parts: tuple[str, ...], half: float = 0.0
) -> nn.Module:
    """`module`, which is the learner's network made smaller, trained on in place for `request.fine_tune` epochs, all
    layers at once, with the ordinary network as its teacher where that is trained; in evaluation mode. A method whose
    package has float16 values says in which last part of the steps they are computed with (`half`, as in a Recipe).

    `parts` say what determines `module` beside the network, the data and the seed. Made once; one that was interrupted
    goes on where it was. Raises UsageError without data.
    """
    if not request.fine_tune:
        return module.eval()
    data, how = learner.needed(), recipe(request, learner.network.task, half)
    teacher = learner.ordinary(request) if learner.trained else None

    def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
        training.fit(module, data.train, how, progress, teacher=teacher, test=data.test, checkpoint=checkpoint)
        torch.save(module.state_dict(), file)

    title = f"fine-tune {learner.network.name}, {parts[0]}"
    file = learner.learned(request, title, "tuned.pt", ("tuned", *parts, repr(how)), make)
    module.load_state_dict(torch.load(file, weights_only=True))
    return module.eval()
