"""Photographs at half their size, enlarged again, and as they were: what a super-resolution network learns and shows.

Three photographs that are always there are measured on; those of scikit-image are learnt from
(`benchmarks/photographs.py`), so no picture is in both. Pixels are the photographs' own. Nothing is downloaded.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data import photos

Bytes = NDArray[np.uint8]

FACTOR = 2
MEASURED = ("scikit-learn", "matplotlib")
"""The packages whose photographs are measured on: china, flower and Grace Hopper."""
SHOWN = 12
"""Crops given to a phone."""
SEED = 1511_04587


class Pairs(NamedTuple):
    """`enlarged` and `original` (N, H, W, 3), which a network is given and should answer, and what they are of."""

    enlarged: Bytes
    original: Bytes
    source: str


def load(height: int, width: int, count: int | None = None) -> Pairs:
    """`count` crops of that size from the photographs to measure on, in turn; as many as there are if it is more.

    Crops of one photograph have no pixel in common. One that is larger than a photograph goes on as in a mirror.
    """
    of_each = []
    for path in (found := photos.paths(MEASURED)):
        photo = _at_least(_pixels(photos.opened(path)), height, width)
        original, small = whole(photo)
        corners = _corners(photo.shape[0], photo.shape[1], height, width)
        of_each.append(
            [(small[y : y + height, x : x + width], original[y : y + height, x : x + width]) for y, x in corners]
        )
    turns = (crops[place] for place in range(max(map(len, of_each))) for crops in of_each if place < len(crops))
    chosen = [pair for pair, _ in zip(turns, range(count or SHOWN), strict=False)]
    enlarged, original = (np.stack(parts) for parts in zip(*chosen, strict=True))
    names = ", ".join(path.stem for path in found)
    source = (
        f"{len(chosen)} crops of {len(found)} photographs ({names}) at half their size, enlarged by bicubic "
        f"interpolation, which alone has a PSNR of {psnr(enlarged, original):.2f} dB"
    )
    return Pairs(enlarged, original, source)


def whole(photo: Bytes) -> tuple[Bytes, Bytes]:
    """A photograph (H, W, 3), its last row and column left out where there is an odd number, and what is left of it at
    half its size and enlarged again."""
    height, width = (side // FACTOR * FACTOR for side in photo.shape[:2])
    original = photo[:height, :width]
    picture = Image.fromarray(original)
    small = picture.resize((width // FACTOR, height // FACTOR), Image.Resampling.BICUBIC)
    return original, np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def psnr(found: Bytes, wanted: Bytes) -> float:
    """Of pictures (N, H, W, 3) in 0..255: the mean over pictures, in dB."""
    squared = ((found.astype(np.float64) - wanted) ** 2).reshape(len(found), -1).mean(axis=1)
    return float(np.mean(10 * np.log10(255**2 / np.maximum(squared, 255**2 * 1e-10))))


def _pixels(photo: Image.Image) -> Bytes:
    return np.asarray(photo)


def _at_least(photo: Bytes, height: int, width: int) -> Bytes:
    more = [
        (0, max(0, FACTOR * math.ceil(side / FACTOR) - have))
        for side, have in zip((height, width), photo.shape, strict=False)
    ]
    return np.pad(photo, (*more, (0, 0)), "symmetric")


def _corners(height: int, width: int, tall: int, wide: int) -> list[tuple[int, int]]:
    """Where the crops of a photograph begin, in a seeded order."""
    places = [(y, x) for y in range(0, height - tall + 1, tall) for x in range(0, width - wide + 1, wide)]
    return [places[k] for k in np.random.default_rng(SEED).permutation(len(places))]
