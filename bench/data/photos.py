"""Real photographs for networks that have no data of their own, from packages that are installed. No download.

scikit-learn and matplotlib are always there; scikit-image, which brings most, with bench's extra `efficientnet`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from PIL import Image


class Package(NamedTuple):
    """A distribution that brings photographs, and where they are in its module."""

    name: str
    module: str
    folder: str
    files: tuple[str, ...]


PACKAGES = (
    Package("scikit-learn", "sklearn", "datasets/images", ("china.jpg", "flower.jpg")),
    Package("matplotlib", "matplotlib", "mpl-data/sample_data", ("grace_hopper.jpg",)),
    Package(
        "scikit-image", "skimage", "data",
        (
            "astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png", "retina.jpg",
            "rocket.jpg",
        ),
    ),
)  # fmt: skip
_CROPS = ((1.0, 0.5, 0.5), (0.5, 0.0, 1.0), (0.5, 1.0, 0.0))
"""Of each photograph: size as a part of the largest crop of that shape, and how far down and across it lies."""
SHOWN = 20
"""So many crops, where there are as many, unless more are asked for."""


class Photographs(NamedTuple):
    """Crops, RGB, all of one size, and what they are of."""

    crops: list[Image.Image]
    source: str


def load(height: int, width: int, count: int | None = None) -> Photographs:
    """`count` different crops of that size, or as many as there are: of every photograph the middle, then two corners
    that have nothing in common."""
    found = dict(_installed())
    wanted = count or SHOWN
    shown = [(path, place) for place in _CROPS for path in found][:wanted]
    used = dict.fromkeys(path for path, _ in shown)
    names, packages = ", ".join(path.stem for path in used), ", ".join(dict.fromkeys(found[path] for path in used))
    source = f"{len(shown)} crops of {len(used)} photographs ({names}) that come with {packages}; no labels"
    absent = [package.name for package in PACKAGES if package.name not in found.values()]
    if len(shown) < wanted and absent:
        source += f"; {', '.join(absent)} has more (pip install 'fr-bench[efficientnet]')"
    return Photographs([_crop(path, height, width, *place) for path, place in shown], source)


def paths(names: Container[str]) -> list[Path]:
    """Every photograph of the packages of those names that are installed."""
    return [path for path, name in _installed() if name in names]


def opened(path: Path) -> Image.Image:
    """The photograph in RGB."""
    with Image.open(path) as file:
        return file.convert("RGB")


def brought(module: str, folder: str, files: Iterable[str]) -> list[Path]:
    """Files in a folder of an installed module; none where it is not installed."""
    spec = find_spec(module)  # importing them takes seconds
    return [Path(spec.origin).parent / folder / file for file in files] if spec and spec.origin else []


def _installed() -> Iterator[tuple[Path, str]]:
    """The photographs that are here, and the package of each."""
    for package in PACKAGES:
        yield from ((path, package.name) for path in brought(package.module, package.folder, package.files))


def _crop(path: Path, height: int, width: int, part: float, down: float, across: float) -> Image.Image:
    photo = opened(path)
    scale = part * min(photo.height / height, photo.width / width)
    left, top = across * (photo.width - scale * width), down * (photo.height - scale * height)
    region = (left, top, left + scale * width, top + scale * height)
    return photo.resize((width, height), Image.Resampling.BICUBIC, box=region)
