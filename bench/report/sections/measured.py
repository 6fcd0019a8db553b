"""How the figures came about: how valid each is, conditions, protocol as really used, devices, artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from bench import plan
from bench.records import METRICS, SIZES, Artifact, Device, RunRecord, Tensor, Verified
from bench.report import noise
from bench.report.facts import flat
from bench.report.labels import interval
from bench.report.section import Context, Folded, Section
from bench.report.table import Cell, Table
from bench.units import duration, number, percent, quantity, size

MOST = 2_000
"""Figures that the page lists one by one; a browser is slow with more."""
FEW = 4
"""Different values of a condition that are listed one by one."""
UNKNOWN = "not reported"
NO_CLOCKS = "clocks not reported: which frequency it ran at is not known."
SEALED = "the runner was sealed: it could open no socket."
_OF_MACHINES = frozenset({"preflight", "devices"})
"""What is there to show where a machine learnt, and no network was measured."""
_NOT_LISTED = frozenset({"pid", "energy", "gauge"})
"""Conditions that a table of them does not show: a number that means nothing, and those with a section of their own."""


def section(context: Context) -> Section:
    folded = (
        Folded("validity", _validity(context), "What each number rests on, and whether it may be used."),
        Folded("conditions", _conditions(context), "The state of each place while it measured."),
        *(
            Folded("preflight", table, "What was looked at before anything was deployed.")
            for table in _preflight(context.run)
        ),
        Folded("protocol", _protocol(context), "Launches, warm-up and iterations as they really were."),
        *(
            Folded("noise", table, "What the same thing differs by from itself in each place.")
            for table in _noise(context)
        ),
        Folded("devices", _devices(context.run), "The machines, in their own words."),
        Folded("artifacts", _artifacts(context.run), "What was deployed, and the proof that it is the network."),
    )
    if context.learnt_alone:
        folded = tuple(one for one in folded if one.id in _OF_MACHINES)
    return Section("measured", "How it was measured", folded=folded, background=True)


def _validity(context: Context) -> Table:
    """Every figure with its interval, what it rests on and its verdict."""
    shown = context.findings.summaries[:MOST]
    rows = []
    for s in shown:
        figures = s.statistics
        where = "any device" if s.metric in SIZES else context.labels.where(s.subject)
        head = (Cell(f"{s.subject.model} {s.subject.variant}", tone="strong"), Cell(where), Cell(s.metric))
        verdict = Cell(s.verdict, tone="plain" if s.usable else "bad")
        if figures is None:
            rows.append((*head, verdict, *(Cell("–", tone="muted"),) * 4))
            continue
        within = interval(figures.interval, s.unit) if figures.interval else "–"
        hidden = s.translated and METRICS[s.metric].pass_ not in ("accuracy", "size")
        median = (
            Cell("meaningless", tone="muted")
            if hidden
            else Cell(quantity(figures.median, s.unit), value=figures.median)
        )
        rows.append(
            (
                *head, verdict, median, Cell("–" if hidden else within),
                Cell(f"{len(figures.launches)}", value=len(figures.launches)),
                Cell(f"{figures.samples:,}", value=figures.samples),
            )
        )  # fmt: skip
    notes = [
        "The interval is that of the median over launches; of a score, that over samples. Reasons: under Warnings."
    ]
    if len(shown) < len(context.findings.summaries):
        notes.append(f"The first {MOST:,} of {len(context.findings.summaries):,}; summary.csv has them all.")
    header = ("What", "Where", "Figure", "Verdict", "Median", "95 % interval", "Launches", "Values")
    return Table("Every figure and its validity", header, tuple(rows), tuple(notes), words=4)


def _devices(run: RunRecord) -> Table:
    """The machines of the run, in their own words."""
    rows = [
        (
            Cell(d.serial, tone="strong"),
            Cell(d.name, ", ".join(w for w, so in (("virtual", d.virtual), ("translated", d.translated)) if so)),
            Cell(d.os),
            Cell(_cores(d)),
            Cell(size(d.ram_bytes) if d.ram_bytes else UNKNOWN),
            Cell(", ".join(d.abis) or UNKNOWN),
            Cell("; ".join(f"{k} {v}" for k, v in d.facts.items())),
        )
        for d in run.devices
    ]
    header = ("Device", "Name", "System", "Cores", "Memory", "ABIs", "Facts")
    return Table("Devices", header, tuple(rows), words=7)


def _preflight(run: RunRecord) -> Iterator[Table]:
    """What was looked at on each phone before anything was deployed."""
    words = {"ok": "fit", "warn": "a remark", "unknown": "unknown", "unfit": "not fit", "bad": "refused"}
    cells = tuple(
        (
            Cell(serial, tone="strong"),
            Cell(gate.name),
            Cell(gate.found),
            Cell(words[gate.state], tone="bad" if gate.state in ("unfit", "bad") else "plain"),
            Cell(gate.advice or "–"),
        )
        for serial, gates in run.preflight.items()
        for gate in gates
    )
    if cells:
        yield Table("Before the run", ("Device", "What", "Found", "Verdict", "Advice"), cells, words=5)


def _cores(device: Device) -> str:
    groups: dict[str, int] = {}
    for cpu in device.cpus:
        clock = f" {cpu.max_khz / 1e6:.2f} GHz" if cpu.max_khz else ""
        name = f"{cpu.name}{clock}{'' if cpu.online else ' (offline)'}"
        groups[name] = groups.get(name, 0) + 1
    return ", ".join(f"{count} × {name}" for name, count in groups.items()) or UNKNOWN


def _protocol(context: Context) -> Table:
    """How the times were taken, from what was stored: a row for each network and place."""
    asked = plan.of_run(context.run)
    rows: dict[tuple[str, str], tuple[list[int], list[int], list[float]]] = {}
    for subject in context.findings.subjects:
        summary = context.findings.summary(subject, "latency")
        if summary and summary.statistics:
            launches = summary.statistics.launches
            counts, iterations, seconds = rows.setdefault((subject.model, context.labels.where(subject)), ([], [], []))
            counts.append(len(launches))
            iterations += [launch.samples for launch in launches]
            seconds += [launch.total for launch in launches]
    cells = []
    for (model, where), (counts, iterations, seconds) in rows.items():
        protocol = asked.protocol_for(model)
        warm = f"≥ {protocol.warmup_iterations} and {duration(1e9 * protocol.warmup_seconds)}"
        words = (model, where, _span(counts), warm, _span(iterations), _span(seconds, time=True))
        cells.append(tuple(Cell(word) for word in words))
    header = (
        "Network",
        "Where",
        "Launches per variant",
        "Warm-up asked",
        "Iterations per launch",
        "Measured per launch",
    )
    order = [m.trial.subject for m in context.measurements if m.trial.pass_ == "latency"]
    switches = sum((a.variant, a.device, a.runtime) != (b.variant, b.device, b.runtime) for a, b in pairwise(order))
    notes = (
        f"Every launch is a fresh process. Of {len(order)} timed launches, {switches} came after one of another "
        f"variant or place: their order is random in blocks, with seed {asked.protocol.seed}.",
        "Memory and answers were taken in launches of their own.",
    )
    return Table("How the times were taken", header, tuple(cells), notes)


def _span(values: Sequence[float], *, time: bool = False) -> str:
    low, high = (duration(v) if time else f"{v:,.0f}" for v in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _conditions(context: Context) -> Table:
    """What was stored about the state of each place while it measured: every value, or the range of many."""
    seen: dict[tuple[str, str], list[Any]] = {}
    for m in context.measurements:
        place = context.labels.place(m.trial.subject)
        for key, value in flat({key: value for key, value in m.conditions.items() if key not in _NOT_LISTED}):
            values = seen.setdefault((place, key), [])
            if value not in values:
                values.append(value)
    rows = sorted((place, key, _values(values)) for (place, key), values in seen.items())
    cells = tuple(tuple(Cell(word) for word in row) for row in rows)
    notes = (*_sealed(context), *(f"{place}: {NO_CLOCKS}" for place in _without_clocks(context)))
    return Table("Conditions while measuring", ("Where", "Condition", "Values"), cells, notes, words=3)


def _sealed(context: Context) -> Iterator[str]:
    """Of each place whose runner told, whether it could have opened a socket."""
    told: dict[str, dict[str, None]] = {}
    for m in context.measurements:
        if isinstance(state := m.conditions.get("network"), str):
            told.setdefault(context.labels.place(m.trial.subject), {})[state] = None
    for place, states in told.items():
        unsealed = [state for state in states if state != "sealed"]
        yield f"{place}: the runner was {'; '.join(unsealed)}." if unsealed else f"{place}: {SEALED}"


def _without_clocks(context: Context) -> Iterator[str]:
    """The places whose timed launches came without a clock."""
    timed: dict[str, bool] = {}
    for m in context.measurements:
        if m.trial.pass_ == "latency" and m.status != "failed":
            place = context.labels.place(m.trial.subject)
            timed[place] = timed.get(place, False) or "clocks" in m.conditions
    yield from (place for place, known in timed.items() if not known)


def _values(values: Sequence[Any]) -> str:
    if len(values) > FEW and all(isinstance(v, int | float) for v in values):
        return f"{min(values):,} to {max(values):,}"
    shown = ", ".join(str(v) for v in values[:FEW])
    return shown if len(values) <= FEW else f"{shown} and {len(values) - FEW} others"


def _noise(context: Context) -> Iterator[Table]:
    """What the same thing differs by in each place, which no comparison calls a difference."""
    found = context.findings.reach
    if found:
        cells = tuple(tuple(Cell(word) for word in row) for row in noise.rows(found))
        header = tuple(name.capitalize() for name in noise.HEADER)
        yield Table("Noise", header, cells, noise.notes(found[0].launches), words=noise.WORDS)


def _artifacts(run: RunRecord) -> Table:
    """The files of every variant and runtime, with what the host checked before anything was deployed."""
    header = (
        "Artifact",
        "Runtime, weights, execution",
        "Parameters",
        "Input",
        "Output",
        "Max |Δ| against the eager network",
        "Files",
        "Notes",
    )
    return Table("Artifacts", header, tuple(_artifact(a) for a in run.artifacts), words=8)


def _artifact(a: Artifact) -> tuple[Cell, ...]:
    kept = (
        f"{a.coefficients:,} coefficients" if a.coefficients else "",
        f"{number(a.macs)} multiply-adds" if a.macs else "",
    )
    weights = "its own format" if a.weights_format == "runtime" else a.weights_format
    allowed = max((v.headroom for v in a.verified), default=0.0)
    return (
        Cell(f"{a.model} {a.variant}", tone="strong"),
        Cell(f"{a.runtime}, {weights}, {a.execution}", a.width or ""),
        Cell(f"{a.parameters:,}" if a.parameters else UNKNOWN, ", ".join(filter(None, kept))),
        Cell(_tensors(a.inputs)),
        Cell(_tensors(a.outputs)),
        Cell(
            "; ".join(_checked(v, several=len(a.verified) > 1) for v in a.verified) or "–",
            f"{percent(allowed)} of what is allowed" if a.verified else "",
        ),
        Cell("; ".join(f"{f.role} {size(f.bytes)}, sha256 {f.sha256[:16]}" for f in a.files)),
        Cell("; ".join(a.notes) or "–"),
    )


def _tensors(found: Sequence[Tensor]) -> str:
    return " and ".join(" × ".join(map(str, t.shape)) + (f" {t.dtype}" if t.dtype != "float32" else "") for t in found)


def _checked(v: Verified, *, several: bool) -> str:
    return f"{f'{v.output} ' if several else ''}{v.max_abs_delta:.1e} of {v.max_abs_reference:.3g}"
