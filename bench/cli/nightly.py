"""The verb for every night: nightly."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from bench.cache import Cache
from bench.campaign import past, phones
from bench.cli import terminal
from bench.cli.compare import METRICS_SHOWN, fraction
from bench.cli.options import Device, HistoryPlace, Json, Quiet, Request, Results, Server, asking, print_json
from bench.cli.running import asked_for
from bench.devices.adb import AdbServer, AdbTransport
from bench.devices.attached import attached
from bench.errors import BenchError, NoDevice, Transient, Unauthorized, UsageError
from bench.records import METRICS
from bench.report import verdicts as shown
from bench.report.nightly import EXITS, Nightly, as_json, table, write
from bench.results.folder import refuse_unwritable

BROKEN = "nightly-broken"
"""In the results: where the files of a night without a run go."""
_WRONG_FLAG: Any = typer.BadParameter.__mro__[1]
"""UsageError of the click that this typer works with, which may be its own copy."""


class Command(TyperCommand):
    """Leaves with `broken` whatever else goes wrong: 1 is a regression, 2 an incomplete night."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except _WRONG_FLAG as error:
            error.exit_code = EXITS["broken"]
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except BenchError as error:  # of a flag that no night could begin with
            given = ctx.params
            night = Nightly("", _now(), wanted=given["baseline"], error=error)
            _leave(night, given["out"], given["results"], as_json_=given["as_json_"], quiet=given["quiet"])
        except Exception:
            traceback.print_exc()
            raise typer.Exit(EXITS["broken"]) from None


@asking
def nightly(
    request: Request,
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="RUN",
            help="What to compare with: a run (docs/history.md), or last-good: the newest good night.",
        ),
    ] = "last-good",
    device: Device = None,
    margin: Annotated[
        str, typer.Option("--margin", help="A smaller difference of times and bytes is the same.")
    ] = "3%",
    rule_out: Annotated[
        str, typer.Option("--rule-out", help="A night that cannot rule out a slow-down of this size is incomplete.")
    ] = "25%",
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help=f"Compare this; may be repeated (default: {', '.join(METRICS_SHOWN)})."),
    ] = None,
    keep_raw: Annotated[
        int | None,
        typer.Option(
            "--keep-raw", help="Remove raw data of all but so many nights of this plan.", min=1, metavar="NIGHTS"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where nightly.json, .md and .xml go (default: the run's folder).", metavar="DIR"),
    ] = None,
    on_end: Annotated[
        str | None,
        typer.Option("--on-end", help="Run this in the end, with the path of nightly.json.", metavar="CMD"),
    ] = None,
    results: Results = Path("results"),
    history: HistoryPlace = None,
    adb_server: Server = None,
    as_json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a plan, compare it with a baseline, measure again what looks worse, and write JUnit XML, JSON and Markdown.

    Exits with 0 for a good night, 1 for a regression, 2 for an incomplete night, 3 for a broken one (a wrong flag or
    plan, nothing measured). See docs/nightly.md.

    Examples:

    * `bench nightly --plan nightly.toml --device R58M123ABC`
    * `bench nightly --plan nightly.toml --baseline v1.2 --keep-raw 30 --out nightly/`
    * `bench nightly --plan nightly.toml --on-end "./tell-the-chat.sh"`
    """
    hook: tuple[str, ...] = ()
    started = _now()
    plan = request.file.stem if request.file else request.suite or ""
    try:
        from bench.campaign import nightly as story  # scipy takes a second to import
        from bench.campaign import on_end as ends

        hook = ends.command(on_end) if on_end else ()
        with _terminated_like_interrupted():
            night = _night(
                request, baseline, device or [], (margin, rule_out), metric or [], keep_raw, out, (results, history),
                adb_server, quiet=quiet or as_json_,
            )  # fmt: skip
    except BenchError as error:
        night = Nightly(plan, started, wanted=baseline, error=error)
    except OSError as error:
        night = Nightly(plan, started, wanted=baseline, error=story.unreadable(error))
    except KeyboardInterrupt:
        night = Nightly(plan, started, wanted=baseline, incomplete=("it was interrupted before anything was measured",))
    _leave(night, out, results, hook, as_json_=as_json_, quiet=quiet)


def _leave(
    night: Nightly, out: Path | None, results: Path, hook: tuple[str, ...] = (), *, as_json_: bool, quiet: bool
) -> NoReturn:  # fmt: skip
    """Write the files, tell the user's command, show it, and exit."""
    try:
        files = write(night, out or night.folder or results / BROKEN)
    except UsageError as error:
        if night.error is not None:
            terminal.failed(error)
        night, files = (night if night.error else replace(night, error=error)), {}
    failed = ""
    if hook and files:
        from bench.campaign import on_end

        failed = on_end.call(hook, night, files)
    if failed:
        terminal.say(f"--on-end {hook[0]}: {failed}", to=terminal.err)
    if night.error is not None:
        terminal.failed(night.error)
    if as_json_:
        print_json(as_json(night) | {"files": {kind: str(path) for kind, path in files.items()}, "on_end": failed})
    else:
        _show(night, files, quiet=quiet)
    raise typer.Exit(night.exit)


def _night(
    request: Request, baseline: str, device: list[str], shares: tuple[str, str], metric: list[str],
    keep_raw: int | None, out: Path | None, places: tuple[Path, Path | None], adb_server: str | None, *, quiet: bool,
) -> Nightly:  # fmt: skip
    """Everything that can be wrong with the request is found before anything is measured. Raises BenchError."""
    results, history = places
    wanted_metrics = tuple(metric or METRICS_SHOWN)
    if unknown := [name for name in wanted_metrics if name not in METRICS]:
        raise UsageError(f"unknown metric {unknown[0]!r}", f"Choose of {', '.join(METRICS)}.")
    allowed = fraction(shares[0], "--margin"), fraction(shares[1], "--rule-out")
    asked = asked_for(request)
    kept = past.place(history, results)
    kept.check()
    for place in (results, kept.path, *([out] if out else [])):
        refuse_unwritable(place)
    from bench.campaign import nightly as story

    story.baseline_of(baseline, kept, results)
    with terminal.watcher(quiet=quiet) as watcher, ExitStack() as leaving:
        found, absent = _phones(AdbServer.from_address(adb_server), device, watcher, leaving)
        wanted = story.Wanted(baseline, *allowed, wanted_metrics, keep_raw, tuple(device))
        return story.run(asked, found, absent, wanted, story.Places(results, kept, Cache()), watcher)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _phones(
    server: AdbServer, serials: list[str], watcher: terminal.Quiet, leaving: ExitStack
) -> tuple[list[AdbTransport], dict[str, BenchError]]:
    """Those that are there of the phones that were named, and why others are not; or what `bench run` would take.
    Raises the first reason where none is there."""
    if not serials:
        return phones.chosen(server, (), watcher), {}
    found: list[AdbTransport] = []
    absent: dict[str, BenchError] = {}
    for serial in dict.fromkeys(serials):
        try:
            leaving.enter_context(attached(server, [serial]))
            found += phones.chosen(server, [serial], watcher)
        except (NoDevice, Unauthorized, Transient) as error:
            absent[serial] = error
    if not found:
        raise next(iter(absent.values()))
    return found, absent


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM (a service that is stopped, a job that is cancelled) ends the run like Ctrl-C: what was measured is
    reported."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(night: Nightly, files: dict[str, Path], *, quiet: bool) -> None:
    if not quiet:
        if night.judged:
            rows = table(night)
            terminal.table(shown.HEADER, rows.rows, notes=rows.notes, words=shown.WORDS)
        if night.error is None:
            for reason in night.reasons:
                terminal.say(f"- {reason}")
        for note in night.notes:
            terminal.say(note)
    terminal.say(night.sentence)
    if files:
        terminal.say(f"Written: {files['json'].parent}", to=terminal.err)
