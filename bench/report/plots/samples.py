"""Samples with what is right and what was answered: masks over the picture, or classes with their confidence."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from bench.evidence import Answered, Example
from bench.report.labels import SHORT
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import percent, quantity

Pixels = NDArray[np.uint8]
MOST_TILES = 7
"""Beside each other: input, truth and answers; more variants make another picture."""
TINTS = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#0072B2", "#D55E00")
"""Of classes from 1 on; class 0 is the ground."""
GREYS = 16
"""Levels of the picture below a mask: as many as it takes to be recognised, and few bytes."""
GAP_IN, CAPTION_IN, ROW_IN, CARD_IN = 0.07, 0.18, 0.2, 4.0


def draw(context: Context) -> tuple[Picture, ...]:
    """A plot `samples-N` for each network with stored pictures; two where there are many variants."""
    found: list[Picture] = []
    for model in context.models:
        mine = [one for one in context.findings.examples if one.model == model and one.answers]
        if not mine:
            continue
        if mine[0].task == "classification":
            found.append(_cards(f"samples-{len(found)}", mine, context))
            continue
        columns = _alike(mine)
        for first in range(0, len(columns), MOST_TILES - 2):
            part = columns[first : first + MOST_TILES - 2]
            found.append(_tiles(f"samples-{len(found)}", mine, part, context))
    return tuple(found)


def _alike(examples: Sequence[Example]) -> list[list[str]]:
    """The variants that have pictures, those together that gave the very same answers: forms of one function."""
    columns: dict[tuple[object, ...], list[str]] = {}
    for variant in (a.subject.variant for a in examples[0].answers):
        mine = [a for one in examples for a in one.answers if a.subject.variant == variant]
        if any(a.picture or a.reference for a in mine):
            columns.setdefault(tuple((a.picture or a.reference, a.score) for a in mine), []).append(variant)
    return list(columns.values())


def _title(examples: Sequence[Example], context: Context) -> str:
    model = context.labels.model(examples[0].model)
    where = context.labels.place(examples[0].answers[0].subject)
    worst = sum(one.worst for one in examples)
    chosen = (
        f"{len(examples)} samples, {worst} of them among the worst answered" if worst else f"{len(examples)} samples"
    )
    return f"{model} on {where}: {chosen}"


def _number(example: Example) -> str:
    return f"sample {example.index}{' (worst)' if example.worst else ''}"


def _cards(name: str, examples: Sequence[Example], context: Context) -> Picture:
    """Two beside each other: the input, what is right, and each variant's answer with its confidence as a bar."""
    title = _title(examples, context)
    count = max(len(one.answers) for one in examples)
    tall = max(ROW_IN * (count + 1) + 0.08, 1.0) + 0.22
    sheet = style.Sheet(style.TITLE_IN + tall * ((len(examples) + 1) // 2))
    with style.styled(name):
        sheet.text(0.06, style.TITLE_IN - 0.13, title, weight="bold", size=10.5)
        for n, one in enumerate(examples):
            left, top = 0.06 + (n % 2) * (style.WIDTH_IN / 2), style.TITLE_IN + (n // 2) * tall
            _show(sheet.axes(left, top + 0.02, 1.0, 1.0), _decoded(one.input, "RGB"))
            x = left + 1.12
            truth = f"truth: {one.label}" if one.label else "truth not known"
            sheet.text(x, top + 0.15, style.cut(truth, 1.7), weight="bold")
            number = _number(one)
            sheet.text(
                left + CARD_IN - style.width(number, 7) - 0.06, top + 0.14, number, size=7, alpha=0.75
            )  # fmt: skip
            axes = sheet.axes(x, top + 0.2, CARD_IN - 1.12, ROW_IN * count)
            _classes(axes, one.answers, count)
        return style.finished(sheet, name, title, _alt_classes(title, examples))


def _classes(axes: Axes, answers: Sequence[Answered], count: int) -> None:
    """A row a variant; the bar is as long as the answer is sure, filled where it is right."""
    inches = axes.get_position().width * style.WIDTH_IN
    axes.set_axis_off()
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlim(0, inches)
    name_in, word_in = 1.0, 0.75
    for y, a in enumerate(answers):
        axes.text(0, y, style.cut(a.subject.variant, name_in - 0.06, style.SMALL), va="center", fontsize=style.SMALL)
        start, longest = name_in, inches - name_in - word_in - 0.5
        colour = style.REFERENCE if a.score is None else style.PHONES[1] if a.score else style.PHONES[0]
        full = a.confidence or 0.0
        axes.barh(y, longest, left=start, height=0.5, facecolor="none", edgecolor=style.GRID, lw=0.4)
        axes.barh(
            y, longest * full, left=start, height=0.5, edgecolor=colour, lw=0.8,
            facecolor=colour if a.score != 0 else style.tint(colour), hatch="////" if a.score == 0 else None,
        )  # fmt: skip
        sign = {None: "", 1.0: " ✓", 0.0: " ✗"}.get(a.score, "")
        sure = f"{100 * full:.0f} %" if a.confidence is not None else ""
        axes.text(start + longest + 0.05, y, sure, va="center", fontsize=7, alpha=0.8)
        axes.text(
            start + longest + 0.42, y, style.cut(f"{a.answer}{sign}", word_in, style.SMALL), va="center",
            fontsize=style.SMALL, fontweight="bold",
        )  # fmt: skip


def _alt_classes(title: str, examples: Sequence[Example]) -> str:
    parts = []
    for one in examples:
        said = []
        for a in one.answers:
            sure = f" ({100 * a.confidence:.0f} %)" if a.confidence is not None else ""
            right = "" if a.score is None else ", right" if a.score else ", wrong"
            said.append(f"{a.subject.variant} answers {a.answer}{sure}{right}")
        parts.append(f"{_number(one)}, truth {one.label or 'not known'}: {'; '.join(said)}")
    return f"{title}. {'. '.join(parts)}."


def _tiles(name: str, examples: Sequence[Example], variants: Sequence[list[str]], context: Context) -> Picture:
    """A row a sample: input, truth, and each variant's answer with its own score."""
    title = _title(examples, context)
    has_truth = any(one.truth for one in examples)
    heads = ["input", *(["truth"] if has_truth else []), *map(_head, variants)]
    wide = (style.WIDTH_IN - 0.12 - GAP_IN * (len(heads) - 1)) / len(heads)
    wide = min(wide, 1.9)
    first = _decoded(examples[0].input, "RGB")
    high = wide * first.shape[0] / first.shape[1]
    row = high + CAPTION_IN + GAP_IN
    top = style.TITLE_IN + 0.2
    sheet = style.Sheet(top + row * len(examples))
    metric = context.labels.score(examples[0].model)
    with style.styled(name):
        sheet.text(0.06, style.TITLE_IN - 0.13, title, weight="bold", size=10.5)
        for column, head in enumerate(heads):
            sheet.text(0.06 + column * (wide + GAP_IN), top - 0.06, style.cut(head, wide), size=style.SMALL)
        for n, one in enumerate(examples):
            shown = _decoded(one.input, "RGB")
            tiles: list[tuple[Pixels, str]] = [
                (shown & np.uint8(0xF8), _number(one))
            ]  # what nobody sees of a picture is a third of its bytes
            if has_truth:
                tiles.append((_laid(one, one.truth, shown), ""))
            for a in (a for v in variants for a in one.answers if a.subject.variant == v[0]):
                tiles.append((_laid(one, a.picture or a.reference, shown, one.truth), _caption(a, metric)))
            for column, (pixels, words) in enumerate(tiles):
                left, y = 0.06 + column * (wide + GAP_IN), top + n * row
                _show(sheet.axes(left, y, wide, high), pixels)
                sheet.text(left, y + high + 0.13, style.cut(words, wide, 7.5), size=7.5)
        return style.finished(sheet, name, title, _alt_tiles(title, examples, variants, metric))


def _head(alike: Sequence[str]) -> str:
    return f"{alike[0]} and {len(alike) - 1} alike" if len(alike) > 1 else alike[0]


def _caption(a: Answered, metric: str | None) -> str:
    """This sample's score, and whether the phone answers as the desktop does."""
    words = [f"{SHORT[metric]} {_score(a, metric)}"] if a.score is not None and metric else []
    if not a.picture:
        words.append("desktop's" if a.reference else "no picture")
    elif a.agrees is not None and a.agrees < 1:
        words.append(f"{100 * (1 - a.agrees):.2g} % unlike desktop")
    return ", ".join(words)


def _score(a: Answered, metric: str | None) -> str:
    unit = "dB" if metric == "psnr" else "fraction"
    return quantity(a.score or 0.0, unit) if unit == "dB" else percent(a.score or 0.0)


def _alt_tiles(title: str, examples: Sequence[Example], variants: Sequence[list[str]], metric: str | None) -> str:
    called = SHORT[metric] if metric else "score"
    parts = []
    for one in examples:
        mine = [a for a in one.answers if any(a.subject.variant in alike for alike in variants)]
        said = [f"{a.subject.variant} {_score(a, metric)}" for a in mine if a.score is not None]
        parts.append(f"{_number(one)}: {called} {', '.join(said) if said else 'not known'}")
    return f"{title}. {'. '.join(parts)}."


def _decoded(png: bytes, mode: str) -> Pixels:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return np.asarray(picture.convert(mode))


def _show(axes: Axes, pixels: Pixels) -> None:
    axes.imshow(pixels, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.4, color=style.GRID)


def _laid(example: Example, png: bytes, shown: Pixels, truth: bytes = b"") -> Pixels:
    """An answer as it is shown: a picture as it is, a mask over the grey input, tinted and outlined. Where the truth is
    another, its outline is white."""
    if not png:
        return np.full_like(shown, 128)
    if example.task != "segmentation":
        return _decoded(png, "RGB")
    mask = _fitted(_decoded(png, "L"), shown)
    light = np.asarray(Image.fromarray(shown).convert("L").filter(ImageFilter.BoxBlur(1))).astype(np.float64)
    grey = (light / 255 * (GREYS - 1)).round() / (GREYS - 1)
    pixels = np.repeat((40 + 170 * grey)[..., None], 3, axis=2)
    edge = _outline(mask)
    for number in range(1, int(mask.max(initial=0)) + 1):
        tint = np.array([int(TINTS[(number - 1) % len(TINTS)][i : i + 2], 16) for i in (1, 3, 5)])
        inside = mask == number
        pixels[inside] = 0.5 * pixels[inside] + 0.5 * tint
        pixels[inside & edge] = tint
    if truth:
        right = _fitted(_decoded(truth, "L"), shown)
        pixels[_outline(right) & ~edge & (right > 0)] = 255
    return pixels.round().astype(np.uint8)


def _fitted(mask: Pixels, shown: Pixels) -> Pixels:
    """A mask at the size of the picture that it is laid over."""
    size = (shown.shape[1], shown.shape[0])
    if mask.shape == shown.shape[:2]:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _outline(mask: Pixels) -> NDArray[np.bool_]:
    """Pixels of a class beside which there is another class."""
    padded = np.pad(mask, 1, mode="edge")
    middle = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    found: NDArray[np.bool_] = np.any([middle != other for other in beside], axis=0)
    return found
