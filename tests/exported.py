"""Small networks whose weights are a formula, so that a file written of one stays right: what they answer is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from bench.records import Tensor


class Words(nn.Module):
    """Whole numbers and a vector in, a dict of two tensors out."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, words: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        seen = self.table(words).mean(1) * scale
        return {"scores": self.last(seen), "seen": seen}


class Pictures(nn.Module):
    """Ordinary, grouped and transposed convolutions, and a connection across."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.ReLU6())
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        wide = self.first(picture)
        scores: torch.Tensor = self.last(torch.cat([wide, self.up(self.deep(wide))], 1))
        return scores


class Ranks(nn.Module):
    """Sorts."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.sort(values)[0]


@dataclass(frozen=True)
class Example:
    """A network, what a job says of its inputs, and samples of each (N, *shape)."""

    network: nn.Module
    inputs: tuple[Tensor, ...]
    samples: tuple[np.ndarray, ...]

    def answers(self) -> list[np.ndarray]:
        """What the eager network answers: for each output an array (N, values)."""
        given = [torch.from_numpy(one) for one in self.samples]
        with torch.no_grad():
            found = self.network(*(one if one.is_floating_point() else one.long() for one in given))
        tensors = found.values() if isinstance(found, dict) else [found]
        return [tensor.reshape(len(tensor), -1).numpy() for tensor in tensors]


def example(name: str) -> Example:
    """One of words, pictures and ranks."""
    vector = np.sin(np.arange(12, dtype=np.float32)).reshape(2, 6)
    match name:
        case "words":
            words = np.array([[1, 2, 3, 4, 7], [0, 0, 5, 6, 1]], np.int32)
            inputs = (Tensor(name="in0", shape=(5,), dtype="int32"), Tensor(name="in1", shape=(6,)))
            return Example(_filled(Words()), inputs, (words, vector))
        case "pictures":
            pictures = np.cos(np.arange(3 * 3 * 12 * 16, dtype=np.float32)).reshape(3, 3, 12, 16)
            return Example(_filled(Pictures()), (Tensor(name="in0", shape=(3, 12, 16)),), (pictures,))
        case _:
            return Example(Ranks().eval(), (Tensor(name="in0", shape=(6,)),), (vector,))


def _filled(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for number, values in enumerate(network.parameters()):
            steps = torch.arange(values.numel(), dtype=torch.float64) + number
            values.copy_((0.3 * torch.sin(0.7 * steps)).reshape(values.shape))
    return network.eval()
