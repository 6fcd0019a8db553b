"""How a terminal shows a run: live on a terminal, plain lines when piped, nothing when asked to be quiet."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import NoReturn

from rich import markup
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
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

SHOWN: dict[Pass, str] = {
    "size": "deployed",
    "memory": "vm_hwm",
    "latency": "latency",
    "contended": "contended",
    "sustained": "sustained",
    "energy": "energy",
}
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

    def lane(self, device: str, trials: int) -> None:
        pass

    def trial(self, measurement: Measurement) -> None:
        pass

    def waits(self, device: str, title: str) -> StageProgress:
        return lambda fraction, note: None

    def goal(self, device: str, model: str, reached: float | None, wanted: float) -> None:
        pass

    def note(self, sentence: str) -> None:
        pass


class Plain(Quiet):
    """A line on stderr for each stage and trial, for logs and pipes."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[int]] = {}
        """Trials done and due, by device."""

    def stage(self, title: str) -> StageProgress:
        say(f"{title} …", to=err)
        said = [0]

        def progress(fraction: float, note: str) -> None:
            if fraction * 4 >= said[0] + 1:
                said[0] = int(fraction * 4)
                say(f"  {fraction:.0%} {note}", to=err)

        return progress

    def lane(self, device: str, trials: int) -> None:
        self._lanes.setdefault(device, [0, 0])[1] += trials

    def trial(self, measurement: Measurement) -> None:
        self._lanes[measurement.trial.subject.device][0] += 1
        done, due = (sum(counts) for counts in zip(*self._lanes.values(), strict=True))
        say(f"[{done}/{due}] {measurement.status} {_trial_text(measurement)}", to=err)

    def waits(self, device: str, title: str) -> StageProgress:
        return self.stage(title)

    def goal(self, device: str, model: str, reached: float | None, wanted: float) -> None:
        say(f"{_goal_text(model, reached, wanted)} on {device} …", to=err)

    def note(self, sentence: str) -> None:
        say(f"! {sentence}", to=err)


class Live(Quiet):
    """A bar for the stage at hand, then one for each device with its trials and the time left."""

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
        self._lanes: dict[str, TaskID] = {}

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

    def lane(self, device: str, trials: int) -> None:
        self._switch(self._trials)
        if device not in self._lanes:
            self._lanes[device] = self._trials.add_task(escape(device), total=0, note="")
        task = self._lanes[device]
        due = next(one.total for one in self._trials.tasks if one.id == task)
        self._trials.update(task, total=(due or 0) + trials)

    def trial(self, measurement: Measurement) -> None:
        device = measurement.trial.subject.device
        self._trials.update(self._lanes[device], advance=1, note=escape(_trial_text(measurement, place=False)))
        if measurement.trial.pass_ != "latency":  # a goal, if there was one, is behind us
            self._trials.update(self._lanes[device], description=escape(device))
        if measurement.status != "ok":
            err.print(f"  {MARKS[measurement.status]} {escape(_trial_text(measurement))}")

    def waits(self, device: str, title: str) -> StageProgress:
        err.print(f"  [yellow]…[/] {escape(title)}")
        task = self._lanes[device]
        return lambda fraction, note: self._trials.update(task, note=escape(f"waits: {note}"[:60]))

    def goal(self, device: str, model: str, reached: float | None, wanted: float) -> None:
        self._trials.update(self._lanes[device], description=escape(f"{device}: {_goal_text(model, reached, wanted)}"))

    def note(self, sentence: str) -> None:
        err.print(f"  [yellow]![/] {escape(sentence)}")

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


def _goal_text(model: str, reached: float | None, wanted: float) -> str:
    now = "no interval yet" if reached is None else f"± {units.percent(reached)}"
    return f"{model}: {now}, wanted ± {units.percent(wanted)}"


def _trial_text(measurement: Measurement, *, place: bool = True) -> str:
    trial, s = measurement.trial, measurement.trial.subject
    where = f" on {s.device} ({s.runtime}, {s.threads} thr)" if place else ""
    text = f"{trial.pass_} {s.model} {s.variant}{where}"
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
    marked: int | None = None,
    dim: Collection[int] = (),
) -> None:
    """A table on stdout; the first `words` columns hold words, the others figures. Aligned plain text when piped. On a
    terminal the row `marked` stands out, and those in `dim` step back."""
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
    for at, row in enumerate(rows):
        style = "bold red" if at == marked else "dim" if at in dim else None
        shown.add_row(*(escape(cell) for cell in row), style=style)
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
