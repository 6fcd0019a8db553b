"""How much each channel of a group matters: torch-pruning's importances, and the triplet response residual.

* `l1`: the sum of a channel's absolute weights in all layers that it belongs to, the mean over these layers.
* `taylor`: |weight · gradient of the loss|, summed likewise: Molchanov et al., CVPR 2019, by first order.
* `trr`: of a filter F, Σ ‖F(anchor) − F(negative)‖² − ‖F(anchor) − F(positive)‖² over triplets of pictures, the
  positive of the anchor's class and the negative of another: NestDNN, Fang et al., MobiCom 2018, arXiv 1810.10090.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.compress import objective, training
from bench.compress.narrower.scaling import Coupled
from bench.errors import UsageError
from bench.guest import guest

PICTURES = 512
"""That `taylor` looks at; and triplets of `trr`."""
_AT_ONCE = 2**19
"""Pixels of inputs that are computed together: every layer's gradients or responses are held for them."""

Rank = Callable[[Coupled], Tensor]
"""Of each channel of a group how much it matters, (channels,): those with the least go first."""


def l1() -> Rank:
    from torch_pruning.pruner.importance import GroupMagnitudeImportance

    return _scored(GroupMagnitudeImportance(p=1))


@dataclass(frozen=True, eq=False)
class Sampled:
    """Inputs (N, …) and their answers, some of a data set."""

    inputs: Tensor
    answers: Tensor

    @classmethod
    def of(cls, samples: training.Samples, count: int, seed: int) -> Sampled:
        """So many, or all, drawn by the seed."""
        chosen = np.sort(np.random.default_rng(seed).permutation(len(samples))[:count])
        inputs, answers = samples.read(chosen)
        return cls(torch.from_numpy(inputs), torch.from_numpy(answers))

    def __len__(self) -> int:
        return len(self.inputs)

    def parts(self) -> Sequence[Sampled]:
        each = _each(self.inputs)
        return [
            Sampled(*both) for both in zip(torch.split(self.inputs, each), torch.split(self.answers, each), strict=True)
        ]


def taylor(network: nn.Module, seen: Sampled) -> Rank:
    """By the gradient of the mean loss over what is `seen`, at the weights that `network` has, in evaluation. Leaves
    gradients in it, which the ranking takes. Raises UsageError for answers that do not suit its outputs."""
    from torch_pruning.pruner.importance import GroupTaylorImportance

    network.eval()
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)  # what has no part in the loss matters nothing
    for part in seen.parts():
        with torch.enable_grad():
            with guest():
                outputs = network(part.inputs)
            objective.check(outputs, part.answers)
            loss = objective.loss_of(outputs, part.answers) * (len(part) / len(seen))
            loss.backward()  # type: ignore[no-untyped-call]
    return _scored(GroupTaylorImportance())


def triplets(classes: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Places (count, 3) of an anchor, another sample of its class and one of another class. Raises UsageError where
    there are none: two classes, and two samples of one of them, are needed."""
    random = np.random.default_rng(seed)
    of_class = {int(label): np.flatnonzero(classes == label) for label in np.unique(classes)}
    anchors = np.flatnonzero(np.isin(classes, [label for label, places in of_class.items() if len(places) > 1]))
    if len(of_class) < 2 or not len(anchors):
        raise UsageError(
            "the ranking trr compares pictures of one class with those of another, and the data has "
            + ("one class only" if len(of_class) < 2 else "one picture of each class"),
            "Name data with several pictures of several classes, or rank by l1.",
        )
    found = []
    for anchor in random.choice(anchors, count):
        own = of_class[int(classes[anchor])]
        positive = random.choice(own[own != anchor])
        found.append((anchor, positive, random.choice(np.flatnonzero(classes != classes[anchor]))))
    return np.array(found, np.int64)


@torch.no_grad()
def trr(network: nn.Module, seen: Sampled, of: NDArray[np.int64]) -> Rank:
    """By the responses to triplets `of` places in what is `seen`: of a channel that several layers make together, as
    those of a residual sum, the mean over these layers. `network` computes in evaluation."""
    from torch_pruning.pruner.importance import Importance

    residuals: dict[nn.Module, Tensor] = {}

    def respond(module: nn.Module, _: object, response: Tensor) -> None:
        # Outputs of a linear layer have their channels last, those of a convolution behind the batch.
        apart = response if isinstance(module, nn.Linear) else response.movedim(1, -1)
        anchor, positive, negative = apart.flatten(1, -2).chunk(3) if apart.dim() > 2 else apart[:, None].chunk(3)
        gained = ((anchor - negative).square() - (anchor - positive).square()).sum((0, 1))
        residuals[module] = residuals.get(module, 0) + gained

    layers = (nn.Linear, *_CONVOLUTIONS)
    hooks = [module.register_forward_hook(respond) for module in network.modules() if isinstance(module, layers)]
    network.eval()
    try:
        for some in np.array_split(of, math.ceil(len(of) / max(1, _each(seen.inputs) // 3))):
            with guest():
                network(seen.inputs[torch.from_numpy(some.T.reshape(-1).copy())])
    finally:
        for hook in hooks:
            hook.remove()

    class Residual(Importance):  # type: ignore[misc]
        def __call__(self, group: Any) -> Tensor:
            scores, count = torch.zeros(len(group[0].idxs)), 0
            for item in group.items:
                made = residuals.get(item.dep.target.module)
                if made is None or not item.dep.handler.__name__.endswith("out_channels"):
                    continue
                scores.scatter_add_(0, torch.tensor(item.root_idxs), made[list(item.idxs)])
                count += 1
            return scores / max(count, 1)

    return _scored(Residual())


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def _scored(importance: Callable[[Any], Tensor | None]) -> Rank:
    def rank(coupled: Coupled) -> Tensor:
        scores = importance(coupled.group)
        return torch.zeros(coupled.channels) if scores is None else scores.nan_to_num()

    return rank


def _each(inputs: Tensor) -> int:
    """How many samples are computed at once."""
    return max(1, _AT_ONCE // max(1, math.prod(inputs.shape[2:])))
