"""Layers: what each takes, and what its multiply-adds and bytes predict; the ordinary network beside its variants."""

from __future__ import annotations

from collections.abc import Sequence

from bench.layered import SUMS_UP, LayerShare, Profile
from bench.report.labels import listed
from bench.report.section import Context, Folded, Picture, Section
from bench.report.table import Cell, Table, Tone
from bench.units import quantity

HEADER = (
    "Layer",
    "Type",
    "Output",
    "Time",
    "Share",
    "95 % interval",
    "Predicted",
    "Surprise",
    "Multiply-adds",
    "Moved",
)
SUMS = ("Network", "Variant", "Where", "Sum of layers", "Unprofiled", "Apart", "Layers", "Launches")
NOTES = (
    "Time: median over launches, each of them timing every layer alone; conversions of what a layer reads are in it. "
    "Share: of the sum of layers, with its interval over launches.",
    "Predicted: the share that it would have if its time were a × multiply-adds + b × bytes moved, with the same a and "
    "b for all layers of the network there, fitted to them. Surprise: measured less predicted, in points.",
    "A deferred layer makes its rows when the next one reads them: its time, and its work, are in that one.",
)
SUM_NOTE = (
    f"Apart: the sum of layers against the same inference unprofiled. Beyond {100 * SUMS_UP:g} % the shares are of "
    "what was timed, and not of the latency."
)
WORST = 12
"""Rows of a table that a terminal shows; the page has all of them."""
_LEAST = 0.01
"""A surprise of less than a point is none."""


def section(context: Context) -> Section | None:
    found = context.findings.profiles
    if not found:
        return None
    good = [one for one in found if one.layers]
    return Section(
        "layers",
        "Layers",
        notices=tuple(_notice(one, context) for one in good if one.apart is not None and not one.sums_up),
        sentences=tuple(
            _sentence(one, context) if one.layers else f"{_name(one, context)}: no layers, {one.refused}."
            for one in found
        ),
        tables=(_sums(good, context), *(_table(one, context, most=WORST) for one in good)) if good else (),
        folded=tuple(
            Folded(f"layers-{number}", _table(one, context), "Every layer, in the order of execution.")
            for number, one in enumerate(good, 1)
        ),
        pictures=_pictures(context),
    )


def _pictures(context: Context) -> tuple[Picture, ...]:
    if not context.pictures:
        return ()
    from bench.report.plots import layers  # matplotlib takes a second to import

    return layers.draw(context)


def _name(one: Profile, context: Context) -> str:
    return f"{one.subject.variant} {context.labels.model(one.subject.model)} on {context.labels.where(one.subject)}"


def _sentence(one: Profile, context: Context) -> str:
    """Where the time is, and what is not as predicted."""
    if one.translated:
        return f"{_name(one, context)}: times of layers mean nothing, because the machine code is translated."
    by_time = sorted(one.layers, key=lambda layer: -layer.share)[:3]
    where = listed([f"{layer.label} ({100 * layer.share:.0f} %)" for layer in by_time])
    slow = [layer for layer in one.surprises if layer.surprise >= _LEAST][:2]
    words = [
        f"{layer.label} ({layer.type}) takes {100 * layer.share:.1f} % where {100 * (layer.predicted or 0):.1f} % were "
        "predicted"
        for layer in slow
    ]
    return f"{_name(one, context)}: most time is in {where}{'; ' + listed(words) if words else ''}."


def _notice(one: Profile, context: Context) -> str:
    """That the layers do not add up to the latency, and why, as far as that is known."""
    assert one.apart is not None
    less, cost = one.apart < 0, one.cost
    words = (
        f"{_name(one, context)}: the layers together take {quantity(one.total, 'ns')}, {100 * abs(one.apart):.0f} % "
        f"{'less' if less else 'more'} than {one.of} ({quantity(one.whole or 0.0, 'ns')})."
    )
    if less and one.layered and one.total < (1 - SUMS_UP) * one.layered:
        return (
            f"{words} As wholes, the inferences whose layers were timed took {quantity(one.layered, 'ns')}: something "
            "interrupted them, and the medians of single layers leave that out."
        )
    if not less and cost is not None and cost > SUMS_UP:
        return f"{words} An inference whose layers are timed takes {100 * cost:.0f} % longer."
    return words


def _sums(found: Sequence[Profile], context: Context) -> Table:
    rows = []
    for one in found:
        labels = context.labels
        apart = one.apart
        rows.append(
            (
                Cell(labels.model(one.subject.model)), Cell(one.subject.variant), Cell(labels.where(one.subject)),
                _time(one.total), _time(one.whole) if one.whole else Cell("–"),
                Cell("–") if apart is None
                else Cell(f"{100 * apart:+.1f} %", tone="plain" if one.sums_up else "bad", value=apart),
                Cell(str(len(one.layers)), value=len(one.layers)), Cell(str(one.launches), value=one.launches),
            )
        )  # fmt: skip
    return Table("The sum of layers", SUMS, tuple(rows), (SUM_NOTE,), words=3)


def _table(one: Profile, context: Context, most: int | None = None) -> Table:
    """The worst surprises, or all layers in the order of execution."""
    shown = one.layers if most is None else one.surprises[:most] or one.layers[:most]
    title = f"{_name(one, context)}: {'every layer' if most is None else 'the worst surprises first'}"
    return Table(title, HEADER, tuple(_row(layer) for layer in shown), NOTES if most is not None else (), words=3)


def _row(layer: LayerShare) -> tuple[Cell, ...]:
    shape = Cell("×".join(map(str, layer.shape)) or ("deferred" if layer.deferred else "–"))
    interval = f"{100 * layer.interval[0]:.1f} to {100 * layer.interval[1]:.1f} %" if layer.interval else "–"
    tone: Tone = "bad" if layer.surprise >= _LEAST else "plain"
    return (
        Cell(layer.label), Cell(layer.type), shape, _time(layer.ns), _share(layer.share), Cell(interval),
        _share(layer.predicted),
        Cell("–") if layer.predicted is None
        else Cell(f"{100 * layer.surprise:+.1f}", tone=tone, value=layer.surprise),
        Cell("–") if layer.macs is None else Cell(quantity(float(layer.macs), "count"), value=float(layer.macs)),
        Cell("–") if layer.moved is None else Cell(quantity(float(layer.moved), "B"), value=float(layer.moved)),
    )  # fmt: skip


def _time(ns: float) -> Cell:
    return Cell(quantity(ns, "ns"), value=ns)


def _share(share: float | None) -> Cell:
    return Cell("–") if share is None else Cell(f"{100 * share:.1f} %", value=share)
