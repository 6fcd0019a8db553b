"""A cascade as torch computes it: the reference for what runs on a phone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.export.steps import Gate
from bench.tolerance import TOLERANCE


class Both(nn.Module):
    """The small network's answer, or the ordinary one's where the small one's confidence is below the threshold; and
    1.0 for each sample (N,) for which the ordinary one answered, else 0.0.

    Both compute every sample: a recording holds no choice, and what a phone saves is measured there. Scores are (N, K),
    or have further axes of length 1.
    """

    def __init__(self, small: nn.Module, robust: nn.Module, threshold: float, temperature: float) -> None:
        super().__init__()
        self.small, self.robust, self.temperature = small, robust, temperature
        self.gate = Gate(threshold)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.small(*inputs), self.robust(*inputs)
        scores = first.double().flatten(1)
        sure = torch.softmax(scores / self.temperature, 1).amax(1)
        # Of the confidence p, what scores that are off by as much as a runtime's may be can change: p (1 - p) 2 d / T.
        off = sure * (1 - sure) * 2 * TOLERANCE * scores.abs().amax(1) / self.temperature
        asked = self.gate(sure, off)
        answer = torch.where(asked.view(-1, *[1] * (first.dim() - 1)), second, first)
        return answer, asked.float()
