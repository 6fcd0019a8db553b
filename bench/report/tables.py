"""The one place that decides what the tables of a run show, as plain data for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from bench.findings import ADVICE, CaveatKind, Comparison, Findings, Subject, Summary
from bench.records import METRICS, Measurement, RunRecord
from bench.report.answer import Answer, answer
from bench.report.labels import SHORT, Labels, interval
from bench.units import quantity

Tone = Literal["plain", "strong", "muted", "bad"]


@dataclass(frozen=True)
class Cell:
    """`text`, a smaller `detail`, and the numbers of the notes that go with it."""

    text: str
    detail: str = ""
    tone: Tone = "plain"
    marks: tuple[int, ...] = ()

    def __str__(self) -> str:
        marks = f" [{','.join(map(str, self.marks))}]" if self.marks else ""
        return f"{self.text}{f' ({self.detail})' if self.detail else ''}{marks}"


@dataclass(frozen=True)
class Table:
    """`words` is how many leading columns hold words; the others hold figures."""

    title: str
    header: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    words: int = 2

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The cells as text, for a terminal."""
        return tuple(tuple(str(cell) for cell in row) for row in self.cells)


class Tables(NamedTuple):
    """All that a run is shown as, short of pictures. `troubles` is None when every trial was good."""

    answer: Answer
    results: tuple[Table, ...]
    ratios: tuple[Table, ...]
    places: tuple[Table, ...]
    troubles: Table | None
    findings: Findings

    @property
    def tables(self) -> tuple[Table, ...]:
        """What a terminal shows, in order."""
        return (*self.results, *self.ratios, *self.places, *((self.troubles,) if self.troubles else ()))

    def as_json(self) -> dict[str, Any]:
        """The answer, every summary and every comparison, as plain values in base units (ns, bytes, fractions)."""
        return {
            "answer": [*self.answer.sentences, *self.answer.details],
            "summaries": [
                asdict(s) | {"usable": s.usable, "verdict": s.verdict, "caveats": [c.kind for c in s.caveats]}
                for s in self.findings.summaries
            ],
            "comparisons": [asdict(c) | {"called": c.called} for c in self.findings.comparisons],
        }


def of_run(run: RunRecord, measurements: Sequence[Measurement], findings: Findings) -> Tables:
    """The tables of a run: results and ratios per model, places against each other, and trials in trouble."""
    labels = Labels(run, findings)
    models = list(dict.fromkeys(s.model for s in findings.subjects))
    return Tables(
        answer=answer(findings, labels, measurements),
        results=tuple(_results(m, findings, labels) for m in models),
        ratios=tuple(t for m in models for t in _comparisons(m, findings, labels, between_variants=True)),
        places=tuple(t for m in models for t in _comparisons(m, findings, labels, between_variants=False)),
        troubles=_troubles(measurements, labels),
        findings=findings,
    )


class _Notes:
    """Footnotes, one a kind of caveat, numbered as they come up."""

    def __init__(self) -> None:
        self._kinds: list[CaveatKind] = []

    def marks(self, kinds: Iterable[CaveatKind]) -> tuple[int, ...]:
        wanted = list(dict.fromkeys(kinds))
        self._kinds += [k for k in wanted if k not in self._kinds]
        return tuple(sorted(self._kinds.index(k) + 1 for k in wanted))

    def texts(self) -> tuple[str, ...]:
        return tuple(f"[{n}] {ADVICE[kind].label}" for n, kind in enumerate(self._kinds, 1))


def _results(model: str, findings: Findings, labels: Labels) -> Table:
    notes = _Notes()
    header = ["Variant", "Where"]
    for metric, name in SHORT.items():
        if metric == "accuracy":
            name = labels.accuracy(model)
        header += ["Latency, median", "p90"] if metric == "latency" else [name[0].upper() + name[1:]]
    rows = []
    for subject in findings.subjects:
        if subject.model != model:
            continue
        found = {metric: findings.summary(subject, metric) for metric in SHORT}
        known = [s for s in found.values() if s]
        virtual: list[CaveatKind] = ["virtual"] if any(s.virtual for s in known) else []
        row = [Cell(subject.variant, tone="strong"), Cell(labels.where(subject), marks=notes.marks(virtual))]
        for metric, summary in found.items():
            row.append(_figure(metric, summary, subject, findings, labels, notes))
            if metric == "latency":
                row.append(_p90(summary))
        rows.append((*row, _verdict(known)))
    texts = list(notes.texts())
    if any(cell.detail for row in rows for cell in row[2:3]):
        texts.append("With the median: its 95 % bootstrap interval over launches.")
    return Table(labels.model(model), (*header, "Verdict"), tuple(rows), tuple(texts))


def _figure(
    metric: str, summary: Summary | None, subject: Subject, findings: Findings, labels: Labels, notes: _Notes
) -> Cell:
    if summary is None:
        untrained = metric == "accuracy" and labels.untrained(subject.model, subject.variant)
        return Cell("untrained" if untrained else "–", tone="muted")
    marks = notes.marks(c.kind for c in summary.caveats if c.level != "note")
    if summary.statistics is None:
        return Cell("failed", tone="bad", marks=marks)
    if any(c.kind == "translated" for c in summary.caveats):
        return Cell("meaningless", tone="muted", marks=marks)
    value, detail = summary.statistics.median, ""
    if metric == "latency" and summary.statistics.interval:
        detail = interval(summary.statistics.interval, summary.unit)
    largest = findings.summary(subject, "max_abs_reference") if metric == "max_abs_delta" else None
    if value > 0 and largest and largest.statistics and largest.statistics.median > 0:
        detail = f"{value / largest.statistics.median:.1g} of the largest"
    return Cell(quantity(value, summary.unit), detail, "plain" if summary.usable else "muted", marks)


def _p90(latency: Summary | None) -> Cell:
    if latency is None or latency.statistics is None or latency.translated:
        return Cell("–", tone="muted")
    return Cell(quantity(latency.statistics.p90, latency.unit), tone="plain" if latency.usable else "muted")


def _verdict(summaries: Sequence[Summary]) -> Cell:
    """What can be used of a row."""
    if not any(s.usable for s in summaries):
        return Cell("not usable", tone="bad")
    if not all(s.usable for s in summaries):
        return Cell("partly usable")
    if any(c.level == "care" for s in summaries for c in s.caveats):
        return Cell("with care")
    return Cell("usable", tone="strong")


def _comparisons(model: str, findings: Findings, labels: Labels, *, between_variants: bool) -> Iterator[Table]:
    """Ratios of one model, a row for each pair of subjects; nothing when there is nothing to compare."""
    pairs: dict[tuple[Subject, Subject], dict[str, Comparison]] = {}
    for c in findings.comparisons:
        if c.right.model == model and (c.kind == "variant") == between_variants and c.metric in SHORT:
            left, right = c.left, c.right
            if c.metric == "accuracy" and (left, right) not in pairs:
                left = next((a for a, b in pairs if b == right and a.device == left.device), left)
            pairs.setdefault((left, right), {})[c.metric] = c
    metrics = [m for m in SHORT if any(m in found for found in pairs.values())]
    rows = []
    for (left, right), found in pairs.items():
        place = labels.where(right) if between_variants else f"{labels.where(left)} ÷ {labels.where(right)}"
        cells = (_comparison(found.get(metric)) for metric in metrics)
        rows.append((Cell(right.variant, tone="strong"), Cell(place), *cells))
    if not rows:
        return
    short = SHORT | {"accuracy": labels.accuracy(model)}
    names = tuple(short[m][0].upper() + short[m][1:] for m in metrics)
    if between_variants:
        title, note = "baseline ÷ variant", "Above 1× the variant is faster or smaller than the baseline."
    else:
        title, note = "the same variant in two places", "Above 1× the second place is faster or takes less."
    interval_note = "A difference is called only where the 95 % interval of the ratio leaves out 1."
    header = ("Variant", "Where", *names)
    yield Table(f"{labels.model(model)}: {title}", header, tuple(rows), (note, interval_note))


def _comparison(found: Comparison | None) -> Cell:
    if found is None:
        return Cell("–", tone="muted")
    if found.metric == "accuracy":
        text, _, detail = found.verdict.partition(": ")
        return Cell(text, detail, "bad" if found.called else "plain")
    if found.ratio is None:
        return Cell("–", "failed", "bad")
    text = quantity(found.ratio, "ratio")
    detail = interval(found.interval, "ratio") if found.interval else ""
    match found.outcome:
        case "differs":
            return Cell(text, detail, "strong")
        case "equal":
            return Cell(text)
        case "translated":
            return Cell("meaningless", tone="muted")
        case "not-shown":
            return Cell(text, f"{detail}, not called", "muted")
        case _:
            return Cell(text, "not usable" if found.outcome == "unusable" else "no interval", "muted")


def _troubles(measurements: Sequence[Measurement], labels: Labels) -> Table | None:
    """Failed and tagged trials, those with the same reason in one row."""
    groups: dict[tuple[str, ...], int] = {}
    for m in measurements:
        if m.status != "ok":
            t = m.trial
            subject = Subject(t.model, t.variant, t.device, t.runtime, t.threads, t.precision)
            key = (m.status, f"{t.model} {t.variant}", labels.where(subject), t.pass_, m.reason or "no reason given")
            groups[key] = groups.get(key, 0) + 1
    if not groups:
        return None
    rows = tuple(
        (Cell(status, tone="bad"), *(Cell(word) for word in words), Cell(str(count)))
        for (status, *words), count in groups.items()
    )
    header = ("Status", "What", "Where", "Pass", "Reason", "Launches")
    return Table("Trials that failed or were tagged", header, rows, words=5)


CSV_COLUMNS = (
    "model", "variant", "device", "runtime", "threads", "precision", "metric", "unit", "median", "low", "high",
    "interval", "p90", "p95", "min", "mad", "cv", "launch_cv", "launches", "samples", "virtual", "translated",
    "usable", "verdict",
)  # fmt: skip


def csv_rows(findings: Findings) -> Iterator[dict[str, Any]]:
    """The rows of summary.csv: one per summary, values in the metric's unit, None where there is no figure."""
    for s in findings.summaries:
        figures, found = s.statistics, s.statistics.interval if s.statistics else None
        yield asdict(s.subject) | {
            "metric": s.metric,
            "unit": METRICS[s.metric].unit,
            "median": figures and figures.median,
            "low": found and found.low,
            "high": found and found.high,
            "interval": found and found.method,
            "p90": figures and figures.p90,
            "p95": figures and figures.p95,
            "min": figures and figures.minimum,
            "mad": figures and figures.mad,
            "cv": figures and figures.cv,
            "launch_cv": figures and figures.launch_cv,
            "launches": len(figures.launches) if figures else 0,
            "samples": figures.samples if figures else 0,
            "virtual": s.virtual,
            "translated": s.translated,
            "usable": s.usable,
            "verdict": s.verdict,
        }
