"""The network of the small files in tests/golden/loaded/, which `python -m tests.loaded_network RUNTIME` writes anew
with that runtime's own exporter. Its weights follow from a formula, so that its answers do, too."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench import runtimes
from bench.export import eager
from bench.records import Tensor
from bench.runtimes.runtime import Shown

FOLDER = Path(__file__).parent / "golden" / "loaded"
INPUTS = (Tensor(name="in0", shape=(3, 12, 16)), Tensor(name="in1", shape=(5,), dtype="int32"))
SAMPLES = (
    np.random.default_rng(5).normal(size=(3, 3, 12, 16)).astype(np.float32),
    np.array([[1, 2, 3, 4, 7], [0, 0, 6, 5, 1], [7, 7, 7, 7, 2]], np.int32),
)
OUTPUTS = ("out0", "out1", "out2")


class Described(nn.Module):
    """A picture and five words in; scores, a picture, and the scores again out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.each = nn.Conv2d(8, 8, 3, groups=8)
        self.words = nn.Embedding(8, 8)
        self.last = nn.Linear(8, 5)
        for number, (name, values) in enumerate(self.state_dict().items()):
            if values.is_floating_point():
                waves = torch.sin(torch.arange(values.numel(), dtype=torch.float64) * 0.7 + number)
                made = 1 + 0.25 * waves if name.endswith(("_var", "norm.weight")) else 0.5 * waves
                values.copy_(made.reshape(values.shape).half())

    def forward(self, picture: torch.Tensor, words: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen = self.each(torch.relu(self.norm(self.first(picture)))).clamp(0, 6)
        scores = self.last(seen.mean((2, 3)) + self.words(words).mean(1))
        return scores, seen, scores


def network() -> nn.Module:
    with torch.no_grad():
        return Described().eval()


def answers() -> np.ndarray:
    """What the network answers to SAMPLES, one sample after the other, as a job's answers are stored."""
    rows = []
    with torch.no_grad():
        for number in range(len(SAMPLES[0])):
            found = network()(*(torch.from_numpy(one[number : number + 1]).long() if one.dtype == np.int32
                                else torch.from_numpy(one[number : number + 1]) for one in SAMPLES))  # fmt: skip
            rows += [tensor.numpy().ravel() for tensor in found]
    return np.concatenate(rows)


def main() -> None:
    runtime = runtimes.runtime(sys.argv[1])
    made = network()
    shown = Shown(SAMPLES, eager.answers(made, SAMPLES))
    for half in (False, True):
        folder = FOLDER / (runtime.name + ("-half" if half else ""))
        folder.mkdir(parents=True, exist_ok=True)
        print([file.path for file in runtime.export(made, INPUTS, shown, folder, half=half)])


if __name__ == "__main__":
    main()
