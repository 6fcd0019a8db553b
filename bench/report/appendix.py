"""What stands behind the figures: devices, protocol as really used, conditions, artifacts, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from bench.findings import ADVICE, CaveatKind, Findings, Subject
from bench.plan import Plan
from bench.records import Device, Measurement, RunRecord
from bench.report.labels import SHORT, Labels
from bench.report.tables import Cell, Table
from bench.units import duration, size

FEW = 4
"""So many different values of a condition are listed one by one."""


def devices(run: RunRecord) -> Table:
    """The machines of the run, in their own words."""
    rows = [
        (
            Cell(d.serial, tone="strong"),
            Cell(d.name, ", ".join(w for w, so in (("virtual", d.virtual), ("translated", d.translated)) if so)),
            Cell(d.os),
            Cell(_cores(d)),
            Cell(size(d.ram_bytes) if d.ram_bytes else "not told"),
            Cell(", ".join(d.abis)),
            Cell("; ".join(f"{k} {v}" for k, v in d.facts.items())),
        )
        for d in run.devices
    ]
    header = ("Device", "Name", "System", "Cores", "Memory", "ABIs", "Facts")
    return Table("Devices", header, tuple(rows), words=7)


def _cores(device: Device) -> str:
    groups: dict[str, int] = {}
    for cpu in device.cpus:
        clock = f" {cpu.max_khz / 1e6:.2f} GHz" if cpu.max_khz else ""
        name = f"{cpu.name}{clock}{'' if cpu.online else ' (offline)'}"
        groups[name] = groups.get(name, 0) + 1
    return ", ".join(f"{count} × {name}" for name, count in groups.items()) or "not told"


def protocol(run: RunRecord, findings: Findings, measurements: Sequence[Measurement], labels: Labels) -> Table:
    """How the times were taken, from what was stored: a row for each model and place."""
    plan = Plan.model_validate(run.plan)
    asked = {case.model: case.protocol or plan.protocol for case in plan.cases}
    rows: dict[tuple[str, str], tuple[list[int], list[int], list[float]]] = {}
    for subject in findings.subjects:
        summary = findings.summary(subject, "latency")
        if summary and summary.statistics:
            launches = summary.statistics.launches
            counts, iterations, seconds = rows.setdefault((subject.model, labels.where(subject)), ([], [], []))
            counts.append(len(launches))
            iterations += [launch.samples for launch in launches]
            seconds += [launch.total for launch in launches]
    cells = []
    for (model, where), (counts, iterations, seconds) in rows.items():
        known = asked.get(model)
        warm = f"≥ {known.warmup_iterations} and {duration(1e9 * known.warmup_seconds)}" if known else "not told"
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
    order = [m.trial for m in measurements if m.trial.pass_ == "latency"]
    switches = sum((a.variant, a.device, a.runtime) != (b.variant, b.device, b.runtime) for a, b in pairwise(order))
    notes = (
        f"Every launch is a fresh process. Of {len(order)} timed launches, {switches} came after one of another "
        f"variant or place: their order is random in blocks, with seed {plan.protocol.seed}.",
        "Memory and answers were taken in launches of their own.",
    )
    return Table("How the times were taken", header, tuple(cells), notes)


def _span(values: Sequence[float], *, time: bool = False) -> str:
    low, high = (duration(v) if time else f"{v:,.0f}" for v in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def conditions(measurements: Sequence[Measurement], labels: Labels) -> Table:
    """What was stored about the state of each place while it measured: every value, or the range of many."""
    seen: dict[tuple[str, str], list[Any]] = {}
    for m in measurements:
        t = m.trial
        place = labels.place(Subject(t.model, t.variant, t.device, t.runtime, t.threads, t.precision))
        for key, value in _flat(m.conditions):
            values = seen.setdefault((place, key), [])
            if value not in values:
                values.append(value)
    rows = sorted((place, key, _values(values)) for (place, key), values in seen.items() if key != "pid")
    cells = tuple(tuple(Cell(word) for word in row) for row in rows)
    return Table("Conditions while measuring", ("Where", "Condition", "Values"), cells, words=3)


def _flat(conditions: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in conditions.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _values(values: Sequence[Any]) -> str:
    if len(values) > FEW and all(isinstance(v, int | float) for v in values):
        return f"{min(values):,} to {max(values):,}"
    shown = ", ".join(str(v) for v in values[:FEW])
    return shown if len(values) <= FEW else f"{shown} and {len(values) - FEW} others"


def artifacts(run: RunRecord) -> Table:
    """Every variant's files, with what the host checked before anything was deployed."""
    rows = []
    for a in run.artifacts:
        kept = f"{a.coefficients:,} coefficients" if a.coefficients else ""
        checked = f"{a.verified_max_abs_delta:.1e} of {a.verified_max_abs_reference:.3g}"
        files = "; ".join(f"{f.role} {size(f.bytes)}, sha256 {f.sha256[:16]}" for f in a.files)
        rows.append(
            (
                Cell(f"{a.model} {a.variant}", tone="strong"),
                Cell(f"{a.weights_format}, {a.execution}"),
                Cell(f"{a.parameters:,}", kept),
                Cell(" × ".join(map(str, a.input_shape))),
                Cell(checked, f"tolerance {a.tolerance:g}"),
                Cell(files),
                Cell("; ".join(a.notes) or "–"),
            )
        )
    header = ("Artifact", "Weights, execution", "Parameters", "Input", "Max |Δ| against torch", "Files", "Notes")
    return Table("Artifacts", header, tuple(rows), words=7)


def made_with(run: RunRecord) -> Table:
    """Versions, toolchain per ABI, inputs, what was pushed and how long it took."""
    rows = [("bench", run.bench_version), ("run", run.id), ("started", run.started)]
    rows.append(("finished", run.finished or "interrupted"))
    rows += [(f"input of {model}", source) for model, source in run.samples.items()]
    rows += list(run.versions.items())
    for abi, facts in run.toolchain.items():
        rows.append((f"native runner, {abi}", "; ".join(f"{k} {v}" for k, v in _flat(facts))))
    rows += [(f"pushed to {serial} in this run", size(count)) for serial, count in run.transferred_bytes.items()]
    rows += [
        ("wall time", duration(1e9 * run.wall_s)),
        ("of it preparation", duration(1e9 * run.preparation_s)),
        ("of it inside measured processes", duration(1e9 * run.runner_s)),
    ]
    return Table("Made with", ("What", "Value"), tuple((Cell(k, tone="strong"), Cell(v)) for k, v in rows), words=2)


def warnings(run: RunRecord, findings: Findings, labels: Labels) -> tuple[tuple[CaveatKind, Table], ...]:
    """Every caveat, those of a kind together, the gravest first."""
    groups: dict[CaveatKind, dict[tuple[str, str, str], list[str]]] = {}
    for s in findings.summaries:
        for caveat in s.caveats:
            what = (f"{s.subject.model} {s.subject.variant}", labels.where(s.subject), caveat.text)
            groups.setdefault(caveat.kind, {}).setdefault(what, []).append(SHORT.get(s.metric, s.metric))
    gravity = ("unusable", "care", "note")
    found = []
    for kind in sorted(groups, key=lambda k: (gravity.index(ADVICE[k].level), list(ADVICE).index(k))):
        cells = tuple(
            (Cell(what), Cell(where), Cell(", ".join(metrics)), Cell(text))
            for (what, where, text), metrics in groups[kind].items()
        )
        title = ADVICE[kind].label[0].upper() + ADVICE[kind].label[1:]
        found.append((kind, Table(title, ("What", "Where", "Figures", "Particulars"), cells, words=4)))
    return tuple(found)
