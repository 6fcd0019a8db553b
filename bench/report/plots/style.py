"""What all plots share: colours, sizes, text, and the one function that makes an SVG and a PNG of a figure.

The colours are Okabe and Ito's, safe for colour-blind readers; what they tell apart also differs in shape, hatching or
filling, for print in grey. Figures are laid out in inches, from the top: matplotlib's own layout takes longer than the
drawing.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.report.section import Context, Picture
from bench.text import visible
from bench.units import quantity

INK = "#010203"
"""Text and lines; becomes `currentColor` in SVG, so that the page's dark mode reaches into the plots."""
REFERENCE = "#7f7f7f"
DESKTOP = ("#0072B2", "#56B4E9")
PHONES = ("#D55E00", "#009E73", "#CC79A7", "#E69F00")
GRID = "#888888"
WIDTH_IN = 8.2
FONT = 9.5
SMALL = 8.0
TITLE_IN = 0.3
"""Of a panel's title, above its axes."""
AXIS_IN = 0.34
"""Of an axis with its figures, below."""
LONGEST = 64
"""Characters of a reason, and of a label: what is longer is cut."""
MOST_RATIO = 10.0
"""Figures that differ by more are drawn on a logarithmic axis."""
VIRTUAL = "virtual"

STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": FONT,
    "hatch.linewidth": 0.8,
    "path.simplify": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": True,
    "axes.linewidth": 0.7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": INK,
    "image.interpolation": "nearest",
    "image.composite_image": False,
}
_TEXT = TextToPath()


class Sheet:
    """A figure `height` inches high, on which axes are placed in inches from its left and top."""

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure(figsize=(WIDTH_IN, height))

    def axes(self, left: float, top: float, width: float, height: float, title: str = "") -> Axes:
        """Axes whose own frame is there; the title stands above, from the left edge of the figure on."""
        box = (left / WIDTH_IN, 1 - (top + height) / self.height, width / WIDTH_IN, height / self.height)
        axes = self.figure.add_axes(box)
        if title:
            self.text(0.06, top - 0.13, title, weight="bold", size=10.5)
        return axes

    def rule(self, top: float) -> None:
        """A hairline from edge to edge."""
        y = 1 - top / self.height
        self.figure.add_artist(Line2D([0.06 / WIDTH_IN, 1], [y, y], color=GRID, alpha=0.35, linewidth=0.6))

    def text(self, left: float, top: float, words: str, **how: Any) -> None:
        """Words that begin at `left`; `top` is their baseline."""
        self.figure.text(left / WIDTH_IN, 1 - top / self.height, visible(words), **how)


@contextmanager
def styled(name: str) -> Iterator[None]:
    """Draw in here. `name` is the picture's: it makes the ids of the SVG, the same every time."""
    with warnings.catch_warnings(), mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a reason in a script the font lacks
        yield


def finished(sheet: Sheet, name: str, title: str, alt: str) -> Picture:
    """The figure as an SVG element and as a PNG file. To be called where it is `styled`."""
    svg, png = io.StringIO(), io.BytesIO()
    sheet.figure.savefig(svg, format="svg", transparent=True, dpi=200, metadata={"Date": None, "Creator": None})
    sheet.figure.savefig(png, format="png", dpi=144, facecolor="white", metadata={"Software": None})
    return Picture(name, title, visible(alt), _inline(svg.getvalue(), name), png.getvalue())


def colours(context: Context) -> dict[tuple[str, str], str]:
    """One for each place: grey for the reference, blues for the rest of the desktop, others for phones."""
    found: dict[tuple[str, str], str] = {}
    taken = {DESKTOP: 0, PHONES: 0}
    for subject in context.findings.subjects:
        place = (subject.device, subject.runtime)
        if place in found:
            continue
        own = PHONES if context.labels.is_phone(subject.device) else DESKTOP
        if own is DESKTOP and context.labels.is_reference(subject):
            found[place] = REFERENCE
        else:
            found[place] = own[taken[own] % len(own)]
            taken[own] += 1
    return found


def tint(colour: str, share: float = 1 / 3) -> tuple[float, ...]:
    """So much of the colour on white, opaque: SVG viewers fade the hatching with a transparent fill."""
    return tuple(1 - share + share * part for part in to_rgb(colour))


def short(text: str, longest: int = LONGEST) -> str:
    text = visible(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


@lru_cache(maxsize=4096)
def width(text: str, size: float = FONT) -> float:
    """Of a text, in inches. A page's font may be a little wider than this one."""
    points, _, _ = _TEXT.get_text_width_height_descent(text, FontProperties(size=size), False)
    return 1.06 * float(points) / 72


def cut(text: str, inches: float, size: float = FONT) -> str:
    """The text, shortened to fit."""
    text = visible(text)
    if width(text, size) <= inches:
        return text
    while len(text) > 1 and width(f"{text}…", size) > inches:
        text = text[:-1]
    return f"{text}…"


def spans(values: Sequence[float]) -> bool:
    """Whether these positive figures want a logarithmic axis."""
    known = [value for value in values if value > 0]
    return bool(known) and max(known) > MOST_RATIO * min(known)


def share(axes: Axes, ends: Sequence[tuple[float, str]], gap: float = 0.25) -> float:
    """How much of an axis the figures may take, so that words stand beside their ends: (where the figure ends, from 0
    to 1 of what the figures take, and its words)."""
    inches = axes.get_position().width * WIDTH_IN
    found = [(inches - width(text) - gap) / (inches * max(end, 0.02)) for end, text in ends]
    return min(max(min(found, default=1.0), 0.15), 1.0)


def scale(
    axes: Axes,
    unit: str,
    values: Sequence[float],
    *,
    logarithmic: bool,
    pad: float = 0.06,
    most: int = 6,
    edge: float = 0.0,
) -> None:
    """An x axis over these figures, in words of their unit, with a light grid and `most` figures on it; none closer to
    its ends than the part `edge`."""
    low, high = min(values), max(values)
    if logarithmic:
        axes.set_xscale("log")
        room = max((high / low) ** pad, 1.05)
        axes.set_xlim(low / room, high * room)
        low, high = axes.get_xlim()
        inset = (high / low) ** edge
        axes.xaxis.set_major_locator(FixedLocator(log_ticks(low * inset, high / inset, most)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        room = max(pad * (high - low), 0.01 * abs(high), 1e-12)
        axes.set_xlim(low - room, high + room)
        low, high = axes.get_xlim()
        inset = edge * (high - low)
        found = MaxNLocator(most, min_n_ticks=2).tick_values(low + inset, high - inset)
        inside = [float(value) for value in found if low + inset <= value <= high - inset]
        axes.xaxis.set_major_locator(FixedLocator(inside))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))
    axes.tick_params(axis="x", length=0, labelsize=SMALL, pad=3)
    axes.grid(axis="x", color=GRID, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)


def tick(value: float, unit: str) -> str:
    """A round figure on an axis: `10 ms`, not `10.0 ms`."""
    return re.sub(r"\.0+(?!\d)|(\.\d*?)0+(?!\d)", r"\1", quantity(value, unit))


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round figures on a logarithmic axis: as many as there is room for."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [part * 10.0**power for power in powers for part in parts if low <= part * 10.0**power <= high]
        if 2 <= len(found) <= most:
            return found
    if len(found) > most:  # of the powers of ten, every second or third
        return found[:: math.ceil(len(found) / most)]
    return [float(value) for value in MaxNLocator(most, min_n_ticks=2).tick_values(low, high) if low <= value <= high]


def columns(sheet: Sheet, top: float, row_in: float, named: Sequence[tuple[str, str]]) -> float:
    """Name rows of `row_in` inches from `top` on: in bold what several have in common, then what they are. Returns
    where the axes beside them begin, in inches."""
    groups = [cut(group, 1.75) for group, _ in named]
    first = max((_bold(text) for text in groups), default=0) + 0.2
    labels = [cut(label, 2.2) for _, label in named]
    second = max((width(text) for text in labels), default=0)
    for y, (group, label) in enumerate(zip(groups, labels, strict=True)):
        base = top + (y + 0.5) * row_in + 0.05
        if y == 0 or named[y - 1][0] != named[y][0]:
            sheet.text(0.06, base, group, weight="bold")
            if y and len(set(groups)) < len(groups):
                sheet.rule(top + y * row_in)
        sheet.text(first, base, label)
    return first + second + (0.16 if second else 0)


def said(sheet: Sheet, top: float, row_in: float, words: Sequence[tuple[str, bool]]) -> float:
    """Figures of rows in a column at the right edge, (words, whether they are a figure); returns where the axes beside
    them end, in inches. Words that are no figure are in italics, and may be long: they begin where there is no mark."""
    figures = max((width(text) for text, is_figure in words if is_figure), default=0.0)
    start = WIDTH_IN - (figures or 2.5) - 0.06
    for y, (text, is_figure) in enumerate(words):
        left = start if is_figure else min(start, WIDTH_IN - width(text) - 0.06)
        sheet.text(left, top + (y + 0.5) * row_in + 0.05, text, style="normal" if is_figure else "italic")
    return start - 0.15


def guide(axes: Axes, y: float) -> None:
    """A dotted line across, which leads the eye from a row's name to its mark and figures."""
    axes.axhline(y, color=GRID, linewidth=0.7, linestyle=(0, (1, 3)), zorder=0.5)


def _bold(text: str) -> float:
    return 1.12 * width(text)


def bare(axes: Axes, count: int) -> None:
    """A y axis of so many rows from the top, which are named beside it."""
    axes.set_ylim(count - 0.5, -0.5)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)


def _inline(svg: str, name: str) -> str:
    """The SVG element alone: scalable, in the page's text colour, its ids unlike those of the other plots."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor")
    # Six decimals of a point are half of the bytes. Text is left alone: its figures are measured ones.
    svg = re.sub(r'(?<= d=")[^"]*', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()), svg)
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
