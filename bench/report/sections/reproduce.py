"""How to make the same run again: the very command, and what it ran on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from bench import plan
from bench.records import RunRecord, SamplesRecord
from bench.report.facts import flat
from bench.report.section import Context, Section
from bench.report.table import Cell, Table
from bench.units import duration, size

UNKNOWN_COMMAND = "This run did not store the command that started it; its whole plan is in run.json."
DIRTY = (
    "The working copy had changes that are not in that commit. run.json has the plan as it ran, and the hashes of all "
    "that was deployed."
)
SAME = (
    "A phone in another state, a warmer room or another build of its system gives other times: compare, do not expect."
)


def section(context: Context) -> Section:
    run = context.run
    note = SAME if run.command else f"{UNKNOWN_COMMAND} {SAME}"
    if run.commit.endswith("+"):
        note = f"{DIRTY} {note}"
    commands = (shlex.join(run.command),) if run.command else ()
    return Section(
        "reproduce", "How to reproduce", note=note, commands=commands, tables=(_made_with(run),), background=True
    )


def _made_with(run: RunRecord) -> Table:
    """Versions, programs, samples, what was pushed and how long it took."""
    cells = tuple((Cell(name, tone="strong"), Cell(value)) for name, value in _rows(run))
    return Table("Made with", ("What", "Value"), cells, words=2)


def _rows(run: RunRecord) -> Iterator[tuple[str, str]]:
    yield "bench", run.bench_version
    yield "commit", run.commit.replace("+", " with uncommitted changes") or "not started in a git repository"
    yield "run", run.id
    yield "seed of the order", str(plan.of_run(run).protocol.seed)
    yield "started", run.started
    yield "finished", run.finished or "interrupted"
    for model, found in run.samples.items():
        yield f"samples of {model}", _samples(found)
    yield from run.versions.items()
    yield from _programs(run.toolchain)
    for serial, count in run.transferred_bytes.items():
        yield f"pushed to {serial} in this run", size(count)
    yield "wall time", duration(1e9 * run.wall_s)
    yield "of it preparation", duration(1e9 * run.preparation_s)
    yield "of it inside measured processes", duration(1e9 * run.runner_s)


def _programs(toolchain: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, str]]:
    """Places with the same program in one row."""
    places: dict[str, list[str]] = {}
    for name, facts in toolchain.items():
        places.setdefault("; ".join(f"{key} {value}" for key, value in flat(facts)), []).append(name)
    for words, names in places.items():
        yield f"program of {'; '.join(names)}", words


def _samples(found: SamplesRecord) -> str:
    """A run of schema 1 has only their source."""
    words = [f"{found.count:,} of {found.source}" if found.count else found.source]
    if found.count:
        words.append("labelled" if found.labelled else "without labels")
    if found.classes:
        words.append(f"{len(found.classes):,} classes")
    if found.preprocess:
        words.append(found.preprocess.text)
    return "; ".join(words)
