"""What a training makes small: how far outputs are from the answers, and from those of a teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UsageError
from bench.export.eager import leaves

Matching = Literal["classes", "values"]
"""What outputs are when they are compared with a teacher's: unnormalised scores of classes along axis 1, or values."""


def objective(labels: Tensor, answers: Any | None, matching: Matching | None) -> Callable[[Any], Tensor]:
    """What is to be small of outputs: their distance from the labels, or from a teacher's answers as well (`taught`),
    or, with `matching`, from these alone."""

    def loss(outputs: Any) -> Tensor:
        if answers is not None and matching:
            return matched(outputs, answers, matching)
        check(outputs, labels)
        plain = loss_of(outputs, labels)
        return plain if answers is None else taught(plain, outputs, labels, answers)

    return loss


def loss_of(outputs: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of outputs (N, C, …); where there is a class for each pixel, labels (N, H, W), more: 1 - mean Dice
    of the classes but 0, whose pixels may be few. Mean squared error of labels that are what the outputs should be."""
    if labels.is_floating_point():
        return F.mse_loss(outputs, labels)
    loss = F.cross_entropy(outputs, labels)
    if labels.dim() == 3:
        ours = outputs.softmax(1)[:, 1:].flatten(2)
        theirs = torch.stack([labels == one for one in range(1, outputs.shape[1])], 1).flatten(2).to(outputs.dtype)
        dice = (2 * (ours * theirs).sum(2) + 1) / (ours.sum(2) + theirs.sum(2) + 1)
        loss = loss + 1 - dice.mean()
    return loss


def check(outputs: object, labels: Tensor) -> None:
    """Raises UsageError unless `labels` are answers to such outputs."""
    if not isinstance(outputs, Tensor):
        raise UsageError(
            f"the network answers with a {type(outputs).__name__}, and training knows one tensor only",
            "Let it return the tensor that is to be learnt, or compress trained weights as they are: --one-shot.",
        )
    if labels.is_floating_point():
        suits = outputs.shape == labels.shape
    else:
        suits = (outputs.shape[0], *outputs.shape[2:]) == labels.shape
        if suits and not 0 <= int(labels.min()) <= int(labels.max()) < outputs.shape[1]:
            raise UsageError(
                f"the data has class {int(labels.max())}, but the network has {outputs.shape[1]} classes",
                "Count classes from 0, and use a network with an output for each.",
            )
    if not suits:
        ours, theirs = ("×".join(map(str, shape[1:])) or "one number" for shape in (outputs.shape, labels.shape))
        raise UsageError(
            f"the network's output of {ours} cannot learn answers of {theirs}",
            "Use data for this network's task.",
        )


def taught(loss: Tensor, outputs: Tensor, labels: Tensor, answers: Any) -> Tensor:
    """A tenth of `loss`, and nine of how far `outputs` (N, C, …) are from a teacher's `answers` to the same images
    (`matched`); those are values where `labels` are what the outputs should be, else classes."""
    kind: Matching = "values" if labels.is_floating_point() else "classes"
    return 0.1 * loss + 0.9 * matched(outputs, answers, kind)


def matched(outputs: Any, answers: Any, kind: Matching) -> Tensor:
    """How far `outputs` are from a teacher's `answers` in the same form; of several tensors the sum. Of classes, scores
    (N, C, …), the divergence of both at temperature 2 (Hinton, Vinyals, Dean, arXiv 1503.02531), over samples and
    places the mean; of values, and of one channel, of which no softmax says anything, the mean squared error."""
    ours, theirs = ([one for _, one in leaves(told) if one.is_floating_point()] for told in (outputs, answers))
    return torch.stack([_apart(one, other, kind) for one, other in zip(ours, theirs, strict=True)]).sum()


def _apart(ours: Tensor, theirs: Tensor, kind: Matching) -> Tensor:
    if kind == "values" or ours.dim() < 2 or ours.shape[1] == 1:
        return F.mse_loss(ours, theirs)
    known = F.log_softmax(theirs / 2, dim=1)
    found = F.log_softmax(ours / 2, dim=1)
    return 4 * (known.exp() * (known - found)).sum(1).mean()
