"""The ladder from a picture's file to a network's answer, on a desktop and on a device: which rung differs, where, and
by how much. Pure functions of what both computed.

Each rung is judged by itself: what the device made of *its own* step before, against what the desktop makes of the
same. So a rung that differs is where something is wrong, and those behind it are not blamed for what they were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench import tolerance
from bench.errors import UsageError
from bench.preprocess import FILTERS, Preprocess

Stage = Literal["file", "pixels", "resized", "input", "layer", "module", "answer"]
Array = NDArray[Any]

JPEG_LEVELS = 8
"""By how many of 256 levels two sound decoders of JPEG may differ in a pixel: its standard leaves them the rounding of
transform, upsampling and colours (docs/parity.md has what was measured)."""


@dataclass(frozen=True)
class Rung:
    """One stage, compared. `shape` is that of its values, `place` of the worst of them, with `found` on the device and
    `wanted` on the desktop; `delta` is the largest |Δ|, `relative` the same as a share of the largest |wanted|;
    `allowed` how far the worst may be off. `off` values of `values` are further off than they may be, in the
    `channels` (the first axis of a layer's values). `module` is what the network's author calls a layer.

    Figures are None where there was nothing to compare; then `differs` may still be known, and `remark` says why.
    `open` is a rung that was asked for and could not be judged, so that nobody knows whether it differs: `remark` says
    why, unless it is that a rung before it is open. Any other whose `differs` is None is shown only."""

    stage: Stage
    name: str
    differs: bool | None
    shape: tuple[int, ...] = ()
    kind: str = ""
    delta: float | None = None
    relative: float | None = None
    allowed: float | None = None
    place: tuple[int, ...] = ()
    found: float | None = None
    wanted: float | None = None
    off: int = 0
    channels: tuple[int, ...] = ()
    remark: str = ""
    module: str = ""
    open: bool = False

    @property
    def values(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 0


def compared(
    stage: Stage, name: str, found: Array, wanted: Array, limit: float | Array, *, kind: str = "", remark: str = ""
) -> Rung:
    """Values of one shape, held to a `limit` that may be one for each. NaN, or an infinity, on one side alone differs;
    NaN on both sides, or a limit that is not a number, leaves open what could be no difference."""
    if found.shape != wanted.shape:
        return Rung(
            stage, name, True, found.shape, kind, remark=f"has the shape {_sides(found)}, and not {_sides(wanted)}"
        )
    if not found.size:
        return Rung(stage, name, None, found.shape, kind, remark="has no values", open=True)
    ours, theirs = found.astype(np.float64), wanted.astype(np.float64)
    neither = np.isnan(ours) & np.isnan(theirs)
    with np.errstate(invalid="ignore"):
        delta = np.abs(ours - theirs)
    delta = np.where((ours == theirs) | neither, 0.0, delta)
    delta = np.where(np.isnan(delta), np.inf, delta)
    allowed = np.broadcast_to(np.asarray(limit, np.float64), delta.shape)
    judged = np.isfinite(allowed)
    beyond = np.where(judged, delta > allowed, np.isinf(delta))
    unknown = neither | (~judged & ~beyond & (delta > 0))
    # The worst is the one that is furthest beyond; among those that are not, the furthest.
    rank = np.where(beyond, delta - np.where(judged, allowed, 0.0), -np.inf) if beyond.any() else delta
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(rank)), rank.shape))
    finite = np.abs(theirs[np.isfinite(theirs)])
    largest = float(finite.max()) if finite.size else 0.0
    worst = float(delta.max())
    share = worst / largest if largest else (0.0 if worst == 0 else np.inf)
    channels = np.flatnonzero(beyond.reshape(len(beyond), -1).any(axis=1)) if beyond.ndim else ()
    differs = bool(beyond.any())
    if blind := int(unknown.sum()):
        told = (
            f"{blind:,} of {delta.size:,} values cannot be compared: not numbers on both sides, or nothing to hold to"
        )
        remark = f"{remark}; {told}" if remark else told
    return Rung(
        stage, name, differs if differs or not blind else None, found.shape, kind,
        delta=worst,
        relative=float(share),
        allowed=float(allowed[at]),
        place=at,
        found=float(ours[at]),
        wanted=float(theirs[at]),
        off=int(beyond.sum()),
        channels=tuple(int(one) for one in channels),
        remark=remark,
        open=bool(blind) and not differs,
    )  # fmt: skip


def unreached(stage: Stage, name: str, why: str = "") -> Rung:
    """A rung that could not be had."""
    return Rung(stage, name, None, remark=why, open=True)


def file(name: str, found: str, wanted: str) -> Rung:
    """A file by its SHA-256, on the device and here."""
    same = found == wanted
    remark = f"SHA-256 {wanted[:12]}…" if same else f"SHA-256 is {found[:12] or 'not known'}…, and not {wanted[:12]}…"
    return Rung("file", name, not same, remark=remark)


def pixels(found: Array, wanted: Array, *, lossy: bool) -> Rung:
    """Decoded pictures (H, W, C). `lossy`: of JPEG, of which decoders may differ a little."""
    how = f"two JPEG decoders may differ by {JPEG_LEVELS} levels" if lossy else "decoders of this format agree exactly"
    return compared("pixels", "decoded", found, _same_channels(wanted, found), JPEG_LEVELS if lossy else 0, remark=how)


def resized(found: Array, pixels: Array, asked: Preprocess, shape: tuple[int, ...]) -> Rung:
    """What the device made of its own `pixels` (H, W, C), against what `asked` makes of them for an input of that
    `shape`."""
    try:
        wanted = fitted(asked, pixels, shape)
    except UsageError as error:
        return _refused("resized", asked.text, found, error)
    rung = compared("resized", asked.text, found, wanted, 0)
    if not rung.differs:
        return rung
    return _told(rung, _as_if_resized(found, pixels, asked, shape))


def normalised(found: Array, resized: Array, asked: Preprocess) -> Rung:
    """The device's input (C, H, W) against what `asked` makes of its own `resized` pixels (H, W, C)."""
    try:
        wanted = asked.colours(resized, len(found))
    except UsageError as error:
        return _refused("input", "normalised", found, error)
    limit = np.float32(2e-7) * np.abs(wanted).max()  # a division, rounded once
    rung = compared("input", "normalised", found, wanted, limit)
    if not rung.differs:
        return rung
    return _told(rung, _as_if_normalised(found, wanted, resized, asked))


def layer(name: str, kind: str, found: Array, wanted: Array, *, exact: bool) -> Rung:
    """One output of a layer, without a batch axis. `exact`: the same program on the same kind of processor."""
    limit: float | Array = 0.0
    if not exact:
        limit = tolerance.allowed(wanted[None].astype(np.float32))[0] if found.shape == wanted.shape else 0.0
    return compared("layer", name, found, wanted, limit, kind=kind)


def answer_limit(wanted: Array, doubt: Array | None) -> Array:
    """How far each value of a network's output (1, *shape) may be from torch's, without the batch axis."""
    allowed: Array = tolerance.allowed(wanted, doubt=doubt)[0]
    return allowed


def answer(name: str, found: Array, wanted: Array, *, exact: bool) -> Rung:
    """One output of the network, as a layer's."""
    limit: float | Array = 0.0
    if not exact:
        limit = tolerance.allowed(wanted[None].astype(np.float32))[0] if found.shape == wanted.shape else 0.0
    return compared("answer", name, found, wanted, limit)


def first(rungs: Sequence[Rung]) -> int | None:
    """The place of the first that differs."""
    return next((at for at, rung in enumerate(rungs) if rung.differs), None)


def opened(rungs: Sequence[Rung]) -> tuple[Rung, ...]:
    """Those that could not be judged, and so may differ."""
    return tuple(rung for rung in rungs if rung.open)


def fitted(asked: Preprocess, pixels: Array, shape: tuple[int, ...]) -> Array:
    """Pixels (H, W, 1 or 3) resized and cropped for an input of `shape` (C, H, W). Raises UsageError."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    found = np.asarray(asked.fitted(image, shape))
    return found if found.ndim == 3 else found[..., None]


def _as_if_resized(found: Array, pixels: Array, asked: Preprocess, shape: tuple[int, ...]) -> str:
    """What other plan would have given these pixels; empty where none of those known does."""
    for size in (None, asked.size):
        for resize in ("shorter", "exact", "none"):
            for name in FILTERS:
                try:
                    other = Preprocess.model_validate(
                        asked.model_dump() | {"resize": resize, "filter": name, "size": size, "crop": True}
                    )
                    if np.array_equal(fitted(other, pixels, shape), found):
                        return f"exactly what {other.text.split(', ')[0]} gives"
                except (UsageError, ValueError):
                    continue
    return ""


def _as_if_normalised(found: Array, wanted: Array, resized: Array, asked: Preprocess) -> str:
    """What was done otherwise, where it can be told: the order of channels, or another mean and deviation."""
    if len(found) == 3 and np.allclose(found, wanted[::-1], atol=1e-5 * max(1.0, float(np.abs(wanted).max()))):
        return "the same values with their channels in the opposite order"
    source = resized[..., ::-1] if asked.channels == "bgr" else resized
    for order, title in ((source, ""), (source[..., ::-1], "channels in the opposite order, and ")):
        fits = [_line(order[..., channel], found[channel]) for channel in range(len(found))]
        if all(one is not None for one in fits):
            ours = [_line(source[..., channel], wanted[channel]) for channel in range(len(found))]
            return f"{title}each channel is {_formulas(fits)}, and not {_formulas(ours)}"
    return ""


def _formulas(lines: Sequence[tuple[float, float] | None]) -> str:
    return "; ".join(dict.fromkeys(_formula(*one) for one in lines if one))


def _formula(slope: float, offset: float) -> str:
    sign = "−" if offset < 0 else "+"
    nothing = abs(offset) < 1e-6 * abs(slope) * 255
    return f"{slope:.6g} × value" + ("" if nothing else f" {sign} {abs(offset):.6g}")


def _line(values: Array, made: Array) -> tuple[float, float] | None:
    """Slope and offset, where `made` is a straight line of `values`."""
    x, y = values.astype(np.float64).ravel(), made.astype(np.float64).ravel()
    if x.size < 2 or x.min() == x.max() or not np.isfinite(y).all():
        return None
    slope, offset = np.polyfit(x, y, 1)
    close = np.abs(slope * x + offset - y).max() <= 1e-5 * max(1e-6, float(np.abs(y).max()))
    return (float(slope), float(offset)) if close else None


def _refused(stage: Stage, name: str, found: Array, error: UsageError) -> Rung:
    """The device made something where what was asked for makes nothing."""
    return Rung(
        stage, name, True, found.shape, remark=f"the device made one where the desktop refuses to: {error.what}"
    )


def _told(rung: Rung, remark: str) -> Rung:
    return replace(rung, remark=remark) if remark else rung


def _same_channels(wanted: Array, found: Array) -> Array:
    """Grey pixels as (H, W, 1)."""
    return wanted if wanted.ndim == 3 else wanted[..., None]


def _sides(array: Array) -> str:
    return "×".join(map(str, array.shape)) or "of one value"
