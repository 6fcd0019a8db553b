"""The traffic-sign CNN with five blocks, 17,215,915 parameters; `signs.py` defines it."""

from __future__ import annotations

from bench.networks.builtin.signs import Signs


def build() -> Signs:
    return Signs(5)
