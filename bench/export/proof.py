"""The proofs that exported files compute what the network does: it is asked for every sample, and so are they."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import tolerance
from bench.errors import ExportRefused
from bench.export.answers import Answers
from bench.records import Verified

Array = NDArray[Any]
Floats = NDArray[np.float32]


def compare(
    expected: Answers, found: Sequence[Floats], runtime: str, share: float = tolerance.TOLERANCE
) -> tuple[Verified, ...]:
    """Compare what `runtime` computed with what the network answers, output by output.

    Raises ExportRefused, with the place of the largest excess, where a value is further away than it may be.
    """
    if len(found) != len(expected.values):
        raise ExportRefused(f"{runtime} gave {len(found)} outputs where the network gives {len(expected.values)}")
    verified = []
    for number, (wanted, got) in enumerate(zip(expected.values, found, strict=True)):
        title, output = expected.title(number), expected.outputs[number]
        if got.size != wanted.size:
            raise ExportRefused(f"{runtime} gave {got.size} values for {title} where the network gives {wanted.size}")
        shaped = got.reshape(wanted.shape)
        worst = tolerance.worst(shaped, wanted, share, expected.doubt(number))
        if worst.headroom > 1:
            sample, *place = worst.place
            delta = abs(worst.found - worst.wanted)
            raise ExportRefused(
                f"{title} of the exported network differs from the network's by {delta:.3g} at {tuple(place)} of "
                f"sample {sample}, where {worst.allowed:.3g} is allowed "
                f"({worst.found:.6g} instead of {worst.wanted:.6g})",
                f"{runtime} does not compute what the network does; the files are not used.",
            )
        verified.append(
            Verified(
                output=output.name,
                max_abs_delta=float(np.abs(shaped - wanted).max()),
                max_abs_reference=float(np.abs(wanted).max()),
                headroom=worst.headroom,
            )
        )
    return tuple(verified)
