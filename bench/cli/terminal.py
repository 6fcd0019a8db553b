"""How a terminal shows a run: live on a terminal, plain lines when piped, nothing when asked to be quiet."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NoReturn

from rich import markup
from rich.console import Console
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
from bench.errors import BenchError
from bench.records import METRICS, Measurement, Pass
from bench.records import Progress as StageProgress
from bench.report.section import Section
from bench.text import SPELLED, visible

READER_GONE = 141
"""The exit status of a program that SIGPIPE ended, as a shell reports it."""


def reader_gone() -> NoReturn:
    """Leave quietly because whoever read the output stopped reading, e.g. `head`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())  # what is still in its buffer is written at the end, and must not fail
    raise SystemExit(READER_GONE)


class _Pipe(Console):
    def on_broken_pipe(self) -> None:
        reader_gone()


out = _Pipe(highlight=False, soft_wrap=False)
err = _Pipe(stderr=True, highlight=False)

SHOWN: dict[Pass, str] = {"size": "deployed", "memory": "vm_hwm", "latency": "latency"}
"""The figure that stands for a trial while it runs; answers are judged later."""

MARKS = {"ok": "[green]✓[/]", "tagged": "[yellow]![/]", "failed": "[red]✗[/]"}
PIPED_WIDTH = 4_000
"""Characters: a table in a file has lines as long as it needs."""


def prepare() -> None:
    """Make stdout and stderr take every character: what their encoding lacks is spelled in ASCII (`bench.text`)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLED)


def escape(text: str, *, lines: bool = False) -> str:
    """Words from outside for a console: no markup, nothing that controls a terminal. `lines` keeps line ends."""
    return markup.escape(visible(text, lines=lines))


def say(text: str, *, to: Console = out) -> None:
    """Words as they are, never broken into lines."""
    to.print(escape(text), soft_wrap=True)


def failed(error: BenchError) -> None:
    """What went wrong and what to do, on stderr."""
    err.print(f"[bold red]error:[/] {escape(error.what, lines=True)}", soft_wrap=True)
    if error.fix:
        err.print(f"  → {escape(error.fix, lines=True)}", soft_wrap=True)


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
        say(f"{title} …", to=err)
        said = [0]

        def progress(fraction: float, note: str) -> None:
            if fraction * 4 >= said[0] + 1:
                said[0] = int(fraction * 4)
                say(f"  {fraction:.0%} {note}", to=err)

        return progress

    def trial(self, done: int, total: int, measurement: Measurement) -> None:
        say(f"[{done}/{total}] {measurement.status} {_trial_text(measurement)}", to=err)


class Live(Quiet):
    """A bar for the stage at hand and one for the trials, with the time left."""

    def __init__(self) -> None:
        spinner = "dots" if err.encoding.startswith("utf") else "line"
        self._bars = Progress(
            SpinnerColumn(spinner), TextColumn("{task.description}"), BarColumn(bar_width=28),
            TextColumn("{task.fields[note]}"), TimeElapsedColumn(), console=err, transient=True,
        )  # fmt: skip
        self._trials = Progress(
            SpinnerColumn(spinner), TextColumn("{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn(),
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
    trial, s = measurement.trial, measurement.trial.subject
    text = f"{trial.pass_} {s.model} {s.variant} on {s.device} ({s.runtime}, {s.threads} thr)"
    metric = SHOWN.get(trial.pass_)
    figures = sorted(sample.value for sample in measurement.samples if sample.metric == metric)
    if metric and figures:
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
        title=escape(title) or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for i, name in enumerate(header):
        shown.add_column(escape(name), justify="left" if i < words else "right", no_wrap=not out.is_terminal)
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    if out.is_terminal:
        out.print(shown)
    else:
        _Pipe(file=out.file, width=PIPED_WIDTH, highlight=False, no_color=True).print(shown)
    for note in notes:
        out.print(f"[dim]{escape(note)}[/]", soft_wrap=True)


def sections(shown: Sequence[Section]) -> None:
    """The sections of a report on stdout, without those in the background."""
    for section in shown:
        if section.background:
            continue
        for notice in section.notices:
            out.print(f"[yellow]![/] {escape(notice)}", soft_wrap=not out.is_terminal)
        for sentence in section.sentences:
            out.print(escape(sentence), soft_wrap=not out.is_terminal)
        if section.notices or section.sentences:
            out.print()
        for one in section.tables:
            table(one.header, one.rows, title=one.title, notes=one.notes, words=one.words)
            out.print()
