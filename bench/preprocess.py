"""How a picture becomes a network's input: resized, cropped, its channels ordered, its values normalised."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, model_validator

from bench.errors import UsageError

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Pillow's, by name."""
_MOST_PIXELS = 2**27
_Side = Annotated[PositiveInt, Field(le=65_536)]
_Scale = Annotated[FiniteFloat, Field(gt=0)]


class Preprocess(BaseModel):
    """A value of a pixel, 0..255, becomes (value × scale − mean) ÷ deviation.

    * `resize`: "shorter" makes the shorter side `size` (without one: as small as still covers the network's height and
      width), "exact" makes the picture `size` (height, width; one number is a square; without one: the network's);
    * `crop`: then the middle is cut out in the network's height and width;
    * `channels`: of the input, in that order; without it rgb for three channels, grey (ITU-R 601) for one;
    * `mean`, `deviation`: one number for all channels, or one for each in the order of `channels`.

    Geometry is torchvision's Resize and CenterCrop on PIL images, to the pixel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: Literal["shorter", "exact", "none"] = "shorter"
    size: _Side | tuple[_Side, _Side] | None = None
    filter: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    crop: bool = True
    channels: Literal["rgb", "bgr", "grey"] | None = None
    scale: _Scale = 1 / 255
    mean: tuple[FiniteFloat, ...] = (0.0,)
    deviation: tuple[_Scale, ...] = (1.0,)

    @model_validator(mode="after")
    def _consistent(self) -> Preprocess:
        if self.resize == "none" and self.size is not None:
            raise ValueError('size has no meaning with resize = "none"')
        if self.resize == "shorter" and isinstance(self.size, tuple):
            raise ValueError('size is one number, the shorter side; for height and width use resize = "exact"')
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            if len(values) not in (1, 3):
                raise ValueError(f"{name} has {len(values)} numbers; expected 1, or 3 of three channels")
        if self.channels == "grey" and max(len(self.mean), len(self.deviation)) > 1:
            raise ValueError("grey has one channel, so mean and deviation have one number")
        return self

    @property
    def text(self) -> str:
        """One line for a report."""
        size = "the network's size" if self.size is None else _sides(self.size)
        steps = {
            "shorter": f"shorter side to {size} ({self.filter})",
            "exact": f"resized to {size} ({self.filter})",
            "none": "not resized",
        }
        words = [steps[self.resize], *["centre crop"] * self.crop, *[self.channels or ""] * bool(self.channels)]
        inverse = 1 / self.scale
        scale = f"÷ {inverse:g}" if abs(inverse - round(inverse, 1)) < 1e-9 * inverse else f"× {self.scale:g}"
        words += [scale] * (self.scale != 1) + [f"− {_numbers(self.mean)}"] * any(self.mean)
        words += [f"÷ {_numbers(self.deviation)}"] * (set(self.deviation) != {1.0})
        return ", ".join(words)

    @property
    def of_colours(self) -> Preprocess:
        """The same without geometry, for pictures that have the network's size already."""
        return self.model_copy(update={"resize": "none", "size": None})

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value that an input can have."""
        table = self._table(3 if self.channels != "grey" else 1)
        return float(table.min()), float(table.max())

    def apply(self, picture: Image.Image, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """`picture`, of mode L or RGB, as an input of `shape` (C, H, W). Raises UsageError where it cannot be."""
        pixels = np.asarray(self.fitted(picture, shape))
        return self.colours(pixels if pixels.ndim == 3 else pixels[..., None], shape[0])

    def fitted(self, picture: Image.Image, shape: tuple[int, ...]) -> Image.Image:
        """`picture`, of mode L or RGB, resized and cropped for an input of `shape` (C, H, W): of mode L for a grey
        input, else RGB. Raises UsageError where it cannot be."""
        mode = "L" if self._grey(shape[0]) else "RGB"
        return self._fitted(picture.convert(mode), (shape[1], shape[2]), FILTERS[self.filter])

    def instructions(self, shape: tuple[int, ...]) -> str:
        """For the native runner: how it makes an input of `shape` (C, H, W) of a picture, as
        device_scripts/runner/contract/contract.h has it. Numbers are written so that they are read back exactly."""
        size = "network" if self.size is None else _sides(self.size).replace("×", "x")
        words = {
            "to": "x".join(map(str, shape)),
            "resize": self.resize,
            "size": size,
            "filter": self.filter,
            "crop": "yes" if self.crop else "no",
            "channels": "grey" if self._grey(shape[0]) else self.channels or "rgb",
            "scale": repr(self.scale),
            "mean": ",".join(map(repr, self.mean)),
            "deviation": ",".join(map(repr, self.deviation)),
        }
        return " ".join(f"{name}={value}" for name, value in words.items())

    def apply_mask(self, classes: NDArray[np.integer[Any]], size: tuple[int, int]) -> NDArray[np.int64]:
        """A class for each pixel of a picture (h, w), for each of its input (H, W) = `size`: the nearest one."""
        mask = Image.fromarray(classes.astype(np.int32))
        return np.asarray(self._fitted(mask, size, Image.Resampling.NEAREST)).astype(np.int64)

    def colours(self, pixels: NDArray[np.uint8], channels: int) -> NDArray[np.float32]:
        """Pixels (…, H, W, 1 or 3), grey or RGB, of the right size as values (…, `channels`, H, W)."""
        grey = self._grey(channels)
        if grey != (pixels.shape[-1] == 1):
            raise UsageError(f"pixels of {pixels.shape[-1]} channels do not become an input of {channels}")
        if self.channels == "bgr":
            pixels = pixels[..., ::-1]
        table = self._table(channels)
        return np.stack([table[channel][pixels[..., channel]] for channel in range(channels)], axis=-3)

    def pixels(self, inputs: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The pixels (…, H, W, 1 or 3), grey or RGB, that became these inputs (…, C, H, W): the reverse of `colours`.
        Raises ValueError where a value is none that a pixel becomes."""
        channels = inputs.shape[-3]
        table = self._table(channels)
        found = np.empty(inputs.shape, np.uint8)
        for channel in range(channels):
            values, levels = inputs[..., channel, :, :], table[channel]
            nearest = np.searchsorted(levels, values).clip(0, 255)
            if not np.array_equal(levels[nearest], values) or not (np.diff(levels) > 0).all():
                raise ValueError("its values are not those of pixels")
            found[..., channel, :, :] = nearest
        pixels = np.moveaxis(found, -3, -1)
        return np.ascontiguousarray(pixels[..., ::-1] if self.channels == "bgr" else pixels)

    def _table(self, channels: int) -> NDArray[np.float32]:
        """The value that each of the 256 brightnesses becomes, for each channel."""
        mean, deviation = (np.broadcast_to(values, channels)[:, None] for values in (self.mean, self.deviation))
        table: NDArray[np.float32] = ((np.arange(256) * self.scale - mean) / deviation).astype(np.float32)
        return table

    def _grey(self, channels: int) -> bool:
        wanted = 1 if self.channels == "grey" or (self.channels is None and channels == 1) else 3
        if channels != wanted or (wanted == 1 and max(len(self.mean), len(self.deviation)) > 1):
            raise UsageError(
                f"preprocessing gives pictures of {wanted} channel{'s' * (wanted > 1)} ({self.channels or 'rgb'}), and "
                f"the network takes {channels}",
                'Set channels to "grey" for one channel, "rgb" or "bgr" for three, and as many means and deviations.',
            )
        return wanted == 1

    def _fitted(self, picture: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
        """Resized and cropped to `size` (H, W)."""
        height, width = self._resized((picture.height, picture.width), size)
        if height * width > _MOST_PIXELS:
            raise UsageError(
                f"a picture of {picture.height}×{picture.width} pixels would be {height}×{width} after resizing",
                'It is too narrow; take it out of the data, or use resize = "exact" without crop.',
            )
        if (width, height) != picture.size:
            picture = picture.resize((width, height), how)
        if (height, width) == size:
            return picture
        if not self.crop or height < size[0] or width < size[1]:
            raise UsageError(
                f"a picture is {height}×{width} pixels after resizing ({self.text}), and the network takes "
                f"{size[0]}×{size[1]}",
                "Leave size out, so that it follows from the network, or set crop and a size no smaller than that.",
            )
        top, left = (round((have - want) / 2.0) for have, want in ((height, size[0]), (width, size[1])))
        return picture.crop((left, top, left + size[1], top + size[0]))

    def _resized(self, picture: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Height and width after resizing."""
        match self.resize, self.size:
            case "none", _:
                return picture
            case "exact", None:
                return size
            case "exact", int(side):
                return side, side
            case "exact", tuple(sides):
                return sides
            case _, int(side):
                longer = int(side * max(picture) / min(picture))
                return (side, longer) if picture[0] <= picture[1] else (longer, side)
        # The side that is relatively shorter becomes the network's; the other is cut.
        if picture[0] * size[1] <= picture[1] * size[0]:
            return size[0], max(size[1], int(size[0] * picture[1] / picture[0]))
        return max(size[0], int(size[1] * picture[0] / picture[1])), size[1]


DEFAULT = Preprocess()
"""Resized to cover the input, cropped, 0..1."""


def _sides(size: int | tuple[int, int]) -> str:
    return str(size) if isinstance(size, int) else f"{size[0]}×{size[1]}"


def _numbers(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"({', '.join(f'{value:g}' for value in values)})"
