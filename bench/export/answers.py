"""What a network answers to its samples. Importing this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.records import Tensor


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network answers to N samples: each output's description, its place in what `forward` returns (empty for
    a network that returns one tensor), and its values as float32, (N, *shape). `doubts` are, for each output, how much
    further than others a sample's values may be from these, (N,); empty where nothing rounds to steps."""

    outputs: tuple[Tensor, ...]
    places: tuple[str, ...]
    values: tuple[NDArray[np.float32], ...]
    doubts: tuple[NDArray[np.float32], ...] = ()

    def doubt(self, number: int) -> NDArray[np.float32] | None:
        return self.doubts[number] if self.doubts else None

    def title(self, number: int) -> str:
        """Output `number` in words: `out1 (['scores'])`."""
        place = self.places[number]
        return f"{self.outputs[number].name} ({place})" if place else self.outputs[number].name
