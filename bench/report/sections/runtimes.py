"""The same network by several runtimes: what each takes in the same place, its own program included."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.findings import Comparison
from bench.records import METRICS, Subject
from bench.report import pairs
from bench.report.section import Context, Section
from bench.report.sections.results import figure
from bench.report.table import Cell, Notes, Table
from bench.units import quantity

_FIGURES = ("latency", "vm_hwm", "load", "first_inference", "deployed", "max_abs_delta")
_HEADINGS = {"load": "Load", "first_inference": "First inference", "deployed": "Network", "max_abs_delta": "max |Δ|"}


def section(context: Context) -> Section | None:
    """A table for each device and variant that more than one runtime executed, the reference aside."""
    tables = tuple(_tables(context))
    left_out = tuple(f"{what} is not here: {why}" for what, why in context.run.absent.items() if " by " in what)
    if not tables and not left_out:
        return None
    return Section("runtimes", "Runtimes", details=left_out, tables=tables)


def _tables(context: Context) -> Iterator[Table]:
    for device in context.run.devices:
        for model in context.models:
            mine = [
                s
                for s in context.findings.subjects
                if (s.model, s.device) == (model, device.serial) and not context.labels.is_reference(s)
            ]
            if len({s.runtime for s in mine}) > 1:
                yield _table(model, sorted(mine, key=partial(_order, mine, context)), context)


def _order(among: list[Subject], context: Context, subject: Subject) -> tuple[int, int]:
    """What differs in its runtime alone together, in the order of the plan."""
    alike = [s.model_copy(update={"runtime": ""}) for s in among]
    named = context.run.plan.get("runtime", ())
    place = list(named).index(subject.runtime) if subject.runtime in named and not isinstance(named, str) else 0
    return alike.index(subject.model_copy(update={"runtime": ""})), place


def _table(model: str, subjects: list[Subject], context: Context) -> Table:
    notes = Notes()
    ratios = {
        c.right: c
        for c in context.findings.comparisons
        if c.kind == "runtime" and c.metric == "latency" and not context.labels.is_reference(c.left)
    }
    shared = {s: _library(s, context) for s in subjects}
    rows = []
    for subject in subjects:
        found = {metric: context.findings.summary(subject, metric) for metric in _FIGURES}
        virtual = any(s.virtual for s in found.values() if s)
        cells = {m: figure(m, one, subject, context, notes) for m, one in found.items()}
        name = Cell(
            subject.runtime, context.labels.setting(subject), "strong", notes.marks(["virtual"] if virtual else [])
        )
        rows.append(
            (
                Cell(subject.variant, _form(subject, context)), name, cells["latency"],
                _ratio(ratios.get(subject)), cells["vm_hwm"], _size(shared[subject]), cells["load"],
                cells["first_inference"], cells["deployed"], _size(_program(subject, context)), cells["max_abs_delta"],
            )
        )  # fmt: skip
    first = next((c.left.runtime for c in ratios.values()), subjects[0].runtime)
    header = (
        "Variant", "Runtime", "Latency", f"{first} ÷ it", "Peak RSS", "Library", *(_HEADINGS[m] for m in _FIGURES[2:5]),
        "Program", _HEADINGS["max_abs_delta"],
    )  # fmt: skip
    where = context.labels.place(subjects[0]).removesuffix(f" {subjects[0].runtime}")
    about = (
        f"{first} ÷ it: above 1× the other runtime is faster. {pairs.CALLED}",
        "Library: how much was resident with the library in the process, before any network; no figure for one that is "
        "part of the runner. Network and program are bytes on the device; the program is there once for all networks. "
        "Load begins before the library is opened.",
        f"max |Δ|: {METRICS['max_abs_delta'].text}.",
    )
    return Table(f"{context.labels.model(model)} on {where}", header, tuple(rows), (*notes.texts(), *about))


def _form(subject: Subject, context: Context) -> str:
    """What has to be known of a method's variant that a runtime executes without that method's own layers."""
    forms = {
        a.runtime: a.execution
        for a in context.run.artifacts
        if (a.model, a.variant) == (subject.model, subject.variant) and a.runtime != context.run.reference
    }
    return "as ordinary layers" if forms.get(subject.runtime) == "stock" and set(forms.values()) != {"stock"} else ""


def _ratio(found: Comparison | None) -> Cell:
    return pairs.cell(found) if found else Cell("1", tone="muted")


def _size(value: float | None) -> Cell:
    return Cell("–", tone="muted") if value is None else Cell(quantity(value, "B"), value=value)


def _library(subject: Subject, context: Context) -> float | None:
    """Median over launches of the memory pass."""
    found = sorted(
        value
        for one in context.measurements
        if one.trial.subject == subject and one.trial.pass_ == "memory" and one.status != "failed"
        and isinstance(value := one.conditions.get("library_rss"), int)
    )  # fmt: skip
    return float(found[len(found) // 2]) if found else None


def _program(subject: Subject, context: Context) -> float | None:
    sizes = context.run.toolchain.get(f"{subject.runtime}, {subject.device}", {}).get("bytes")
    return float(sum(sizes.values())) if isinstance(sizes, dict) else sizes if isinstance(sizes, int) else None
