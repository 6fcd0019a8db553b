"""How a terminal shows a run: live on a terminal, plain lines when piped, nothing when asked to be quiet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from bench import units
from bench.records import METRICS, Measurement, Pass
from bench.records import Progress as StageProgress

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)

SHOWN: dict[Pass, str] = {"size": "deployed", "accuracy": "agreement", "memory": "vm_hwm", "latency": "latency"}
"""The figure that stands for a trial while it runs."""

MARKS = {"ok": "[green]✓[/]", "tagged": "[yellow]![/]", "failed": "[red]✗[/]"}


class Quiet:
    """Says nothing."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def stage(self, title: str) -> StageProgress:
        return lambda fraction, note: None

    def trial(self, done: int, total: int, measurement: Measurement) -> None:
        pass


class Plain(Quiet):
    """A line on stderr for each stage and trial, for logs and pipes."""

    def stage(self, title: str) -> StageProgress:
        err.print(f"{title} …", markup=False, soft_wrap=True)
        said = [0]

        def progress(fraction: float, note: str) -> None:
            if fraction * 4 >= said[0] + 1:
                said[0] = int(fraction * 4)
                err.print(f"  {fraction:.0%} {note}", markup=False, soft_wrap=True)

        return progress

    def trial(self, done: int, total: int, measurement: Measurement) -> None:
        err.print(f"[{done}/{total}] {measurement.status} {_trial_text(measurement)}", markup=False, soft_wrap=True)


class Live(Quiet):
    """A bar for the stage at hand and one for the trials, with the time left."""

    def __init__(self) -> None:
        self._bars = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=28),
            TextColumn("{task.fields[note]}"), TimeElapsedColumn(), console=err, transient=True,
        )  # fmt: skip
        self._trials = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn(),
            TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True), TextColumn("{task.fields[note]}"),
            console=err, transient=True,
        )  # fmt: skip
        self._open = self._bars

    def __enter__(self) -> Live:
        self._open.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.stop()

    def stage(self, title: str) -> StageProgress:
        self._switch(self._bars)
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        err.print(f"[bold]›[/] {escape(title)}")
        task = self._bars.add_task(escape(title), total=None, note="")
        return lambda fraction, note: self._bars.update(task, total=1.0, completed=fraction, note=escape(note[:60]))

    def trial(self, done: int, total: int, measurement: Measurement) -> None:
        self._switch(self._trials)
        if not self._trials.task_ids:
            self._trials.add_task("trials", total=total, note="")
        self._trials.update(self._trials.task_ids[0], completed=done, note=escape(_trial_text(measurement)))
        if measurement.status != "ok":
            err.print(f"  {MARKS[measurement.status]} {escape(_trial_text(measurement))}")

    def _switch(self, wanted: Progress) -> None:
        if self._open is not wanted:
            self._open.stop()
            self._open = wanted
            self._open.start()


def watcher(*, quiet: bool) -> Quiet:
    """The way to show a run here."""
    if quiet:
        return Quiet()
    return Live() if err.is_terminal else Plain()


def _trial_text(measurement: Measurement) -> str:
    trial = measurement.trial
    text = f"{trial.pass_} {trial.model} {trial.variant} on {trial.device} ({trial.runtime}, {trial.threads} thr)"
    metric = SHOWN[trial.pass_]
    figures = sorted(s.value for s in measurement.samples if s.metric == metric)
    if figures:
        text += f": {units.quantity(figures[len(figures) // 2], METRICS[metric].unit)}"
    return f"{text}: {measurement.reason}" if measurement.reason else text


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    notes: Sequence[str] = (),
    words: int = 1,
) -> None:
    """A table on stdout; the first `words` columns hold words, the others figures. Aligned plain text when piped."""
    shown = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold"
    )
    for i, name in enumerate(header):
        shown.add_column(escape(name), justify="left" if i < words else "right", no_wrap=not out.is_terminal)
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    if out.is_terminal:
        out.print(shown)
    else:
        Console(file=out.file, width=400, highlight=False, no_color=True).print(shown)
    for note in notes:
        out.print(f"[dim]{escape(note)}[/]", soft_wrap=True)
