"""What happens to pictures in the field, as functions of a severity: an open set.

In the spirit of D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (ICLR 2019, ImageNet-C): five severities, on the pixels at the network's own size, before they are
normalised. The strengths are those of its small variants (CIFAR-10-C, Tiny ImageNet-C) where there are some, and what
is a length grows with the picture's shorter side. Everything is computed in whole numbers, so that every processor
makes the same bytes; JPEG is what the installed Pillow codes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.corrupted import SEVERITIES
from bench.data.corruptions import blur, coding, light, noise, place
from bench.data.corruptions.draw import Draw, Mask, Pixels
from bench.errors import UnknownName, UsageError

SMALLEST = 16
"""Pixels of a side: on less, the five severities of a length are not five."""


@dataclass(frozen=True)
class Corruption:
    """One kind; `text` is what it is called. `apply` makes of a picture (H, W, 1 or 3), uint8, and a severity 1..5
    another of that shape, with what it draws from a seed; it draws the same for every severity. `move` does to a mask
    (H, W) what `apply` does to the places of the pixels, None where they stay."""

    text: str
    apply: Callable[[Pixels, int, Draw], Pixels]
    move: Callable[[Mask, int, Draw], Mask] | None = None


CORRUPTIONS: dict[str, Corruption] = {
    "noise": Corruption("Gaussian noise", noise.gaussian),
    "blur": Corruption("blur", blur.binomial),
    "brightness": Corruption("brightness", light.brighter),
    "dark": Corruption("darkness", light.darker),
    "contrast": Corruption("low contrast", light.flatter),
    "fog": Corruption("fog", light.fog),
    "jpeg": Corruption("JPEG", coding.jpeg),
    "shift": Corruption("shift", place.shifted, place.shifted_mask),
    "rotation": Corruption("rotation", place.turned, place.turned_mask),
}
"""By the name that a plan has."""


def corruption(name: str) -> Corruption:
    """The corruption of that name. Raises UnknownName."""
    if name not in CORRUPTIONS:
        raise UnknownName.of("corruption", name, CORRUPTIONS)
    return CORRUPTIONS[name]


def corrupt(name: str, pixels: NDArray[np.uint8], severity: int, seed: int) -> NDArray[np.uint8]:
    """A picture (H, W, 1 or 3) corrupted; severity 0 leaves it as it is. What is drawn follows from the seed, the
    corruption and the picture itself. Raises UnknownName, and UsageError for a picture that is too small."""
    found = corruption(name)
    _expect_possible(pixels, severity)
    made = found.apply(pixels, severity, _draw(name, pixels, seed)) if severity else pixels.copy()
    assert (made.shape, made.dtype) == (pixels.shape, pixels.dtype), name
    return made


def move(name: str, mask: Mask, pixels: NDArray[np.uint8], severity: int, seed: int) -> Mask:
    """The classes (H, W) of a picture's pixels behind its corruption. It raises as `corrupt` does."""
    found = corruption(name)
    _expect_possible(pixels, severity)
    if found.move is None or not severity:
        return mask.copy()
    return found.move(mask, severity, _draw(name, pixels, seed))


def _expect_possible(pixels: NDArray[np.uint8], severity: int) -> None:
    if min(pixels.shape[:2]) < SMALLEST:
        raise UsageError(
            f"a picture of {pixels.shape[0]}×{pixels.shape[1]} pixels is too small to be corrupted in {SEVERITIES} "
            "severities",
            f"Its sides must have {SMALLEST} pixels at least; leave drift out for this network.",
        )
    if not 0 <= severity <= SEVERITIES:
        raise UsageError(f"there is no severity {severity}", f"Choose 1 to {SEVERITIES}.")


def _draw(name: str, pixels: NDArray[np.uint8], seed: int) -> Draw:
    about = f"{seed} {name} {pixels.shape}".encode()
    return Draw(hashlib.sha256(about + np.ascontiguousarray(pixels).tobytes()).digest())
