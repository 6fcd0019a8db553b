"""The same network by several runtimes: what each takes in the same place, its own program included."""

from __future__ import annotations

from collections.abc import Iterator

from bench.findings import Comparison
from bench.records import METRICS, Subject
from bench.report import pairs
from bench.report.section import Context, Section
from bench.report.sections.results import figure
from bench.report.table import Cell, Notes, Table
from bench.units import quantity

_FIGURES = ("latency", "vm_hwm", "load", "first_inference", "deployed")
_HEADINGS = {"load": "Load", "first_inference": "First inference", "deployed": "Network"}


def section(context: Context) -> Section | None:
    """A table for each device and network that more than one runtime was to execute, the reference aside."""
    tables = tuple(_tables(context))
    return Section("runtimes", "Runtimes", tables=tables) if tables else None


def _tables(context: Context) -> Iterator[Table]:
    for device in context.run.devices:
        for model in context.models:
            mine = [
                s
                for s in context.findings.subjects
                if (s.model, s.device) == (model, device.serial) and not context.labels.is_reference(s)
            ]
            absent = _left_out(model, context)
            if mine and len({s.runtime for s in mine} | {runtime for _, runtime in absent}) > 1:
                yield _table(model, mine, absent, context)


def _left_out(model: str, context: Context) -> dict[tuple[str, str], str]:
    """Why a runtime did not execute a variant of the network, by both their names."""
    found = {}
    for what, why in context.run.absent.items():
        variant, by, runtime = what.removeprefix(f"{model}/").rpartition(" by ")
        if by and what.startswith(f"{model}/"):
            found[variant, runtime] = " ".join(why.split())
    return found


def _table(model: str, subjects: list[Subject], absent: dict[tuple[str, str], str], context: Context) -> Table:
    notes = Notes()
    ratios = {
        c.right: c
        for c in context.findings.comparisons
        if c.kind == "runtime" and c.metric == "latency" and not context.labels.is_reference(c.left)
    }
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
                _ratio(ratios.get(subject)), cells["vm_hwm"], _library(subject, context), cells["load"],
                cells["first_inference"], cells["deployed"], _size(_program(subject, context)),
                _apart(subject, context),
            )
        )  # fmt: skip
    for variant, runtime in absent:
        rows.append(
            (Cell(variant), Cell(runtime, tone="strong"), Cell("left out", tone="bad"), *(Cell("–", tone="muted"),) * 8)
        )
    first = next((c.left.runtime for c in ratios.values()), subjects[0].runtime)
    header = (
        "Variant", "Runtime", "Latency", f"{first} ÷ it", "Peak RSS", "Library", *_HEADINGS.values(),
        "Program", "Apart",
    )  # fmt: skip
    where = context.labels.machine(subjects[0])
    about = (
        f"{first} ÷ it: above 1× the other runtime is faster. {pairs.CALLED}",
        "Library: how much was resident with the library in the process, before any network; no figure for one that is "
        "part of the runner. Network and program are bytes on the device; the program is there once for all networks. "
        "Load begins before the library is opened.",
        f"Apart: {METRICS['max_abs_delta'].text}, as a part of the largest output.",
        *(f"{variant} is not executed by {runtime}: {why}" for (variant, runtime), why in absent.items()),
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


def _apart(subject: Subject, context: Context) -> Cell:
    apart, largest = (context.findings.summary(subject, m) for m in ("max_abs_delta", "max_abs_reference"))
    if not (apart and apart.statistics and largest and largest.statistics and largest.statistics.median > 0):
        return Cell("–", tone="muted")
    value = apart.statistics.median / largest.statistics.median
    return Cell(f"{value:.0e}", value=value)


def _library(subject: Subject, context: Context) -> Cell:
    """Median over launches of the memory pass."""
    found = sorted(
        value
        for one in context.measurements
        if one.trial.subject == subject and one.trial.pass_ == "memory" and one.status != "failed"
        and isinstance(value := one.conditions.get("library_rss"), int)
    )  # fmt: skip
    if found and not all(d.memory_counts for d in context.run.devices if d.serial == subject.device):
        return Cell("meaningless", tone="muted")
    return _size(found[len(found) // 2] if found else None)


def _program(subject: Subject, context: Context) -> float | None:
    sizes = context.run.toolchain.get(f"{subject.runtime}, {subject.device}", {}).get("bytes")
    return float(sum(sizes.values())) if isinstance(sizes, dict) else sizes if isinstance(sizes, int) else None
