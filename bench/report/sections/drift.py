"""Drift: what each variant keeps of its score on corrupted samples, and which lose more than the ordinary network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.drifted import Bounds, Cell, Drift, Kind
from bench.findings import Summary
from bench.report import table
from bench.report.drift import grouped, score, where
from bench.report.labels import listed
from bench.report.section import Context, Folded, Picture, Section
from bench.report.table import Table
from bench.units import percent

NOTES = (
    "Each figure is a mean over the severities, with its 95 % interval over samples (bootstrap); a sample counts once. "
    "Below it is how far that is from the same samples as they are, in points.",
    "More, less: by how much a variant falls further than the ordinary network, in points; p by sign flips over "
    "samples, corrected (Holm) for all corruptions and variants of the table. Without it no difference is shown.",
)
SEVERITY_NOTES = (
    "Each figure with its 95 % interval over samples, and how far it is from the same samples as they are, in points. "
    "Grey: the paired test (McNemar's, of masks sign flips; corrected by Holm for all cells of the table) shows no "
    "difference.",
)
HARSH = (
    "Corruptions are made by bench, and are no weather: they rank variants, and do not foretell a score in the field."
)


def section(context: Context) -> Section | None:
    found = context.findings.drift
    failed = [s for s in context.findings.summaries if s.metric == "drift_score" and s.statistics is None]
    if not (found or failed):
        return None
    groups = list(grouped(found))
    return Section(
        "drift",
        "Drift",
        sentences=(*(_sentence(mine, context) for mine in groups), *(_failed(s, context) for s in failed)),
        details=tuple(_missing(found, context)),
        note=HARSH,
        tables=tuple(_table(mine, context) for mine in groups),
        pictures=_pictures(context),
        folded=tuple(
            Folded(f"drift-{number}", _severities(mine, context), "Every severity.")
            for number, mine in enumerate(groups, 1)
        ),
    )


def _pictures(context: Context) -> tuple[Picture, ...]:
    if not context.pictures:
        return ()
    from bench.report.plots import drift  # matplotlib takes a second to import

    return drift.draw(context)


def _shown(mine: Sequence[Drift], context: Context) -> str:
    """How many samples, corruptions and severities."""
    record = context.run.samples[mine[0].subject.model]
    sets = [one for one in record.drift.sets if one.name] if record.drift else []
    levels = sorted({len(one.severities) for one in sets})
    each = f"{levels[0]}" if len(levels) == 1 else f"{levels[0]} to {levels[-1]}"
    what = f"{len(sets)} corruptions" if len(sets) != 1 else sets[0].text
    severities = "severity" if levels == [1] else "severities"
    part = f"{mine[0].n:,} of {record.count:,}" if mine[0].n < record.count else f"{mine[0].n:,}"
    return f"{part} samples under {what} in {each} {severities}"


def _sentence(mine: Sequence[Drift], context: Context) -> str:
    first = mine[0]
    begun = f"{context.labels.model(first.subject.model)} on {where(mine, context)}, {_shown(mine, context)}"
    if first.score == "drift_agreement":
        parts = [f"{one.subject.variant} {percent(one.overall.value)}" for one in mine if one.overall]
        kept = f"the answer stays that to the sample as it is (nobody knows the right one): {', '.join(parts)}"
    else:
        parts = [
            f"{one.subject.variant} keeps {percent(one.relative)} of its {score(one)} ({percent(one.clean)} → "
            f"{percent(one.overall.value)})"
            for one in mine
            if one.overall and one.relative is not None
        ]
        kept = ", ".join(parts)
    return f"{begun}: {kept or 'not all of them were answered'}. {' '.join(_losses(mine))}".rstrip()


def _losses(mine: Sequence[Drift]) -> Iterator[str]:
    """Who loses more than the ordinary network, and under what."""
    base = next((one.subject.variant for one in mine if one.ordinary), "")
    calm = []
    for one in mine:
        if one.ordinary or not base or not any(k.more is not None for k in one.kinds):
            continue
        called = [k for k in one.kinds if k.called and k.more is not None]
        parts = [
            f"{word} under {listed([f'{k.text} ({_p(k)})' for k in some])}"
            for word, some in (
                ("more", [k for k in called if (k.more or 0) > 0]),
                ("less", [k for k in called if (k.more or 0) < 0]),
            )
            if some
        ]
        if parts:
            yield f"{one.subject.variant} loses {' and '.join(parts)} than {base}."
        else:
            calm.append(one.subject.variant)
    if calm:
        verb = "loses" if len(calm) == 1 else "lose"
        yield f"That {listed(calm)} {verb} more than {base} is shown for no corruption."


def _p(one: Kind) -> str:
    p = one.p or 0.0
    return f"{_points(abs(one.more or 0.0))} points, p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}"


def _failed(summary: Summary, context: Context) -> str:
    name, place = f"{summary.subject.variant} {summary.subject.model}", context.labels.where(summary.subject)
    return f"{name} on {place} was shown no corrupted samples: {summary.caveats[0].text}."


def _missing(found: Sequence[Drift], context: Context) -> Iterator[str]:
    for one in found:
        for why in one.missing:
            yield f"{one.subject.variant} {one.subject.model} on {context.labels.where(one.subject)}: {why}."


def _title(mine: Sequence[Drift], context: Context) -> str:
    return f"{context.labels.model(mine[0].subject.model)} on {where(mine, context)}: {score(mine[0])}"


def _table(mine: Sequence[Drift], context: Context) -> Table:
    """A row a corruption, a column a variant."""
    names = dict.fromkeys((kind.name, kind.text) for one in mine for kind in one.kinds)
    rows = []
    if mine[0].score != "drift_agreement":
        cells = [_figure(one.clean, one.clean_bounds) for one in mine]
        rows.append((table.Cell("as they are", tone="strong"), *cells))
    for name, text in names:
        rows.append((table.Cell(text, tone="strong"), *(_cell(one, one.kind(name)) for one in mine)))
    rows.append((table.Cell("mean of all", tone="strong"), *(_cell(one, one.overall) for one in mine)))
    if mine[0].score != "drift_agreement":
        rows.append(
            (
                table.Cell("kept of the score", tone="strong"),
                *(_figure(one.relative, one.relative_bounds) for one in mine),
            )
        )
    return Table(_title(mine, context), ("Corruption", *(one.subject.variant for one in mine)), tuple(rows), NOTES, 1)


def _figure(value: float | None, bounds: Bounds | None) -> table.Cell:
    if value is None:
        return table.Cell("–", tone="muted")
    return table.Cell(percent(value), _bounds(bounds), value=value)


def _cell(one: Drift, kind: Kind | None) -> table.Cell:
    if kind is None:
        return table.Cell("not measured", tone="muted")
    parts = [_bounds(kind.bounds)]
    if one.score != "drift_agreement":
        parts.append(_signed(kind.value - one.clean))
    tone: table.Tone = "plain"
    if kind.called and kind.more is not None:
        parts.append(f"{_points(abs(kind.more))} {'more' if kind.more > 0 else 'less'}, {_p(kind).rpartition(', ')[2]}")
        tone = "bad" if kind.more > 0 else "strong"
    return table.Cell(percent(kind.value), "; ".join(filter(None, parts)), tone, value=kind.value)


def _severities(mine: Sequence[Drift], context: Context) -> Table:
    places = dict.fromkeys((kind.name, kind.text, cell.severity) for one in mine for kind in one.kinds
                           for cell in kind.cells)  # fmt: skip
    rows = tuple(
        (
            table.Cell(text, tone="strong"),
            table.Cell(str(severity), value=severity),
            *(_of_severity(one, _at(one.kind(name), severity)) for one in mine),
        )
        for name, text, severity in places
    )
    header = ("Corruption", "Severity", *(one.subject.variant for one in mine))
    return Table(f"{_title(mine, context)}, by severity", header, rows, SEVERITY_NOTES, 1)


def _at(kind: Kind | None, severity: int) -> Cell | None:
    return next((cell for cell in kind.cells if cell.severity == severity), None) if kind else None


def _of_severity(one: Drift, cell: Cell | None) -> table.Cell:
    if cell is None:
        return table.Cell("not measured", tone="muted")
    parts = [_bounds(cell.bounds)]
    if one.score != "drift_agreement":
        parts.append(f"{_signed(cell.difference)}{_between(cell.difference_bounds)}")
    shown = cell.called or one.score == "drift_agreement"
    return table.Cell(
        percent(cell.value), "; ".join(filter(None, parts)), "plain" if shown else "muted", value=cell.value
    )


def _bounds(found: Bounds | None) -> str:
    return f"{100 * found[0]:.1f}–{100 * found[1]:.1f}" if found else ""


def _between(found: Bounds | None) -> str:
    return f" ({_signed(found[0])} to {_signed(found[1])})" if found else ""


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _signed(value: float) -> str:
    text = f"{100 * value:+.1f}".replace("-", "−")
    return text if text.strip("+−0.") else "0.0"
