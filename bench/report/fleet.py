"""Several runs on one page: the same networks and variants, run by run and phone by phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import bench
from bench.files import replace
from bench.fleet import Figure, Standing
from bench.records import METRICS, SCHEMA_VERSION
from bench.report import html, markdown, values
from bench.report.labels import SHORT, interval, listed, score_interval
from bench.report.page import Page, render
from bench.report.section import Picture, Section
from bench.report.table import Cell, Table
from bench.units import quantity, ratio

COLUMNS = (
    "run", "started", "commit", "device", "device_name", "os", "virtual", "translated", "model", "variant", "runtime",
    "threads", "precision", "ordinary", "metric", "unit", "value", "low", "high", "launches", "ratio", "ratio_low",
    "ratio_high", "called", "difference", "doubt", "apart",
)  # fmt: skip
"""Of the table of figures: `ratio` is the ordinary network ÷ this, `apart` why the first run is not comparable."""
_TYPES = {
    "virtual": pa.bool_(), "translated": pa.bool_(), "ordinary": pa.bool_(), "called": pa.bool_(),
    "threads": pa.int32(), "launches": pa.int64(),
} | dict.fromkeys(("value", "low", "high", "ratio", "ratio_low", "ratio_high", "difference"), pa.float64())  # fmt: skip
_SHORT = SHORT | {"energy": "energy"}
APART = "Not comparable with the first run"


def write(path: Path, standings: Sequence[Standing]) -> Path:
    """Write the page, and beside it, under the same name, the figures as CSV and Parquet, the report as Markdown, and a
    folder of plots. Returns the page's path. Nothing here may be empty."""
    shown = sections(standings)
    plots = path.with_name(f"{path.stem}-plots")
    html.plots(plots, shown)
    found = list(_rows(standings))
    replace(path.with_suffix(".csv"), values.as_csv(COLUMNS, found).encode())
    replace(path.with_suffix(".parquet"), values.as_parquet(COLUMNS, _TYPES, found))
    title = _title(standings)
    replace(path.with_suffix(".md"), markdown.document(title, shown, plots.name).encode())
    written = f"bench {bench.__version__}"
    footer = f"Written by {written}. {path.stem}.csv and {path.stem}.parquet have every figure of this page."
    page = Page(title, "", tuple(_facts(standings)), shown, f"{written}, schema {SCHEMA_VERSION}", footer)
    replace(path, render(page).encode())
    return path


def sections(standings: Sequence[Standing], *, pictures: bool = True) -> tuple[Section, ...]:
    """What a page or a terminal shows of several runs."""
    models = list(dict.fromkeys(one.subject.model for one in standings))
    mine = {model: [one for one in standings if one.subject.model == model] for model in models}
    tables = tuple(_table(model, found) for model, found in mine.items())
    plots: tuple[Picture, ...] = ()
    if pictures:
        from bench.report import fleet_plot  # matplotlib takes a second to import

        plots = fleet_plot.draw(mine)
    return (
        Section("notices", notices=tuple(_notices(standings))),
        Section("answer", "In short", sentences=tuple(_sentences(mine)), tables=(_overview(standings),)),
        Section("networks", "Side by side", note=_NOTE, tables=tables),
        *((Section("plots", "Plots", note=_PLOT_NOTE, pictures=plots, background=True),) if plots else ()),
    )


_NOTE = (
    "With a median: its 95 % bootstrap interval over launches. Ratios are the ordinary network ÷ the variant of the "
    "same run and phone: above 1× the variant is faster or smaller; a grey one is not called. Differences of scores "
    "are not tested here: each run's own report does."
)
_PLOT_NOTE = (
    "Squares: the ordinary network; circles: variants, with their ratio to it; hollow: virtual; crosses: not usable; "
    "*: not comparable with the first run. A line is the 95 % interval."
)


def as_json(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """Every figure, in base units (ns, bytes, fractions)."""
    return list(_rows(standings))


def _title(standings: Sequence[Standing]) -> str:
    runs, devices = _runs(standings), _devices(standings)
    return f"{len(runs)} run{'s' * (len(runs) > 1)} on {len(devices)} device{'s' * (len(devices) > 1)}"


def _runs(standings: Sequence[Standing]) -> list[str]:
    return list(dict.fromkeys(one.run for one in standings))


def _devices(standings: Sequence[Standing]) -> list[str]:
    return list(dict.fromkeys(_place(one) for one in standings))


def _place(one: Standing) -> str:
    marks = [word for word, so in (("virtual", one.virtual), ("translated", one.translated)) if so]
    return f"{one.subject.device} ({', '.join(marks)})" if marks else one.subject.device


def _facts(standings: Sequence[Standing]) -> Iterator[tuple[str, str]]:
    yield "Networks", listed(list(dict.fromkeys(one.subject.model for one in standings)))
    devices = _devices(standings)
    yield "Devices", listed(devices) if len(devices) <= html.FEW else f"{len(devices)}"
    started = sorted(one.started[:10] for one in standings)
    yield "Measured", started[0] if started[0] == started[-1] else f"{started[0]} to {started[-1]}"


def _notices(standings: Sequence[Standing]) -> Iterator[str]:
    virtual = list(dict.fromkeys(one.subject.device for one in standings if one.virtual))
    if virtual:
        yield (
            f"Virtual: {listed(virtual)}. What was measured there compares variants with each other on the processor "
            "of a computer; none of it is a phone's."
        )
    apart: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for one in standings:
        for metric, figure in one.figures.items():
            if figure.apart:
                metrics, models = apart.setdefault(figure.apart, ({}, {}))
                metrics.setdefault(_SHORT[metric])
                models.setdefault(one.subject.model)
    for why, (metrics, models) in apart.items():
        yield (
            f"{APART}: {listed(list(metrics))} of {listed(list(models))} where a * stands ({why}). What a ratio says "
            "holds there too: both of its sides are of one run."
        )


def _sentences(mine: dict[str, list[Standing]]) -> Iterator[str]:
    """For each network the variant that gains most, over all runs and phones in which it is called."""
    for model, found in mine.items():
        runs = len({(one.run, one.subject.device) for one in found})
        gains: dict[str, list[Figure]] = {}
        for one in found:
            if not one.ordinary and "latency" in one.figures:
                gains.setdefault(one.subject.variant, []).append(one.figures["latency"])
        ranked = {v: _middle([f.ratio for f in fs if f.ratio]) for v, fs in gains.items() if any(f.ratio for f in fs)}
        if not ranked:
            yield _without_times(model, found)
            continue
        best = max(ranked, key=lambda variant: ranked[variant])
        yield _sentence(model, best, gains[best], runs)


def _without_times(model: str, found: Sequence[Standing]) -> str:
    """What is known of a network whose latencies are not compared, and why they are not."""
    times = [one.figures["latency"] for one in found if "latency" in one.figures]
    why = "; ".join(dict.fromkeys(figure.doubt for figure in times if figure.doubt))
    others = {
        metric: [
            (f.ratio, one.subject.variant) for one in found if (f := one.figures.get(metric)) and f.ratio and f.called
        ]
        for metric in ("vm_hwm", "deployed", "energy")
    }
    gains = [
        f"{_SHORT[metric]} {ratio(times)} less with {variant}"
        for metric, ratios in others.items()
        if ratios
        for times, variant in (max(ratios),)
        if times > 1
    ]
    if not times and not gains:
        return f"{model}: no variant was compared with the ordinary network."
    told = f"latency is not compared{f' ({why})' * bool(why)}" if times else "latency was not measured"
    return f"{model}: {told}; at best {listed(gains)}." if gains else f"{model}: {told}."


def _sentence(model: str, variant: str, figures: Sequence[Figure], runs: int) -> str:
    called = [f.ratio for f in figures if f.called and f.ratio]
    faster, slower = [r for r in called if r > 1], [1 / r for r in called if r < 1]
    parts = [
        f"{_span(some)} {word} {'everywhere' if len(some) == runs else f'in {len(some)} of {runs} places'}"
        for some, word in ((faster, "faster"), (slower, "slower"))
        if some
    ]
    if not parts:
        return f"{variant} {model}: no difference of latency can be called in any of {runs} places."
    if open_ := len(figures) - len(called):
        parts.append(f"without a difference that can be called in {open_}")
    return f"{variant} {model} is {listed(parts)}."


def _span(values_: Sequence[float]) -> str:
    low, high = ratio(min(values_)), ratio(max(values_))
    return low if low == high else f"{low.removesuffix('×')}–{high}"


def _middle(found: Sequence[float]) -> float:
    return sorted(found)[len(found) // 2]


def _overview(standings: Sequence[Standing]) -> Table:
    """A row for each run and device."""
    rows: dict[tuple[str, str], list[Standing]] = {}
    for one in standings:
        rows.setdefault((one.run, _place(one)), []).append(one)
    cells = tuple(
        (
            Cell(run, tone="strong"), Cell(place, mine[0].device_name), Cell(mine[0].os),
            Cell(mine[0].started[:16].replace("T", " ")), Cell(_commit(mine[0].commit)),
            Cell(", ".join(dict.fromkeys(one.subject.model for one in mine))),
        )
        for (run, place), mine in rows.items()
    )  # fmt: skip
    return Table("Runs", ("Run", "Device", "System", "Started, UTC", "Commit", "Networks"), cells, words=6)


def _commit(commit: str) -> str:
    return f"{commit[:10]}{'+' * commit.endswith('+')}" if commit else "–"


def _table(model: str, found: Sequence[Standing]) -> Table:
    """A row for each variant in each run and place; what one run has and another lacks is a row that says so."""
    metrics = [m for m in (*_SHORT,) if any(m in one.figures for one in found)]
    header = ["Variant", "Run", "Device"]
    for metric in metrics:
        header.append(_SHORT[metric][0].upper() + _SHORT[metric][1:])
        header.append("difference" if METRICS[metric].pass_ == "accuracy" else "ratio")
    rows = []
    for variant in dict.fromkeys(one.subject.variant for one in found):
        mine = [one for one in found if one.subject.variant == variant]
        for one in mine:
            rows.append((*_names(one, found), *(cell for m in metrics for cell in _cells(m, one)), _remark(one)))
        there = {(one.run, _place(one)) for one in mine}
        for run, place in dict.fromkeys((one.run, _place(one)) for one in found):
            if (run, place) not in there:
                names = (Cell(variant, tone="strong"), Cell(run), Cell(place))
                missing = Cell("failed or not asked for", tone="muted")
                rows.append((*names, *(Cell("–", tone="muted"),) * (2 * len(metrics)), missing))
    return Table(model, (*header, "Comparable with the first run"), tuple(rows), words=3)


def _names(one: Standing, found: Sequence[Standing]) -> tuple[Cell, Cell, Cell]:
    words = []
    for name, text in (("runtime", "{}"), ("threads", "{} threads"), ("precision", "{}")):
        if len({getattr(other.subject, name) for other in found}) > 1:
            words.append(text.format(getattr(one.subject, name)).replace("1 threads", "1 thread"))
    return Cell(one.subject.variant, tone="strong"), Cell(one.run), Cell(_place(one), ", ".join(words))


def _cells(metric: str, one: Standing) -> tuple[Cell, Cell]:
    """The figure, and how it stands to the ordinary network's."""
    figure, unit = one.figures.get(metric), METRICS[metric].unit
    if figure is None:
        return Cell("–", tone="muted"), Cell("–", tone="muted")
    if one.translated and METRICS[metric].pass_ not in ("accuracy", "size"):
        return Cell("meaningless", tone="muted"), Cell("–", tone="muted")
    detail = ""
    if figure.interval:
        is_score = METRICS[metric].pass_ == "accuracy"
        detail = score_interval(figure.interval, unit) if is_score else interval(figure.interval, unit)
    if figure.doubt:
        detail = f"not usable: {figure.doubt}"
    tone: Any = "muted" if figure.doubt or figure.apart else "plain"
    shown = Cell(f"{quantity(figure.value, unit)}{' *' if figure.apart else ''}", detail, tone, value=figure.value)
    return shown, _against(figure, metric)


def _against(figure: Figure, metric: str) -> Cell:
    if figure.difference is not None:
        unit = METRICS[metric].unit
        scale, suffix = (100, " points") if unit == "fraction" else (1, f" {unit}")
        text = f"{scale * figure.difference:+.2f}{suffix}".replace("-", "−")
        return Cell(text, value=figure.difference)
    if figure.ratio is None:
        return Cell("–", tone="muted")
    detail = interval(figure.within, "ratio") if figure.within else ""
    tone: Any = "strong" if figure.called else "muted"
    return Cell(ratio(figure.ratio), detail, tone, value=figure.ratio)


def _remark(one: Standing) -> Cell:
    reasons: dict[str, list[str]] = {}
    for metric, figure in one.figures.items():
        if figure.apart:
            reasons.setdefault(figure.apart, []).append(_SHORT[metric])
    doubts: dict[str, list[str]] = {}
    for metric, figure in one.figures.items():
        if figure.doubt:
            doubts.setdefault(figure.doubt, []).append(_SHORT[metric])
    texts = [f"* not {listed(metrics)}: {why}" for why, metrics in reasons.items()]
    texts += [f"{listed(metrics)} not usable: {why}" for why, metrics in doubts.items()]
    if texts:
        return Cell("; ".join(texts), ", ".join(one.remarks), "bad")
    return Cell("yes", ", ".join(one.remarks))


def _rows(standings: Sequence[Standing]) -> Iterator[dict[str, Any]]:
    for one in standings:
        for metric, f in one.figures.items():
            yield {
                "run": one.run, "started": one.started, "commit": one.commit, "device": one.subject.device,
                "device_name": one.device_name, "os": one.os, "virtual": one.virtual, "translated": one.translated,
                "model": one.subject.model, "variant": one.subject.variant, "runtime": one.subject.runtime,
                "threads": one.subject.threads, "precision": one.subject.precision, "ordinary": one.ordinary,
                "metric": metric, "unit": METRICS[metric].unit, "value": f.value,
                "low": f.interval.low if f.interval else None, "high": f.interval.high if f.interval else None,
                "launches": f.launches, "ratio": f.ratio, "ratio_low": f.within.low if f.within else None,
                "ratio_high": f.within.high if f.within else None, "called": f.called, "difference": f.difference,
                "doubt": f.doubt, "apart": f.apart,
            }  # fmt: skip
