"""Real photographs for networks that have no data of their own: the two that scikit-learn carries. No download."""

from __future__ import annotations

from PIL import Image

_CROPS = ((1.0, 0.5, 0.5), (0.6, 0.2, 0.8))
"""Of each photograph: size as a part of the largest crop of that shape, and how far down and across it lies."""


def source(count: int) -> str:
    return f"{count} crops of scikit-learn's sample photographs (china.jpg, flower.jpg); no labels"


def load(height: int, width: int) -> list[Image.Image]:
    """Four different crops of that size, RGB. Takes two seconds, mostly scikit-learn's import."""
    from sklearn.datasets import load_sample_images

    samples = []
    for pixels in load_sample_images().images:
        photo = Image.fromarray(pixels)
        scale = min(photo.height / height, photo.width / width)
        for part, down, across in _CROPS:
            crop_height, crop_width = part * scale * height, part * scale * width
            top, left = down * (photo.height - crop_height), across * (photo.width - crop_width)
            region = (left, top, left + crop_width, top + crop_height)
            samples.append(photo.resize((width, height), Image.Resampling.BICUBIC, box=region))
    return samples
