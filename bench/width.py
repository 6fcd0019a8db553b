"""At what part of its width a network is computed, as a plan or a person says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from itertools import islice

from bench.errors import UsageError

AUTO = "auto"
"""The narrowest that answers as the whole width does, found by trying."""
Width = str | dict[str, str]
"""A part of the channels (`1/4`), `auto`, or a part for each of some layers, in the form that `canonical` gives."""
_WRITTEN = re.compile(r"[0-9]{1,6}(/[0-9]{1,6})?|[0-9]?\.[0-9]{1,9}")
_LONGEST = 40
_MOST_LAYERS = 1000
_SHOWN = 3
OTHERS = "*"
"""In a table, all layers that it does not name."""


def canonical(value: object) -> Width:
    """From `"1/4"`, `0.25`, `"auto"`, or a table of layers. Raises ValueError."""
    if isinstance(value, Mapping):
        if not 0 < len(value) <= _MOST_LAYERS:
            raise ValueError("a table of widths names at least one layer")
        return {str(layer): str(fraction(part)) for layer, part in value.items()}
    try:
        return AUTO if value == AUTO else str(fraction(value))
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def is_width(text: str) -> bool:
    """Whether `canonical` takes it."""
    try:
        canonical(text)
    except ValueError:
        return False
    return True


def fraction(value: object) -> Fraction:
    """A part above 0 and at most 1. Raises ValueError."""
    text = str(value).strip()
    made = Fraction(0)
    if not isinstance(value, bool) and len(text) <= _LONGEST and _WRITTEN.fullmatch(text):
        numerator, _, denominator = text.partition("/")
        made = Fraction(numerator) / Fraction(denominator or 1) if denominator.strip("0") or not denominator else made
    if not 0 < made <= 1:
        raise ValueError(f"{text[:_LONGEST]!r} is not a width; write a part of the channels, e.g. 1/4 or 0.25")
    return made


def of(value: object) -> Width:
    """`canonical`, for a flag. Raises UsageError."""
    try:
        return canonical(value)
    except ValueError as error:
        raise UsageError(f"--width: {error}", 'See docs/resident.md, "Width chosen at run time".') from None


def shown(width: Width) -> str:
    """In few words: `1/4`, `auto`, or the layers with widths of their own."""
    if isinstance(width, str):
        return width
    named = ((layer if layer != OTHERS else "all others", part) for layer, part in width.items())
    first = ", ".join(f"{part} of {layer}" for layer, part in islice(named, _SHOWN))
    return first + (f" and of {len(width) - _SHOWN} others" if len(width) > _SHOWN else "")


def short(width: Width) -> str:
    """For labels, which have no strokes: `0.25`, `auto`, `layers`."""
    if isinstance(width, str):
        return AUTO if width == AUTO else f"{float(fraction(width)):.4g}"
    return "layers"


def is_whole(width: Width) -> bool:
    """Whether it asks for nothing less than all channels."""
    return width == "1" if isinstance(width, str) else set(width.values()) == {"1"}
