"""The machine of a package as an eager network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bench.compress.elm import random
from bench.compress.elm.package import Package


class Elm(nn.Module):
    """(N, …) values to (N, classes): tanh(W (x - mean) / deviation + b) and the output weights."""

    def __init__(self, package: Package) -> None:
        super().__init__()
        self.mean, self.deviation = package.mean, package.deviation
        weights, biases = random.hidden(package.seed, package.inputs, package.neurons, np.float32(package.gain))
        self.hidden = nn.Linear(package.inputs, package.neurons)
        self.output = nn.Linear(package.neurons, package.classes, bias=False)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.from_numpy(weights))
            self.hidden.bias.copy_(torch.from_numpy(biases))
            self.output.weight.copy_(torch.from_numpy(package.output_weights()))

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.output(torch.tanh(self.hidden((x.flatten(1) - self.mean) / self.deviation)))
        return answers
