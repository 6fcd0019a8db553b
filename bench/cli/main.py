"""The `bench` command: its verbs put together, and what an error looks like."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import bench
from bench.cli import (
    calibrate,
    choose,
    collect,
    compare,
    convert,
    devices,
    farm,
    history,
    inspect,
    label,
    networks,
    nightly,
    parity,
    push,
    running,
    schedule,
    terminal,
    train,
    trend,
)
from bench.cli.options import print_json
from bench.errors import BenchError, HostFull, UsageError
from bench.files import is_full, reason

app = typer.Typer(
    help="What a compressed neural network really does on your phone.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command()(running.run)
app.command("plan")(running.show_plan)
app.command()(running.report)
app.command()(compare.compare)
app.command()(choose.choose)
app.command()(schedule.schedule)
app.command()(calibrate.calibrate)
app.command()(trend.trend)
app.command(cls=nightly.Command)(nightly.nightly)
app.add_typer(history.results_app, name="results")
app.command("devices")(devices.list_devices)
app.command("doctor")(devices.examine)
app.command()(devices.clean)
app.add_typer(devices.phone, name="phone")
app.add_typer(farm.app, name="farm")
app.command()(networks.compress)
app.command()(train.train)
app.command()(networks.explain)
app.command()(convert.convert)
app.command("parity")(parity.compare)
app.command()(inspect.inspect)
app.command()(collect.collect)
app.command()(label.label)
app.command()(push.push)
app.add_typer(networks.native, name="native")
app.add_typer(networks.imports, name="import")


def _print_version(asked: bool) -> None:
    if asked:
        terminal.out.print(f"bench {bench.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """The console script. Every BenchError becomes two lines on stderr (JSON with --json) and its exit status."""
    terminal.prepare()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by a system: as by Ctrl-C, with a report
    try:
        app(standalone_mode=True)
    except BenchError as error:
        _leave(error)
    except OSError as error:
        if is_full(error):
            _leave(HostFull.at(error.filename or "a file"))
        _leave(_no_place(error))
    except KeyboardInterrupt as interrupt:
        _interrupted(interrupt)
    except SystemExit as end:
        # typer makes an exit of an interrupt, and says nothing.
        cause = getattr(end.__context__, "__cause__", None)
        if isinstance(cause, KeyboardInterrupt):
            _interrupted(cause)
        raise
    sys.exit(0)


def _no_place(error: OSError) -> UsageError:
    """What it means that nothing can be kept where bench keeps its things, in the user's home. Raises any other
    error."""
    import platformdirs

    failed = Path(error.filename) if isinstance(error.filename, str) else None
    for variable, folder in (
        ("XDG_CACHE_HOME", platformdirs.user_cache_dir("fr-bench", appauthor=False)),
        ("XDG_STATE_HOME", platformdirs.user_state_dir("fr-bench", appauthor=False)),
    ):
        if failed and error.errno in _UNWRITABLE and (failed.is_relative_to(folder) or failed in Path(folder).parents):
            return UsageError(
                f"nothing can be kept in {folder}: {failed}: {reason(error)}",
                f"Set HOME or {variable} to a folder that you can write to.",
            )
    raise error


_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST)


def _interrupted(interrupt: KeyboardInterrupt) -> NoReturn:
    """Say it, in the words of whoever knows what was interrupted."""
    with contextlib.suppress(OSError):
        terminal.say(str(interrupt) or "Interrupted.", to=terminal.err)
    sys.exit(130)


def _leave(error: BenchError) -> NoReturn:
    """Say it and exit with its status. The terminal or the file that is written to may be what is full."""
    with contextlib.suppress(OSError):
        if "--json" in sys.argv:
            print_json(
                {
                    "error": {
                        "kind": type(error).__name__,
                        "what": error.what,
                        "fix": error.fix,
                        "exit": error.exit_status,
                    }
                }
            )
        terminal.failed(error)
    sys.exit(error.exit_status)
