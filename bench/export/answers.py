"""What a network answers to its samples. Importing this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.records import Tensor


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network answers to N samples: each output's description, its place in what `forward` returns (empty for
    a network that returns one tensor), and its values as float32, (N, *shape)."""

    outputs: tuple[Tensor, ...]
    places: tuple[str, ...]
    values: tuple[NDArray[np.float32], ...]

    def title(self, number: int) -> str:
        """Output `number` in words: `out1 (['scores'])`."""
        place = self.places[number]
        return f"{self.outputs[number].name} ({place})" if place else self.outputs[number].name
