"""What a codec leaves of a picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from bench.data.corruptions.draw import Draw, Pixels

QUALITY = (60, 40, 25, 15, 8)
"""libjpeg's; ImageNet-C's are 25 to 7 for larger pictures, CIFAR-10-C's 80 to 40."""


def jpeg(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """Coded as a JPEG file with colours at half the resolution, and decoded again."""
    grey = pixels.shape[2] == 1
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if grey else pixels).save(
        out, format="JPEG", quality=QUALITY[severity - 1], subsampling=2
    )
    with Image.open(out, formats=["JPEG"]) as coded:
        found = np.asarray(coded)
    return np.array(found[..., None] if grey else found, np.uint8)
