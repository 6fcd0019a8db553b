"""A training's state on disk, so that a killed process loses seconds: written whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch

from bench import files
from bench.errors import CorruptData

_SHARE = 0.03
"""Of the time, the most that may go into writing checkpoints."""


class Checkpoint:
    """The file `path`, written while training, now and then.

    The caller names it after everything that determines the training, so that what is found there is always its own.
    """

    def __init__(self, path: Path, pause_s: float = 1.0) -> None:
        """`pause_s` is the least time between two."""
        self.path = path
        self.epochs = self.pictures = 0
        self._begun, self._earlier = time.monotonic(), 0.0
        self._pause_s = pause_s
        self._due = time.monotonic() + pause_s

    @property
    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() >= self._due

    @property
    def seconds(self) -> float:
        """How long the training has taken, with what came before it was interrupted."""
        return self._earlier + time.monotonic() - self._begun

    def learns(self, epochs: int, pictures: int) -> None:
        """A training of so many epochs over so many samples is under this checkpoint, after any before it."""
        self.epochs += epochs
        self.pictures = max(self.pictures, pictures)

    def save(self, state: dict[str, Any]) -> None:
        """Write `state`: tensors, numbers, text, and lists and dicts of these."""
        begun = time.monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(self.path) as draft, draft.open("wb") as file:
            torch.save(state | {"seconds": self.seconds}, file)
            file.flush()
            os.fsync(file.fileno())
        now = time.monotonic()
        self._due = now + max(self._pause_s, (now - begun) / _SHARE)

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None. Raises CorruptData for a file that is not a checkpoint."""
        if not self.path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            if state["step"] < 0:
                raise ValueError(state["step"])
            self._earlier = float(state.pop("seconds", 0))
        except Exception:  # of any kind: torch's reader walks over whatever the bytes say
            raise CorruptData(
                f"{self.path} is not a whole checkpoint", "Delete it; training then starts over."
            ) from None
        return state

    def remove(self) -> None:
        """The training is done and its result is kept."""
        self.path.unlink(missing_ok=True)
