"""The verbs around past runs: results list, show, add, tag, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.campaign import archive, past
from bench.cli import terminal
from bench.cli.options import HistoryPlace, Json, Results, print_json
from bench.errors import UsageError
from bench.records import METRICS
from bench.results import prune
from bench.results.folder import RunFolder, now
from bench.text import visible
from bench.units import quantity, size

results_app = typer.Typer(help="Past runs.", no_args_is_help=True)
Runs = Annotated[list[str], typer.Argument(help="Folders, names, ids or tags of runs; see docs/history.md.")]


@results_app.command("list")
def list_runs(
    results: Results = Path("results"),
    history: HistoryPlace = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Only runs with this tag.")] = None,
    as_json: Json = False,
) -> None:
    """List past runs, the newest last.

    Example: `bench results list --tag last-good`
    """
    found = [one for one in archive.entries(past.place(history, results), results) if tag in (None, *one.tags)]
    if as_json:
        print_json([one._asdict() for one in found])
        return
    rows = [
        (
            one.name, one.started, ", ".join(one.devices) + " (virtual)" * one.virtual, ", ".join(one.tags),
            one.commit[:10], "yes" if one.kept else "no", _held(one),
        )
        for one in found
    ]  # fmt: skip
    if rows:
        terminal.table(("run", "started", "devices", "tags", "commit", "in history", "folder"), rows, words=6)
    elif tag is not None:
        terminal.err.print(f"No run has the tag {visible(tag)}.", soft_wrap=True, markup=False)
    else:
        terminal.err.print("No runs yet. Make one: bench run --suite quick", soft_wrap=True)


@results_app.command("show")
def show(
    run: Annotated[str, typer.Argument(help="RUN, RUN:VARIANT or RUN@DEVICE; see docs/history.md.")],
    results: Results = Path("results"),
    history: HistoryPlace = None,
    as_json: Json = False,
) -> None:
    """Show the figures of a past run. `bench report` shows all of it.

    Example: `bench results show last:fr-auto@emulator-5554`
    """
    side = past.side(run, past.place(history, results), results)
    if as_json:
        print_json(side.table.to_pylist())
        return
    rows = []
    for one in side.series():
        s, unit = one.subject, METRICS[one.metric].unit
        figure = quantity(one.median, unit) if one.median is not None else "–"
        where = f"{s.device} ({s.runtime})" + " (virtual)" * one.virtual
        left_out = f"{one.left_out} left out: {one.why}" if one.left_out else ""
        rows.append((s.model, s.variant, where, one.metric, one.unusable or left_out, figure, str(len(one.launches))))
    header = ("network", "variant", "where", "figure", "remark", "median", "launches")
    terminal.table(header, rows, title=run, words=5)


@results_app.command("add")
def add(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    results: Results = Path("results"),
    history: HistoryPlace = None,
    as_json: Json = False,
) -> None:
    """Add runs to the history that are not in it: interrupted ones, older ones, ones from another computer.

    Example: `bench results add results/2026-11-2*`
    """
    kept = past.place(history, results)
    for path in runs:
        past.keep(RunFolder(path), kept)
        terminal.say(f"{path} is in {kept.path}.", to=terminal.err)
    if as_json:
        known = {str(path.absolute()) for path in runs}
        print_json([one._asdict() for one in archive.entries(kept, results) if one.folder in known])


@results_app.command("tag")
def tag(
    run: Annotated[str, typer.Argument(help="A run; see docs/history.md.")],
    tags: Annotated[list[str], typer.Argument(help="Tags, e.g. last-good.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags away.")] = False,
    results: Results = Path("results"),
    history: HistoryPlace = None,
    as_json: Json = False,
) -> None:
    """Give a run tags, by which other commands find it.

    Example: `bench results tag last last-good`
    """
    kept = past.place(history, results)
    keys = archive.keys(run, kept, results)
    for key in keys:
        for one in tags:
            kept.tag(key, one, remove=remove)
    changed = [one for one in archive.entries(kept, results) if one.key in keys]
    for entry in changed:
        terminal.say(f"{entry.name}: {', '.join(entry.tags) or 'no tags'}", to=terminal.err)
    if as_json:
        print_json([entry._asdict() for entry in changed])


@results_app.command("delete")
def delete(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs; see docs/history.md.")] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Also all untagged runs older than e.g. 90d.", metavar="DAYS")
    ] = None,
    folders_only: Annotated[
        bool, typer.Option("--folders-only", help="Keep them in the history: only raw data is deleted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    results: Results = Path("results"),
    history: HistoryPlace = None,
    as_json: Json = False,
) -> None:
    """Delete runs: their folders, and what the history knows of them.

    Examples:

    * `bench results delete 2026-11-21-quick`
    * `bench results delete --older-than 90d --folders-only --yes`
    """
    kept = past.place(history, results)
    days = _days(older_than) if older_than else None
    doomed = archive.doomed(runs or (), days, kept, results)
    if not (runs or older_than):
        raise UsageError("no run was named", "Name runs, or say --older-than 90d.")
    for one in doomed:
        what = "folder" if folders_only else "folder and history"
        terminal.say(f"{one.name}  {one.started}  {', '.join(one.devices)}  ({what})", to=terminal.err)
    if not doomed:
        terminal.err.print("Nothing to delete.")
        if as_json:
            print_json([])
        return
    if not yes and not (terminal.err.is_terminal and typer.confirm("Delete these?", err=True)):
        raise UsageError("nothing was deleted", "Say --yes to delete without being asked.")
    for one in doomed:
        archive.delete(one, kept, folder_only=folders_only)
    if as_json:
        print_json([one._asdict() for one in doomed])


@results_app.command("prune")
def prune_runs(
    older_than: Annotated[str, typer.Option("--older-than", help="How old, e.g. 30d.", metavar="DAYS")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; say what would be.")] = False,
    results: Results = Path("results"),
    history: HistoryPlace = None,
    as_json: Json = False,
) -> None:
    """Remove raw data (samples and answers) of old runs. Their reports, summaries and the history stay.

    Tagged runs and runs that are not in the history keep theirs.

    Examples:

    * `bench results prune --older-than 30d --dry-run`
    * `bench results prune --older-than 90d`
    """
    kept = past.place(history, results)
    found = archive.prunable(kept, results, days=_days(older_than))
    done = []
    for one in found:
        folder = Path(one.folder)
        freed = prune.raw_bytes(folder) if dry_run else prune.prune(folder, now())
        done.append({"name": one.name, "started": one.started, "folder": one.folder, "bytes": freed})
        if not as_json:
            terminal.say(f"{one.name}  {one.started}  {size(freed)}")
    if as_json:
        print_json({"pruned": done, "dry_run": dry_run})
    else:
        would = "would be removed" if dry_run else "were removed"
        total = sum(int(str(one["bytes"])) for one in done)
        terminal.say(f"{size(total)} of raw data of {len(done)} runs {would}.", to=terminal.err)


def _held(one: archive.Entry) -> str:
    return size(one.bytes) + ", pruned" * bool(one.pruned) if one.bytes is not None else "gone"


def _days(text: str) -> int:
    number = text.removesuffix("d")
    if not number.isdecimal() or len(number) > 6:
        raise UsageError(f"--older-than {text[:20]!r} is not a number of days", "Write e.g. 90d.")
    return int(number)
