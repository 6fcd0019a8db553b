"""A segmentation set that is drawn, not collected: one vehicle on a cluttered scene, and its mask.

The task is that of Carvana's photographs: one car in a picture of 3:2, seen from any side at about eye level, in a
studio or in a street. Every sample follows from (seed, index) alone, whatever is drawn beside it; one scene drawn at
two sizes is the same scene. Nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from bench.data.collection import Batch
from bench.data.vehicle_body import HULL, MIDDLE, Camera, Colour, Face, Points, car
from bench.preprocess import DEFAULT, Preprocess

Bytes = NDArray[np.uint8]

TRAIN_SEED, TEST_SEED = 1, 2
SHOWN = 8
"""Samples given to a phone."""
LETTERS = 7
FINE = 2
"""Pictures are drawn this many times as large, then averaged down."""


@dataclass(frozen=True)
class Vehicles:
    """The samples (seed, 0) … (seed, count - 1), each drawn when it is first read: about 10 ms at 96×144.

    A batch is drawn at one of `sizes` (height, width), each at least 16, which its first index chooses; `preprocess`
    has a say in its colours only.
    """

    seed: int
    count: int
    sizes: tuple[tuple[int, int], ...]
    preprocess: Preprocess = DEFAULT
    _drawn: dict[tuple[int, tuple[int, int]], tuple[Bytes, Bytes]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self.count

    def read(self, indices: NDArray[np.int64] | None = None) -> Batch:
        """Colours (N, 3, H, W) and masks (N, H, W), 1 where the vehicle is, at `indices`; all without."""
        chosen = np.arange(self.count) if indices is None else indices
        size = self.sizes[chosen[0] % len(self.sizes)]
        drawn = [self._sample(int(index), size) for index in chosen]
        inputs = self.preprocess.colours(np.stack([pixels for pixels, _ in drawn]), 3)
        return Batch(inputs, np.stack([mask for _, mask in drawn]).astype(np.int64))

    def _sample(self, index: int, size: tuple[int, int]) -> tuple[Bytes, Bytes]:
        if (index, size) not in self._drawn:
            self._drawn[index, size] = draw(self.seed, index, size)
        return self._drawn[index, size]


def to_train_on(preprocess: Preprocess = DEFAULT) -> Vehicles:
    """What the network that comes with bench has learnt from: two batches of three at 96×144, the third at 160×240."""
    return Vehicles(TRAIN_SEED, 1600, ((96, 144), (96, 144), (160, 240)), preprocess)


def to_test_on(preprocess: Preprocess = DEFAULT) -> Vehicles:
    """200 other samples at 96×144, which begin with those that `samples` gives at that size."""
    return Vehicles(TEST_SEED, 200, ((96, 144),), preprocess)


def source(count: int) -> str:
    return f"{count} vehicles drawn on cluttered scenes, with their masks (bench.data.vehicles, test seed)"


def draw(seed: int, index: int, size: tuple[int, int]) -> tuple[Bytes, Bytes]:
    """One sample at (height, width): pixels (H, W, 3) in 0..255 and its mask (H, W) of 0 and 1."""
    random = np.random.default_rng([seed, index])
    height, width = size
    canvas = width * FINE, height * FINE
    faces = car(random)
    view = _View.of(random, faces, canvas)
    picture = _scene(random, canvas, view)
    picture = _shadow(random, picture, view, faces)
    mask = Image.new("L", canvas)
    _paint(picture, mask, random, view, faces)
    return _developed(random, _relit(random, picture, mask).reduce(FINE)), (
        np.asarray(mask.reduce(FINE)) >= 128
    ).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _View:
    """A camera and how its picture plane lies on the canvas; `horizon` is the row in which the ground ends."""

    camera: Camera
    scale: float
    shift: Points
    horizon: float

    @classmethod
    def of(cls, random: np.random.Generator, faces: list[Face], canvas: tuple[int, int]) -> _View:
        """The vehicle fills the canvas to a random part, and stands a little off its middle."""
        camera = Camera(random.uniform(0, 2 * np.pi), random.uniform(0.02, 0.24), random.uniform(5.5, 11))
        seen = camera.see(np.concatenate([face.points for face in faces]))
        low, high = seen.min(axis=0), seen.max(axis=0)
        extent = high - low
        wanted = random.uniform(0.2, 0.7)
        scale = np.sqrt(wanted * canvas[0] * canvas[1] / (extent[0] * extent[1]))
        scale = min(scale, 0.96 * canvas[0] / extent[0], 0.92 * canvas[1] / extent[1])
        free = np.array(canvas) - scale * extent
        shift = free * random.uniform([0.3, 0.4], [0.7, 0.8]) - scale * low
        horizon = scale * -np.tan(camera.pitch) + shift[1]
        return cls(camera, scale, shift, horizon)

    def __call__(self, points: Points) -> Points:
        """Points (n, 3) in space to (n, 2) on the canvas."""
        return self.camera.see(points) * self.scale + self.shift


def _rgb(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour * 255, 0, 255).astype(int).tolist()
    return red, green, blue


def _grey(random: np.random.Generator, low: float, high: float, tint: float = 0.04) -> Colour:
    return random.uniform(low, high) + random.uniform(-tint, tint, 3)


def _texture(random: np.random.Generator, canvas: tuple[int, int], cells: int) -> Image.Image:
    """Smooth noise, "L", with about `cells` cells across."""
    rows = max(2, cells * canvas[1] // canvas[0])
    values = random.integers(0, 256, (rows, max(2, cells)), dtype=np.uint8)
    return Image.fromarray(values).resize(canvas, Image.Resampling.BICUBIC)


def _ramp(first: Colour, last: Colour, box: tuple[int, int], axis: int) -> Image.Image:
    """A gradient over a box (width, height), down (axis 0) or across (axis 1)."""
    pair = np.clip(np.stack((first, last)) * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(pair[:, None] if axis == 0 else pair[None]).resize(box, Image.Resampling.BILINEAR)


# --- scenes --------------------------------------------------------------------------------------------------------


def _scene(random: np.random.Generator, canvas: tuple[int, int], view: _View) -> Image.Image:
    studio = random.random() < 0.5
    # A studio's wall stands behind the car; a street runs to the horizon.
    edge = view.horizon + (random.uniform(0.02, 0.25) if studio else random.uniform(-0.02, 0.03)) * canvas[1]
    edge = float(np.clip(edge, 0.08 * canvas[1], 0.8 * canvas[1]))
    picture = (_studio if studio else _street)(random, canvas, edge)
    for cells in (3, 40):
        noise = _texture(random, canvas, cells)
        tone = Image.new("RGB", canvas, _rgb(_grey(random, 0, 1, 0.3)))
        strength = random.uniform(0, 0.3 if cells == 3 else 0.12)
        picture.paste(tone, mask=noise.point(lambda value, s=strength: int(value * s)))
    return picture


def _studio(random: np.random.Generator, canvas: tuple[int, int], edge: float) -> Image.Image:
    """Wall with signs and lamps, floor with a turntable, between them a straight or a curved edge."""
    width, height = canvas
    picture = _ramp(_grey(random, 0.25, 1), _grey(random, 0.25, 1), canvas, int(random.integers(2)))
    pen = ImageDraw.Draw(picture)
    if random.random() < 0.6:
        _sign(random, pen, canvas, edge)
    for _ in range(random.integers(0, 4)):
        _thing(random, pen, canvas, edge)
    floor = _ramp(_grey(random, 0.2, 0.9), _grey(random, 0.2, 0.9), canvas, 0)
    ground, bend = Image.new("L", canvas), random.uniform(-0.12, 0.12) * height
    across = np.linspace(0, 1, 13)
    rim = np.column_stack((across * width, edge + bend * 4 * (across - 0.5) ** 2))
    ImageDraw.Draw(ground).polygon([*map(tuple, rim), (width, height), (0, height)], fill=255)
    picture.paste(floor, mask=ground.filter(ImageFilter.GaussianBlur(float(random.integers(3)) * 0.015 * height)))
    if random.random() < 0.6:
        pen = ImageDraw.Draw(picture)
        middle, reach = random.uniform(0.4, 0.6) * width, random.uniform(0.45, 0.7) * width
        top, bottom = edge + random.uniform(0.02, 0.15) * height, height * random.uniform(0.9, 1.15)
        pen.ellipse(
            (middle - reach, top, middle + reach, max(bottom, top + 4)),
            outline=_rgb(_grey(random, 0.2, 0.8)),
            width=FINE,
        )
    return picture


def _sign(random: np.random.Generator, pen: ImageDraw.ImageDraw, canvas: tuple[int, int], edge: float) -> None:
    """Big letters of straight and round strokes in a row on the wall."""
    width, height = canvas
    tall = random.uniform(0.1, 0.3) * height
    top, colour = edge - tall * random.uniform(0.7, 1.8), _rgb(_grey(random, 0.05, 0.7, 0.15))
    step = width * random.uniform(0.09, 0.15)
    left, stroke = width * random.uniform(-0.05, 0.25), max(1, int(tall * random.uniform(0.08, 0.3)))
    for k in range(LETTERS):
        x, right = left + k * step, left + k * step + 0.75 * step
        match random.integers(4):
            case 0:
                pen.arc((x, top, right, top + tall), int(random.integers(0, 60)), 320, fill=colour, width=stroke)
            case 1:
                pen.line([(x, top + tall), ((x + right) / 2, top), (right, top + tall)], fill=colour, width=stroke)
            case 2:
                pen.line([(x, top), ((x + right) / 2, top + tall), (right, top)], fill=colour, width=stroke)
            case _:
                pen.line([(x, top + tall), (x, top), (right, top + tall), (right, top)], fill=colour, width=stroke)


def _street(random: np.random.Generator, canvas: tuple[int, int], edge: float) -> Image.Image:
    """Sky, a row of houses and trees, pavement, a road with markings, and things that stand about."""
    width, height = canvas
    sky = np.array([0.5, 0.65, 0.85]) * random.uniform(0.4, 1.1) + random.uniform(-0.1, 0.2)
    picture = _ramp(sky, sky * random.uniform(0.8, 1.3), canvas, 0)
    pen = ImageDraw.Draw(picture)
    left = -0.1 * width
    while left < width:
        wide, tall = random.uniform(0.1, 0.4) * width, random.uniform(0.1, 0.9) * edge
        if random.random() < 0.7:
            _house(random, pen, (left, edge - tall, left + wide, edge))
        left += wide * random.uniform(0.7, 1.2)
    for _ in range(random.integers(0, 5)):
        _tree(random, pen, canvas, edge)
    ground = np.array([0.5, 0.5, 0.5]) if random.random() < 0.7 else np.array([0.35, 0.45, 0.2])
    ground = ground * random.uniform(0.4, 1.4)
    floor = _ramp(ground, ground * random.uniform(0.6, 1.3), (width, height - int(edge)), 0)
    picture.paste(floor, (0, int(edge)))
    for _ in range(random.integers(0, 4)):
        y, slope = random.uniform(edge, height), random.uniform(-0.2, 0.2) * height
        line = _rgb(_grey(random, 0.2, 1, 0.1))
        thick = int(random.uniform(1, max(1, 0.03 * height)))
        if slope > 0.12 * height:
            pen.line([(0, y), (width, y + slope)], fill=line, width=thick)
        else:
            pen.rectangle((0, y, width, y + thick), fill=line)
    for _ in range(random.integers(1, 7)):
        _thing(random, pen, canvas, edge)
    return picture


def _house(random: np.random.Generator, pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    pen.rectangle(box, fill=_rgb(_grey(random, 0.15, 0.9, 0.15)))
    pane, columns, rows = _rgb(_grey(random, 0.05, 0.9, 0.1)), random.integers(1, 6), random.integers(1, 6)
    dx, dy = (right - left) / columns, (bottom - top) / rows
    for column in range(columns):
        for row in range(rows):
            x, y = left + (column + 0.2) * dx, top + (row + 0.2) * dy
            pen.rectangle((x, y, x + 0.6 * dx, y + 0.55 * dy), fill=pane)


def _tree(random: np.random.Generator, pen: ImageDraw.ImageDraw, canvas: tuple[int, int], edge: float) -> None:
    x, tall = random.uniform(0, canvas[0]), random.uniform(0.15, 0.5) * canvas[1]
    pen.line([(x, edge), (x, edge - tall)], fill=_rgb(np.array([0.25, 0.18, 0.1])), width=max(1, int(tall / 12)))
    green = np.array([0.2, 0.4, 0.15]) * random.uniform(0.4, 1.5)
    for _ in range(6):
        middle, reach = np.array([x, edge - tall]) + random.normal(0, tall / 5, 2), tall * random.uniform(0.1, 0.3)
        pen.ellipse((*(middle - reach), *(middle + reach)), fill=_rgb(green * random.uniform(0.7, 1.3)))


def _thing(random: np.random.Generator, pen: ImageDraw.ImageDraw, canvas: tuple[int, int], edge: float) -> None:
    """A pole, a lamp, a box, a cone or a poster behind the vehicle."""
    x, foot = random.uniform(0, canvas[0]), edge + random.uniform(-0.05, 0.12) * canvas[1]
    tall, colour = random.uniform(0.08, 0.5) * canvas[1], _rgb(_grey(random, 0.05, 0.95, 0.3))
    wide = tall * random.uniform(0.3, 1.5)
    match random.integers(4):
        case 0:
            pen.line([(x, foot), (x, foot - 2 * tall)], fill=colour, width=max(1, int(wide / 14)))
            lamp = wide / 5
            pen.ellipse((x - lamp, foot - 2 * tall - lamp, x + lamp, foot - 2 * tall + lamp), fill=colour)
        case 1:
            pen.rectangle((x, foot - tall, x + wide, foot), fill=colour, outline=_rgb(_grey(random, 0, 1)))
        case 2:
            pen.polygon([(x, foot), (x + wide / 2, foot), (x + wide / 4, foot - tall)], fill=colour)
        case _:
            pen.ellipse((x, foot - 1.5 * tall, x + wide, foot - 0.5 * tall), fill=colour)


# --- the vehicle in its scene --------------------------------------------------------------------------------------


def _shadow(random: np.random.Generator, picture: Image.Image, view: _View, faces: list[Face]) -> Image.Image:
    """Darkness under the vehicle and to one side of it; sometimes a floor that reflects."""
    points = np.concatenate([face.points for face in faces])
    (x0, y0), (x1, y1) = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    foot = np.array([[x0, y0, 0], [x1, y0, 0], [x1, y1, 0], [x0, y1, 0]])
    dark = Image.new("L", picture.size)
    pen = ImageDraw.Draw(dark)
    aside = np.array([*random.uniform(-0.8, 0.8, 2), 0])
    if random.random() < 0.5:
        pen.polygon([*map(tuple, view(foot * 1.05 + aside))], fill=int(random.uniform(20, 110)))
    pen.polygon([*map(tuple, view(foot * 0.97))], fill=int(random.uniform(120, 230)))
    dark = dark.filter(ImageFilter.GaussianBlur(random.uniform(0.005, 0.03) * picture.width))
    shaded = Image.composite(Image.new("RGB", picture.size), picture, dark)
    if random.random() < 0.4:
        glossy = shaded.copy()
        mirrored = [Face(face.points * [1, 1, -1], face.colour, face.layer) for face in faces]
        _paint(glossy, Image.new("L", picture.size), random, view, mirrored)
        shaded = Image.blend(shaded, glossy, random.uniform(0.05, 0.3))
    return shaded


def _paint(
    picture: Image.Image, mask: Image.Image, random: np.random.Generator, view: _View, faces: list[Face]
) -> None:
    """Draw the faces that the camera sees, far ones first, each in its colour under a light from above."""
    three = np.stack([face.points[[0, len(face.points) // 3, 2 * len(face.points) // 3]] for face in faces])
    centre = three.mean(axis=1)
    normal = np.cross(three[:, 1] - three[:, 0], three[:, 2] - three[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    up = np.sign(centre[:, 2:].mean())  # a reflection is the vehicle upside down
    normal *= np.where(((centre - MIDDLE * up) * normal).sum(axis=1) < 0, -1, 1)[:, None]
    away = view.camera.place - centre
    layer = np.array([face.layer for face in faces])
    visible = ((away * normal).sum(axis=1) > 0) | (layer < HULL)
    light = np.array([*random.normal(0, 0.6, 2), 1.0 * up])
    shade = 0.78 + 0.3 * normal @ (light / np.linalg.norm(light))
    spots = view(np.concatenate([face.points for face in faces]))
    ends = np.cumsum([len(face.points) for face in faces])
    pen, cut = ImageDraw.Draw(picture), ImageDraw.Draw(mask)
    for k in np.lexsort((-np.linalg.norm(away, axis=1), layer)):
        if visible[k]:
            corners = spots[ends[k] - len(faces[k].points) : ends[k]].ravel().tolist()
            pen.polygon(corners, fill=_rgb(faces[k].colour * shade[k]))
            cut.polygon(corners, fill=255)


def _relit(random: np.random.Generator, picture: Image.Image, mask: Image.Image) -> Image.Image:
    """Reflections over the vehicle: what is around it, as soft bands and patches."""
    canvas = picture.size
    tone = Image.new("RGB", canvas, _rgb(_grey(random, 0.5, 1, 0.1)))
    bands = _texture(random, canvas, int(random.integers(2, 9)))
    strength = random.uniform(0, 0.35)
    glow = Image.new("L", canvas)
    glow.paste(bands.point(lambda value: int(max(0, value - 90) * strength)), mask=mask)
    picture.paste(tone, mask=glow)
    return picture


def _developed(random: np.random.Generator, picture: Image.Image) -> Bytes:
    """Exposure, contrast, white balance and noise of a camera, in place of which it would all look alike."""
    gain = random.uniform(0.75, 1.25) * random.uniform(0.93, 1.07, 3)
    contrast, noise = random.uniform(0.75, 1.2), random.uniform(0, 0.03)
    lit = np.asarray(picture, np.float32) / np.float32(255)
    exposed = (lit * gain - 0.5) * contrast + 0.5
    noisy = exposed + noise * random.standard_normal(lit.shape, np.float32)
    return (np.clip(noisy, 0, 1) * 255).round().astype(np.uint8)
