"""How small the smallest capacity is to be, and how many there are. Does not import torch."""

from __future__ import annotations

from typing import NamedTuple

from bench.compress.narrower.method import parsed
from bench.compress.target import Kind, Target
from bench.errors import UsageError

COUNT = 5
"""Capacities where none are said."""
FEWEST, MOST = 2, 16
_WHOLE: dict[Kind, float] = {"ratio": 2, "mac ratio": 1}
"""What the whole network is: with its parameters in float16 half as large."""
FORMS = (
    "Say how small the smallest capacity is to be, and behind a colon how many there are up to the whole network "
    "(5 where it is left out): 16x:5. The size may be a number of parameters, bytes, or multiply-adds, too: 20kB:4."
)


class Nesting(NamedTuple):
    """`smallest` is the target of the smallest capacity; the largest of the `capacities` is the whole network."""

    smallest: Target
    capacities: int


def nesting(text: str) -> Nesting:
    """From `16x`, `16x:4`, `20kB:3`, `4xMAC:5`. Raises UsageError."""
    size, colon, count = text.partition(":")
    if colon and not (count.isascii() and count.isdecimal() and len(count) < 4):
        raise UsageError(f"{text[:60]!r} is not a target of nested capacities", FORMS)
    many = int(count) if colon else COUNT
    if not FEWEST <= many <= MOST:
        raise UsageError(f"{many} capacities, where from {FEWEST} to {MOST} can be", FORMS)
    smallest = parsed(size)
    if (whole := _WHOLE.get(smallest.kind)) and smallest.amount <= whole:
        raise UsageError(
            f"{size.strip()[:60]} is the whole network, and the smallest of {many} capacities has to be smaller",
            f"Ask for more than {whole:g}{'xMAC' if smallest.kind == 'mac ratio' else 'x'}. {FORMS}",
        )
    return Nesting(smallest, many)
