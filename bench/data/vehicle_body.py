"""Cars as flat faces in space: a body is two profiles extruded across its width, on four wheels, seen by a camera.

Lengths are metres; x runs from tail to nose, y to the car's left, z up from the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Colour = NDArray[np.float64]

HULL = 2
MIDDLE = np.array([0, 0, 0.5])

GLASS, RUBBER, TRIM = np.array([0.10, 0.12, 0.15]), np.array([0.06, 0.06, 0.065]), np.array([0.09, 0.09, 0.10])
RED, LAMP = np.array([0.55, 0.04, 0.05]), np.array([0.85, 0.86, 0.84])
_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)


@dataclass(frozen=True)
class BodyType:
    """Side view of a type of car, in parts of its length and height.

    `hull` is the lower body's upper edge from tail to nose, `cabin` the glasshouse's outline from its foot at the tail
    over the roof to its foot at the nose: points (x, z). `length`, `width` and `height` are ranges in metres.
    """

    hull: tuple[tuple[float, float], ...]
    cabin: tuple[tuple[float, float], ...]
    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    side_windows: int = 2


TYPES: dict[str, BodyType] = {
    "hatchback": BodyType(
        ((0, 0.52), (0.02, 0.64), (0.7, 0.64), (0.93, 0.56), (1, 0.44)),
        ((0.01, 0.63), (0.09, 0.97), (0.25, 1), (0.5, 0.98), (0.72, 0.63)),
        (3.6, 4.3), (1.65, 1.8), (1.42, 1.55),
    ),
    "saloon": BodyType(
        ((0, 0.5), (0.01, 0.67), (0.14, 0.69), (0.68, 0.66), (0.94, 0.56), (1, 0.42)),
        ((0.12, 0.68), (0.27, 0.97), (0.4, 1), (0.52, 0.98), (0.71, 0.65)),
        (4.4, 5.1), (1.75, 1.9), (1.4, 1.5),
    ),
    "estate": BodyType(
        ((0, 0.5), (0.01, 0.64), (0.7, 0.64), (0.94, 0.55), (1, 0.42)),
        ((0.005, 0.63), (0.05, 0.95), (0.2, 1), (0.52, 0.98), (0.71, 0.64)),
        (4.4, 4.9), (1.75, 1.88), (1.42, 1.55), 3,
    ),
    "off-roader": BodyType(
        ((0, 0.5), (0.01, 0.65), (0.72, 0.64), (0.97, 0.6), (1, 0.46)),
        ((0.005, 0.64), (0.03, 0.96), (0.15, 1), (0.56, 0.99), (0.7, 0.63)),
        (4.1, 5.0), (1.8, 2.0), (1.65, 1.9), 3,
    ),
    "van": BodyType(
        ((0, 0.45), (0.005, 0.55), (0.8, 0.55), (0.97, 0.42), (1, 0.33)),
        ((0.005, 0.54), (0.015, 0.97), (0.1, 1), (0.68, 0.99), (0.84, 0.54)),
        (4.6, 5.6), (1.8, 2.0), (1.75, 2.1), 3,
    ),
    "pickup": BodyType(
        ((0, 0.45), (0.01, 0.62), (0.36, 0.62), (0.74, 0.62), (0.97, 0.58), (1, 0.44)),
        ((0.34, 0.61), (0.37, 0.97), (0.44, 1), (0.59, 0.98), (0.71, 0.61)),
        (5.0, 5.8), (1.85, 2.05), (1.7, 1.9),
    ),
    "sports": BodyType(
        ((0, 0.55), (0.01, 0.74), (0.15, 0.77), (0.6, 0.7), (0.92, 0.55), (1, 0.38)),
        ((0.1, 0.75), (0.36, 0.98), (0.46, 1), (0.53, 0.97), (0.7, 0.66)),
        (4.1, 4.7), (1.8, 1.98), (1.15, 1.32), 1,
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Face:
    """A flat polygon (n, 3) of one colour.

    Larger `layer` lies on top; within a layer the nearer hides the farther. From `HULL` on a face is seen only from
    outside the car.
    """

    points: Points
    colour: Colour
    layer: int


@dataclass(frozen=True, eq=False)
class Camera:
    """Looks at the middle of a car from `distance`, turned by `yaw` around it and raised by `pitch` (radians)."""

    yaw: float
    pitch: float
    distance: float

    @property
    def place(self) -> Points:
        flat = np.array([np.cos(self.yaw), np.sin(self.yaw), 0.0]) * np.cos(self.pitch)
        place: Points = self.distance * (flat + np.array([0, 0, np.sin(self.pitch)])) + MIDDLE
        return place

    def see(self, points: Points) -> Points:
        """Points (n, 3) in space to (n, 2) on the picture plane: x to the right, y down, 1 at unit distance."""
        forward = np.array(MIDDLE) - self.place
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        seen = (points - self.place) @ np.stack((right, np.cross(forward, right), forward), axis=1)
        flat: Points = seen[:, :2] / np.maximum(seen[:, 2:], 0.1)
        return flat


def car(random: np.random.Generator) -> list[Face]:
    """The faces of a random car standing over the origin."""
    kind = list(TYPES.values())[random.integers(len(TYPES))]
    size = np.array([random.uniform(*kind.length), random.uniform(*kind.width), random.uniform(*kind.height)])
    length, width, height = size
    paint = _paint(random)
    floor, radius = height * random.uniform(0.14, 0.2), height * random.uniform(0.2, 0.24)
    half, tuck = width / 2, random.uniform(0.12, 0.25)

    def at(outline: tuple[tuple[float, float], ...]) -> Points:
        wobble = random.uniform(-0.012, 0.012, (len(outline), 2))
        points: Points = (np.array(outline) + wobble) * [length, height] - [length / 2, 0]
        return points

    hull, cabin = at(kind.hull), at(kind.cabin)
    nose, tail = hull[-1, 0], hull[0, 0]
    sill = np.array([[nose - 0.05 * length, floor], [tail + 0.04 * length, floor]])
    lower = np.concatenate((hull, sill))
    faces = _extruded(lower, np.full(len(lower), half), paint, HULL)
    spread = half * (1 - tuck * np.clip((cabin[:, 1] - cabin[0, 1]) / (height - cabin[0, 1]), 0, 1))
    glass = GLASS * random.uniform(0.6, 2.2)
    faces += _extruded(cabin, spread, paint, HULL + 1)
    faces += _screens(cabin, spread, glass) + _side_windows(cabin, spread, glass, kind.side_windows, random)
    faces += _ends(hull, half, floor, random) + _sides(hull, half, floor, paint, random)
    axles = tail + length * random.uniform(0.17, 0.21), nose - length * random.uniform(0.16, 0.2)
    rim = np.full(3, random.uniform(0.25, 0.8))
    spokes = int(random.integers(4, 9))
    for x in axles:
        for side in (-1, 1):
            faces += _wheel(np.array([x, side * half, radius]), radius, floor, rim, spokes)
    return faces


def _paint(random: np.random.Generator) -> Colour:
    """Most cars are white, black, grey or silver; the others have a hue."""
    if random.random() < 0.55:
        return np.full(3, random.choice([0.1, 0.25, 0.5, 0.75, 0.95])) + random.uniform(-0.05, 0.05, 3)
    level = random.uniform(0.3, 1)
    return level * (1 - random.uniform(0.4, 0.95) * random.dirichlet(np.full(3, 0.6)) * 1.6).clip(0.03, 1)


def _extruded(outline: Points, half: Points, colour: Colour, layer: int) -> list[Face]:
    """The closed outline (n, 2) across y, ±`half` (n,) at each point: n strips and two sides."""
    left = np.column_stack((outline[:, 0], half, outline[:, 1]))
    right = left * [1, -1, 1]
    strips = [
        Face(np.stack((left[i], left[j], right[j], right[i])), colour, layer)
        for i, j in zip(range(len(left)), [*range(1, len(left)), 0], strict=True)
    ]
    return [*strips, Face(left, colour, layer), Face(right, colour, layer)]


def _screens(cabin: Points, half: Points, glass: Colour) -> list[Face]:
    """Windscreen and rear window, a little inside the cabin's first and last strips."""
    faces = []
    for low, high in ((0, 1), (len(cabin) - 1, len(cabin) - 2)):
        corners = np.array([[*cabin[low], half[low]], [*cabin[high], half[high]]])
        rows = corners[0] + np.array([[0.08], [0.92]]) * (corners[1] - corners[0])
        quad = [(x, s * 0.88 * y, z) for s, (x, z, y) in ((1, rows[0]), (1, rows[1]), (-1, rows[1]), (-1, rows[0]))]
        faces.append(Face(np.array(quad), glass, 4))
    return faces


def _side_windows(cabin: Points, half: Points, glass: Colour, count: int, random: np.random.Generator) -> list[Face]:
    """The cabin's side drawn smaller, cut by pillars."""
    middle, side = cabin.mean(axis=0), np.column_stack((cabin[:, 0], half, cabin[:, 1]))
    centre = np.array([middle[0], half.mean(), middle[1]])
    inner = centre + (side - centre) * [0.86, 1, 0.78]
    inner[:, 1] = side[:, 1] + 0.002
    faces = [Face(inner, glass, 4), Face(inner * [1, -1, 1], glass, 4)]
    low, high = inner[:, 2].min(), inner[:, 2].max()
    for k in range(1, count):
        x = inner[0, 0] + (inner[-1, 0] - inner[0, 0]) * (k / count + random.uniform(-0.05, 0.05))
        y_low, y_high, w = half[0] + 0.003, half[len(half) // 2] + 0.003, 0.04
        pillar = np.array([[x - w, y_low, low], [x + w, y_low, low], [x + w, y_high, high], [x - w, y_high, high]])
        faces += [Face(pillar, TRIM, 5), Face(pillar * [1, -1, 1], TRIM, 5)]
    return faces


def _ends(hull: Points, half: float, floor: float, random: np.random.Generator) -> list[Face]:
    """Lamps, grille, bumpers and number plate on nose and tail."""
    faces = []
    for x, top, sign, lamp in ((hull[-1, 0], hull[-1, 1], 1, LAMP), (hull[0, 0], hull[0, 1], -1, RED)):
        at = x + 0.005 * sign

        def patch(
            y: tuple[float, float], z: tuple[float, float], colour: Colour, at: float = at, top: float = top
        ) -> Face:
            low, high = floor + np.array(z) * (top - floor)
            quad = np.array([[at, y[0], low], [at, y[1], low], [at, y[1], high], [at, y[0], high]])
            return Face(quad, colour, 4)

        inside, low = half * random.uniform(0.5, 0.72), random.uniform(0.55, 0.72)
        faces += [patch((s * inside, s * half * 0.97), (low, 0.98), lamp) for s in (1, -1)]
        if random.random() < 0.7:
            faces.append(patch((-half * 0.9, half * 0.9), (0.02, random.uniform(0.15, 0.35)), TRIM))
        if sign > 0:
            faces.append(patch((-inside * 0.9, inside * 0.9), (0.45, 0.85), TRIM * random.uniform(0.8, 2.5)))
        faces.append(patch((-0.26, 0.26), (0.3, 0.45), np.full(3, random.uniform(0.6, 0.95))))
    return faces


def _sides(hull: Points, half: float, floor: float, paint: Colour, random: np.random.Generator) -> list[Face]:
    """Door gaps, handles, a sill and sometimes a crease."""
    faces = []
    tail, nose, top = hull[0, 0], hull[-1, 0], hull[1:-1, 1].min()

    def band(x: tuple[float, float], z: tuple[float, float], colour: Colour) -> None:
        y = half + 0.003
        quad = np.array([[x[0], y, z[0]], [x[1], y, z[0]], [x[1], y, z[1]], [x[0], y, z[1]]])
        faces.extend([Face(quad, colour, 4), Face(quad * [1, -1, 1], colour, 4)])

    span = nose - tail
    for place in (0.3, 0.5, 0.68)[: random.integers(2, 4)]:
        x = tail + span * place
        band((x, x + 0.025), (floor + 0.1, top), paint * 0.45)
        band((x + 0.08, x + 0.25), (top - 0.14, top - 0.1), paint * 0.6 + 0.1)
    band(
        (tail + 0.08 * span, nose - 0.09 * span), (floor, floor + 0.09), TRIM if random.random() < 0.6 else paint * 0.6
    )
    if random.random() < 0.6:
        z = floor + (top - floor) * random.uniform(0.4, 0.8)
        band((tail + 0.03 * span, nose - 0.04 * span), (z, z + 0.04), paint * random.choice([0.75, 1.2]))
    return faces


def _wheel(hub: Points, radius: float, floor: float, rim: Colour, spokes: int) -> list[Face]:
    """Arch, tyre with its tread, rim and the gaps between its spokes."""
    side = np.sign(hub[1])
    circle = np.column_stack((np.cos(_TURN), np.zeros_like(_TURN), np.sin(_TURN)))

    def disc(scale: float, out: float, colour: Colour, layer: int) -> Face:
        return Face(hub + circle * radius * scale + [0, out * side, 0], colour, layer)

    arch = disc(1.16, 0.004, RUBBER * 0.5, 4)
    inner, outer = disc(1, -0.22, RUBBER, 0), disc(1, 0.006, RUBBER, 5)
    faces = [inner, Face(np.maximum(arch.points, [-9, -9, floor]), arch.colour, arch.layer), outer]
    for i in range(len(_TURN) // 2, len(_TURN) - 1):
        tread = np.concatenate((inner.points[i : i + 2], outer.points[i : i + 2][::-1]))
        faces.append(Face(tread, RUBBER * (1.3 if i % 2 else 0.9), 1))
    faces += [disc(0.7, 0.012, rim, 6), disc(0.14, 0.02, rim * 0.5, 8)]
    for k in range(spokes):
        angle = 2 * np.pi * (k + np.array([0.22, 0.78, 0.5])) / spokes
        reach = np.array([0.6, 0.6, 0.15]) * radius
        gap = np.column_stack((np.cos(angle) * reach, np.full(3, 0.016 * side), np.sin(angle) * reach))
        faces.append(Face(hub + gap, RUBBER, 7))
    return faces
