"""Where an inference's time goes: one bar a variant, cut into layers, above the same cut by what was predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from bench.layered import LayerShare, Profile
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import quantity

TITLE = "Layers: where the time of an inference goes, and below where multiply-adds and bytes predict it"
ROW_IN = 0.86
"""Of a variant: words above, the measured bar, the predicted one."""
KINDS = (
    ("convolution", style.DESKTOP[0], ("Convolution", "Conv")),
    ("depthwise convolution", style.DESKTOP[1], ("ConvolutionDepthWise", "DepthwiseConv")),
    ("transposed convolution", style.PHONES[1], ("Deconvolution", "ConvTranspose", "RankUp")),
    ("low-rank or frequency layer", style.PHONES[0], ("LowRankPass", "RankPass", "RankCore")),
    ("matrix product", style.PHONES[3], ("InnerProduct", "Gemm", "MatMul", "MultiHeadAttention", "LSTM")),
    ("anything else", "#999999", ()),
)
"""What a kind of layers is called, its colour, and how the names of its types begin; the longest that fits counts."""
_MOST_WORDS = 4
_NAMED = 0.01
"""Surprises from this share of the time on are named in the drawing."""
_MEASURED, _PREDICTED = (0.30, 0.68), (0.72, 0.86)
"""From where to where the bars are in a row."""


def draw(context: Context) -> tuple[Picture, ...]:
    """The plot `layers`; none where no layer was timed, or only under translation."""
    panels: dict[str, list[Profile]] = {}
    for one in context.findings.profiles:
        if one.layers and not one.translated:
            title = f"{context.labels.model(one.subject.model)} on {context.labels.where(one.subject)}"
            panels.setdefault(title, []).append(one)
    if not panels:
        return ()
    rows = sum(map(len, panels.values()))
    sheet = style.Sheet(0.4 + rows * ROW_IN + len(panels) * (style.TITLE_IN + style.AXIS_IN))
    with style.styled("layers"):
        _key(sheet, [one for found in panels.values() for one in found])
        top = 0.4 + style.TITLE_IN
        for title, found in panels.items():
            left = max(style.width(one.subject.variant) for one in found) + 0.25
            height = ROW_IN * len(found)
            for number, one in enumerate(found):
                base = top + (number + 0.49) * ROW_IN + 0.05
                sheet.text(0.06, base, one.subject.variant, weight="bold")
                sheet.text(0.06, base + 0.16, quantity(one.total, "ns"), size=style.SMALL)
                sheet.text(0.06, top + (number + 0.79) * ROW_IN + 0.04, "predicted", size=7, style="italic")
            left = max(left, 0.85)
            _panel(sheet.axes(left, top, style.WIDTH_IN - left - 0.1, height, title), found)
            top += height + style.AXIS_IN + style.TITLE_IN
        return (style.finished(sheet, "layers", TITLE, _alt(panels)),)


def kind(type_: str) -> int:
    """The place in KINDS of a layer's type."""
    fits = [
        (len(start), place) for place, (_, _, starts) in enumerate(KINDS) for start in starts if type_.startswith(start)
    ]
    return max(fits)[1] if fits else len(KINDS) - 1


def _panel(axes: Axes, found: Sequence[Profile]) -> None:
    longest = max(one.total for one in found) or 1.0
    style.scale(axes, "ns", (0.0, longest), logarithmic=False, pad=0.01, most=6)
    axes.set_xlim(0, 1.005 * longest)
    axes.set_ylim(len(found), 0)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    inches = axes.get_position().width * style.WIDTH_IN / (1.005 * longest)
    for row, one in enumerate(found):
        for start, ns, layer in _cut(one, [layer.share for layer in one.layers]):
            _bar(axes, row, _MEASURED, start, ns, layer)
        if any(layer.predicted is not None for layer in one.layers):
            for start, ns, layer in _cut(one, [layer.predicted or 0.0 for layer in one.layers]):
                _bar(axes, row, _PREDICTED, start, ns, layer, faint=True)
        _name(axes, row, one, inches)


def _cut(one: Profile, shares: Sequence[float]) -> Iterator[tuple[float, float, LayerShare]]:
    """Where each layer begins, and how long it is, when the bar is as long as the sum of layers."""
    start, all_ = 0.0, sum(shares) or 1.0
    for layer, share in zip(one.layers, shares, strict=True):
        ns = one.total * share / all_
        if ns > 0:
            yield start, ns, layer
        start += ns


def _bar(
    axes: Axes, row: int, span: tuple[float, float], start: float, ns: float, layer: LayerShare, *, faint: bool = False
) -> None:
    colour = KINDS[kind(layer.type)][1]
    fill = style.tint(colour, 0.55) if faint else colour
    low, high = span
    axes.barh(row + (low + high) / 2, ns, left=start, height=high - low, facecolor=fill, edgecolor="white", lw=0.5)


def _name(axes: Axes, row: int, one: Profile, inches: float) -> None:
    """The worst surprises above their layers, as far as they do not run into each other."""
    middles = {id(layer): start + ns / 2 for start, ns, layer in _cut(one, [layer.share for layer in one.layers])}
    taken: list[tuple[float, float]] = []
    low, high = axes.get_xlim()
    worst = [layer for layer in one.surprises if layer.surprise >= _NAMED and id(layer) in middles]
    for layer in worst[: 2 * _MOST_WORDS]:
        words = f"{style.short(layer.label, 26)} {100 * layer.surprise:+.1f}"
        half = (style.width(words, 7) / 2 + 0.05) / inches
        at = min(max(middles[id(layer)], low + half), high - half)
        if len(taken) == _MOST_WORDS or any(abs(at - x) < half + other for x, other in taken):
            continue
        taken.append((at, half))
        axes.text(at, row + 0.13, words, fontsize=7, ha="center", va="center")
        axes.plot([middles[id(layer)]] * 2, [row + 0.21, row + 0.29], color=style.INK, lw=0.7)


def _key(sheet: style.Sheet, found: Sequence[Profile]) -> None:
    used = sorted({kind(layer.type) for one in found for layer in one.layers if layer.share > 0})
    axes = sheet.axes(0.06, 0.06, style.WIDTH_IN - 0.06, 0.2)
    axes.set_axis_off()
    axes.set_xlim(0, style.WIDTH_IN)
    axes.set_ylim(0, 1)
    x = 0.0
    for place in used:
        name, colour, _ = KINDS[place]
        axes.barh(0.5, 0.18, left=x, height=0.62, facecolor=colour)
        axes.text(x + 0.23, 0.5, name, va="center_baseline", fontsize=style.SMALL)
        x += 0.38 + style.width(name, style.SMALL)
    axes.text(x, 0.5, "above: surprises, in points", va="center_baseline", fontsize=style.SMALL, style="italic")


def _alt(panels: dict[str, list[Profile]]) -> str:
    said = []
    for title, found in panels.items():
        items = []
        for one in found:
            largest = sorted(one.layers, key=lambda layer: -layer.share)[:5]
            words = [f"{layer.label} {100 * layer.share:.0f} %" for layer in largest]
            items.append(f"{one.subject.variant}, {quantity(one.total, 'ns')}: {', '.join(words)}")
        said.append(f"{title}: {'; '.join(items)}")
    return f"{TITLE}. {'. '.join(said)}."
