"""Real photographs for networks that have no data of their own: the two that scikit-learn carries. No download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SOURCE = "4 crops of scikit-learn's sample photographs (china.jpg, flower.jpg); no labels"

_CROPS = ((1.0, 0.5, 0.5), (0.6, 0.2, 0.8))
"""Of each photograph: size as a part of the largest crop of that shape, and how far down and across it lies."""


def load(height: int, width: int) -> NDArray[np.float32]:
    """Four different crops (4, 3, height, width), colours in 0..1. Takes two seconds, mostly scikit-learn's import."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    samples = []
    for pixels in load_sample_images().images:
        photo = Image.fromarray(pixels)
        scale = min(photo.height / height, photo.width / width)
        for part, down, across in _CROPS:
            crop_height, crop_width = part * scale * height, part * scale * width
            top, left = down * (photo.height - crop_height), across * (photo.width - crop_width)
            region = (left, top, left + crop_width, top + crop_height)
            resized = photo.resize((width, height), Image.Resampling.BICUBIC, box=region)
            samples.append(np.asarray(resized, np.float32) / 255)
    return np.ascontiguousarray(np.stack(samples).transpose(0, 3, 1, 2))
