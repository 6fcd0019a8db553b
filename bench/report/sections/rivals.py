"""Every variant of a contest in one table, by what the reader cares for."""

from __future__ import annotations

from collections.abc import Iterator

from bench.caveats import CaveatKind
from bench.contest import COSTS, Contest, WithoutNetwork
from bench.records import MATCHED, METRICS, Subject
from bench.report import rivals
from bench.report.labels import heading, interval, score_interval
from bench.report.rivals import Row
from bench.report.section import Context, Section
from bench.report.table import Cell, Notes, Table
from bench.units import duration, quantity

_AXES = {"deployed": "bytes", "downloaded": "download", "latency": "latency", "vm_hwm": "memory"}
_FIGURES = ("latency", "vm_hwm")


def section(context: Context) -> Section | None:
    found = [(one, rivals.rows(one, context)) for one in context.findings.contests if rivals.many(one)]
    if not found:
        return None
    notices = dict.fromkeys(filter(None, (rivals.uneven(rows) for _, rows in found)))
    tables = tuple(_table(contest, rows, context) for contest, rows in found)
    by = "best answers first" if context.sort == "accuracy" else f"by {context.sort}, least first"
    note = f"All variants that compete, {by}. Click a heading to sort by it; bench report --sort changes the order."
    return Section("rivals", "All variants", notices=tuple(notices), note=note, tables=tables)


def _table(contest: Contest, rows: tuple[Row, ...], context: Context) -> Table:
    notes = Notes()
    any_packed = any(row.figures.get("downloaded") for row in rows)
    header = [
        "Variant", "Family", "In front by", heading(contest.score), "Bytes pushed",
        *(["Downloaded"] if any_packed else []), "Latency", "Peak RSS", "Made with", "Time",
    ]  # fmt: skip
    lines = [(row.value(contest.score), _line(row, any_packed, notes, context)) for row in rows]
    lines += [(f.value, _floor(f, len(header))) for f in rivals.floors(contest, context)]
    if context.sort == "accuracy":
        lines.sort(key=lambda line: (line[0] is None, -(line[0] or 0.0)))
    title = f"{', '.join(context.labels.model(m) for m in contest.models)} on {where(contest, context)}"
    return Table(title, tuple(header), tuple(cells for _, cells in lines), (*notes.texts(), *_about(rows)), words=3)


def where(contest: Contest, context: Context) -> str:
    """The place of a contest, with its threads where a run has several counts of them."""
    several = len({s.threads for s in context.findings.subjects}) > 1
    place = context.labels.place(contest.subjects[0])
    return f"{place}, {contest.threads} thread{'s' * (contest.threads > 1)}" if several else place


def name(subject: Subject, contest: Contest, context: Context) -> str:
    """A variant, with what tells it from the others of the contest."""
    text = f"{subject.model} {subject.variant}" if len(contest.models) > 1 else subject.variant
    several = len({s.precision for s in context.findings.subjects}) > 1
    return f"{text}, {subject.precision}" if several else text


def _line(row: Row, any_packed: bool, notes: Notes, context: Context) -> tuple[Cell, ...]:
    contest, subject = row.contest, row.subject
    virtual: list[CaveatKind] = ["virtual"] if any(s.virtual for s in row.figures.values()) else []
    cells = [
        Cell(name(subject, contest, context), tone="strong", marks=notes.marks(virtual)),
        Cell(row.family, f"target {row.target}" if row.target else ""), _standing(row),
        _figure(row, contest.score, notes, context), _bytes(row),
        *([_figure(row, "downloaded", notes, context)] if any_packed else []),
        *(_figure(row, metric, notes, context) for metric in _FIGURES),
    ]  # fmt: skip
    return (*cells, *_effort(row))


def _effort(row: Row) -> tuple[Cell, Cell]:
    """What a variant was trained with, and how long making it took."""
    if row.made is None:
        unknown = "–" if row.family == rivals.ORDINARY else "not stored"
        return Cell(unknown, tone="muted"), Cell("–", tone="muted")
    epochs, _, pictures = rivals.effort(row.made).partition(", ")
    seconds = row.made.seconds
    spent = Cell("–", tone="muted") if seconds is None else Cell(duration(1e9 * seconds), value=seconds)
    return Cell(epochs, pictures, value=row.made.epochs), spent


def _standing(row: Row) -> Cell:
    """The fronts it is on; else whether it is beaten by every cost, or may be."""
    found = [one.place for cost in COSTS if (one := row.contest.standing(cost, row.subject))]
    if row.fronts:
        both = {"deployed", "downloaded"} <= set(row.fronts)  # as a rule; the one word says it
        return Cell(", ".join(_AXES[c] for c in row.fronts if not (both and c == "downloaded")), tone="strong")
    if not found or set(found) == {"unusable"}:
        return Cell("not usable", tone="bad")
    return Cell("perhaps none" if "perhaps" in found else "none", tone="muted")


def _bytes(row: Row) -> Cell:
    found = row.figures.get("deployed")
    if found is None or found.statistics is None:
        return Cell("–", tone="muted")
    value = found.statistics.median
    missed = row.off is not None and abs(row.off) > MATCHED
    return Cell(quantity(value, "B"), _against_target(row.off or 0.0) if missed else "", value=value)


def _against_target(off: float) -> str:
    times = 1 + off
    if times >= 2:
        return f"{times:.1f}× its target"
    return f"{100 * abs(off):.0f} % {'over' if off > 0 else 'under'} target"


def _figure(row: Row, metric: str, notes: Notes, context: Context) -> Cell:
    found = row.figures.get(metric)
    if found is None:
        unjudged = metric == row.contest.score and context.labels.untrained(row.subject.model, row.subject.variant)
        return Cell("untrained" if unjudged else "–", tone="muted")
    marks = notes.marks(c.kind for c in found.caveats if c.level != "note")
    if found.statistics is None:
        return Cell("failed", tone="bad", marks=marks)
    if found.translated and METRICS[metric].pass_ not in ("accuracy", "size"):
        return Cell("meaningless", tone="muted", marks=marks)
    value, within = found.statistics.median, found.statistics.interval
    is_score = METRICS[metric].pass_ == "accuracy"
    shown = "" if not within else score_interval(within, found.unit) if is_score else interval(within, found.unit)
    return Cell(quantity(value, found.unit), shown, "plain" if found.usable else "muted", marks, value)


def _floor(floor: WithoutNetwork, columns: int) -> tuple[Cell, ...]:
    figure = Cell(quantity(floor.value, METRICS[floor.metric].unit), tone="muted", value=floor.value)
    cells = [Cell("no network", floor.words, tone="muted"), *(Cell("–", tone="muted"),) * 2, figure]
    return (*cells, *(Cell("–", tone="muted"),) * (columns - len(cells)))


def _about(rows: tuple[Row, ...]) -> Iterator[str]:
    score = heading(rows[0].contest.score)
    yield (
        "In front by: by the medians no other is as good and as cheap. None: by each cost another is, by differences "
        "that are called; perhaps none: by some, the medians alone say so. Bytes within "
        f"{100 * MATCHED:.0f} % are the same."
    )
    yield f"{score} with its 95 % interval over samples, latency and peak RSS with theirs over launches."
    if any(row.made for row in rows):
        yield "Made with: trainings and fine-tuning of the package; time: all that making it took on this computer."
    if any(row.off is not None and abs(row.off) > MATCHED for row in rows):
        yield (
            f"Under bytes: how far what is pushed, the graph included, is from its target, where that is more than "
            f"{100 * MATCHED:.0f} %."
        )
    if any(row.figures.get("downloaded") for row in rows):
        yield "Downloaded: bytes of the same files, each packed by zstd -19."
    if any(row.made is None and row.family != rivals.ORDINARY for row in rows):
        yield "Not stored: this run does not say how these were made, so equal effort cannot be checked."
