"""What to ask a link for, so that the package of the whole chain has the bytes that were asked for."""

from __future__ import annotations

from collections.abc import Callable

_CLOSE = 0.99
"""Of the bytes that are allowed, or of the least amount that is too much: near enough."""
_TRIES = 16


def asked(total: Callable[[int], int | None], most: int) -> int | None:
    """The largest amount found whose `total`, which grows with it, is at most `most`; None where there is none.

    `total` is None for an amount that is refused: too much or too little, whichever side of all others it is on.
    Bisection, begun where `total` would be if it were in proportion.
    """
    best: int | None = None
    low, high, amount = 0, None, most
    for _ in range(_TRIES):
        found = total(amount)
        if found is None:
            if best is None and high is None:
                low, amount = amount, 2 * amount
                continue
            if best is None:
                low = amount
            else:
                high = amount
        elif found <= most:
            best = low = amount
            if found >= _CLOSE * most:
                break
        else:
            high = amount
        if high is not None and low >= _CLOSE * high:
            break
        guess = amount * most // found if found else 0
        if not (low < guess and (high is None or guess < high)):
            guess = 2 * amount if high is None else (low + high) // 2
        amount = guess
    return best
