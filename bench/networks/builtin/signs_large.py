"""The traffic-sign CNN with five blocks, 17,215,915 parameters; `signs.py` defines it."""

from __future__ import annotations

from bench.networks.builtin.signs import Signs


def build(size: int = 256, blocks: int = 5, dropout: float = 0.25) -> Signs:
    return Signs(blocks, size, dropout)
