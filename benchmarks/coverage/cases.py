"""What a small network of the coverage is, and how many of them are written in one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Shape = tuple[int, ...]
IMAGE: Shape = (6, 9, 10)
SEQUENCE: Shape = (6, 12)
ROWS: Shape = (7, 8)


@dataclass(frozen=True)
class Case:
    """A network, and the shapes of its inputs without a batch axis. `whole` inputs are whole numbers from 0 to 9.

    `static` is False where no fixed graph computes what the network does, so that it has to be refused.
    """

    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[Shape, ...]
    whole: bool = False
    static: bool = True


class Function(nn.Module):
    """A function as a network."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


class First(nn.Module):
    """The first of the results of a layer that has several."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(*inputs)[0]


class Cell(nn.Module):
    """A recurrent cell over all rows; its last state."""

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: Any = None
        for row in x.unbind(1):
            state = self.cell(row, state)
        last: torch.Tensor = state[0] if isinstance(state, tuple) else state
        return last


class Positions(nn.Module):
    """Words and where they are."""

    def __init__(self, words: int, places: int, size: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, size)
        self.places = nn.Embedding(places, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.words(x) + self.places(torch.arange(x.shape[1]))
        return embedded


class Attention(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x, x, x, need_weights=False)[0]


def layers(shape: Shape, **layers: Callable[[], nn.Module]) -> list[Case]:
    return [Case(name, build, (shape,)) for name, build in layers.items()]


def functions(*shapes: Shape, static: bool = True, **functions: Callable[..., Any]) -> list[Case]:
    def build(function: Callable[..., Any]) -> Callable[[], nn.Module]:
        return lambda: Function(function)

    return [Case(name, build(function), shapes, static=static) for name, function in functions.items()]
