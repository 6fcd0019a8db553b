"""The `bench` command: its verbs. With `bench.terminal`, the only place that prints or exits."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape

import bench
from bench import campaign, doctor, phones, plan, terminal, units
from bench.cache import Cache
from bench.devices.adb import FOLDER, AdbServer
from bench.errors import BenchError, UsageError
from bench.findings import Findings
from bench.store import RunFolder

app = typer.Typer(
    help="What a compressed neural network really does on your phone.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
phone = typer.Typer(help="Virtual phones, for machines without a real one.", no_args_is_help=True)
native = typer.Typer(help="The native runner.", no_args_is_help=True)
app.add_typer(phone, name="phone")
app.add_typer(native, name="native")

Device = Annotated[
    list[str] | None,
    typer.Option(
        "--device", "-s", help="Serial of a phone, as `bench devices` lists it; may be repeated.", metavar="SERIAL"
    ),
]
Server = Annotated[
    str | None, typer.Option("--adb-server", help="Use the adb server at HOST:PORT.", metavar="HOST:PORT")
]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="A plan in TOML.", metavar="FILE")]
Suite = Annotated[
    str | None, typer.Option("--suite", help=f"A plan that comes with bench: {', '.join(plan.suites())}.")
]
Model = Annotated[list[str] | None, typer.Option("--model", help="Only this network; may be repeated.")]
Variant = Annotated[list[str] | None, typer.Option("--variant", help="Only this variant; may be repeated.")]
Threads = Annotated[list[int] | None, typer.Option("--threads", help="CPU threads; may be repeated.", min=1, max=64)]
Launches = Annotated[int | None, typer.Option("--launches", help="Fresh processes per variant.", min=1)]
Results = Annotated[Path, typer.Option("--results", help="Where run folders are kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; errors only.")]
DEFAULT_SUITE = "quick"


class Abi(StrEnum):
    ARM64 = "arm64-v8a"
    ARM = "armeabi-v7a"
    X86_64 = "x86_64"
    HOST = "host"


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


@app.command()
def run(
    device: Device = None,
    plan_file: PlanFile = None,
    suite: Suite = None,
    model: Model = None,
    variant: Variant = None,
    threads: Threads = None,
    launches: Launches = None,
    results: Results = Path("results"),
    adb_server: Server = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure baseline and compressed networks on a phone and on this computer, and write a report.

    Without --device the only connected phone is used; when there is none, a virtual one is started.

    Examples:

    * `bench run --device emulator-5554`
    * `bench run --suite demo`
    * `bench run --plan nightly.toml --json > run.json`
    * `bench run --model lenet5 --variant baseline --variant fr-factored --threads 2`
    """
    wanted = _plan(plan_file, suite, model, variant, threads, launches)
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        chosen = phones.chosen(AdbServer.from_address(adb_server), device or (), watcher)
        folder, findings = campaign.run(wanted, chosen, results, Cache(), watcher)
    _show(folder, findings, as_json=as_json, quiet=quiet)


@app.command("plan")
def show_plan(
    plan_file: PlanFile = None,
    suite: Suite = None,
    model: Model = None,
    variant: Variant = None,
    threads: Threads = None,
    launches: Launches = None,
    as_json: Json = False,
) -> None:
    """Show what a run would do and about how long it takes, without touching a device.

    Examples:

    * `bench plan --suite demo`
    * `bench plan --plan nightly.toml --json`
    """
    wanted = _plan(plan_file, suite, model, variant, threads, launches)
    outline = campaign.outline(wanted)
    if as_json:
        _print_json({"plan": wanted.model_dump(mode="json"), **outline._asdict()})
        return
    header = ("model", "variants", "input", "threads", "precision", "launches", "iterations", "trials")
    terminal.table(header, outline.rows, title=f"{wanted.name}: {wanted.description}".rstrip(": "), words=5)
    terminal.out.print(
        f"{outline.trials} trials on one phone and this computer ({', '.join(wanted.desktop)}), "
        f"about {units.duration(outline.estimate_s * 1e9)} of measuring once everything is built and cached."
    )


@app.command()
def report(
    folder: Annotated[Path | None, typer.Argument(help="A run folder; the newest when left out.")] = None,
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """Write the report of a stored run again, and show its table. Needs no phone.

    Example: `bench report results/2026-11-21-quick`
    """
    stored = RunFolder(folder) if folder else RunFolder.latest(results)
    _show(stored, campaign.report(stored), as_json=as_json, quiet=False)


@app.command()
def devices(adb_server: Server = None, as_json: Json = False) -> None:
    """List what is connected, in whatever state."""
    listed = phones.connected(AdbServer.from_address(adb_server))
    if as_json:
        _print_json([row._asdict() for row in listed])
    elif listed:
        terminal.table(("serial", "state", "what", "ABI", "memory"), [row.cells() for row in listed], words=4)
    else:
        terminal.err.print("Nothing is connected. Plug a phone in with USB debugging on, or: bench phone start")


@app.command("doctor")
def examine(device: Device = None, adb_server: Server = None, as_json: Json = False) -> None:
    """Check adb, the device, its ABI and space, and the toolchain; each with the fix.

    Leaves with 1 when something is bad.
    """
    serial = device[0] if device else None
    checks = []
    for check in doctor.examine(AdbServer.from_address(adb_server), serial, Cache()):
        checks.append(check)
        if not as_json:
            mark = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "bad": "[red]✗[/]"}[check.state]
            terminal.out.print(f"{mark} {check.name}: {escape(check.found)}", soft_wrap=True)
            if check.fix:
                terminal.out.print(f"  → {escape(check.fix)}", soft_wrap=True)
    if as_json:
        _print_json([check._asdict() for check in checks])
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(1)


@app.command()
def clean(
    device: Device = None,
    adb_server: Server = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Also remove builds, training and exports on this computer.")
    ] = False,
) -> None:
    """Remove everything that bench put on a device.

    Example: `bench clean --device emulator-5554`
    """
    server = AdbServer.from_address(adb_server)
    if device or not cache:
        for transport in [server.choose(serial) for serial in device] if device else [server.choose(None)]:
            transport.run(["rm", "-rf", FOLDER], deadline_s=120)
            terminal.err.print(f"Removed {FOLDER} from {transport.serial}.")
    if cache:
        Cache().clear()
        terminal.err.print(f"Removed builds, training and exports from {Cache().root}.")


@phone.command("start")
def phone_start(
    profile: Annotated[
        str | None, typer.Option("--profile", help="Which phone to be; `bench phone list` names them.")
    ] = None,
    ram: Annotated[str | None, typer.Option("--ram", help="Memory limit, e.g. 2G or 512M.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="An odd port, 5555 to 5585.", min=1024, max=65535)] = None,
    adb_server: Server = None,
    as_json: Json = False,
) -> None:
    """Start a virtual phone that the adb server lists as an emulator.

    Examples:

    * `bench phone start`
    * `bench phone start --profile pixel-8-arm64 --ram 2G --port 5557`
    """
    from bench.virtual import phone as virtual

    with terminal.watcher(quiet=as_json) as watcher:
        started = phones.start_virtual(
            AdbServer.from_address(adb_server),
            watcher,
            profile=profile or virtual.DEFAULT,
            ram_bytes=_bytes(ram),
            port=port,
        )
    if as_json:
        _print_json(started)
    else:
        terminal.out.print(
            f"{started.serial} is a virtual {started.profile} ({started.abi}, isolated by {started.isolation}"
            + (f": {started.isolation_reason}" if started.isolation_reason else "")
            + f"). Stop it with: bench phone stop {started.serial}",
            soft_wrap=True,
        )


@phone.command("stop")
def phone_stop(
    serial: Annotated[str | None, typer.Argument(help="emulator-5554, or its port; all of them when left out.")] = None,
) -> None:
    """Stop virtual phones. Their storage is kept, like a real phone's."""
    from bench.virtual import phone as virtual

    serials = [serial] if serial else [p.serial for p in virtual.running()]
    for one in serials:
        terminal.err.print(f"Stopped {virtual.stop(one).serial}.")
    if not serials:
        terminal.err.print("No virtual phone is running.")


@phone.command("list")
def phone_list(as_json: Json = False) -> None:
    """List running virtual phones and the profiles there are."""
    from bench.virtual import phone as virtual
    from bench.virtual.profile import profile_names

    running = virtual.running()
    if as_json:
        _print_json({"running": [_plain(p) for p in running], "profiles": list(profile_names())})
        return
    if running:
        rows = [
            (p.serial, p.profile, p.abi, p.isolation, units.size(p.ram_bytes) if p.ram_bytes else "") for p in running
        ]
        terminal.table(("serial", "profile", "ABI", "isolation", "memory limit"), rows, words=4)
    terminal.out.print(f"Profiles: {', '.join(profile_names())}")


@native.command("build")
def native_build(
    abi: Annotated[
        list[Abi] | None, typer.Option("--abi", help="May be repeated; the host's own when left out.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build the native runner; finished builds are kept by content.

    Example: `bench native build --abi arm64-v8a --abi armeabi-v7a`
    """
    from bench.runtimes.build import build, host_abi

    built = []
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        for one in abi or [Abi.HOST]:
            name = host_abi() if one is Abi.HOST else str(one)
            built.append(build(name, Cache(), watcher.stage(f"build the native runner for {name}")))
    if as_json:
        _print_json(
            [{"abi": b.abi, "path": str(b.path), "sha256": b.sha256, "bytes": b.bytes, **b.toolchain} for b in built]
        )
    else:
        terminal.table(("ABI", "size", "path"), [(b.abi, units.size(b.bytes), str(b.path)) for b in built], words=3)


def _plan(
    file: Path | None, suite: str | None, model: list[str] | None, variant: list[str] | None,
    threads: list[int] | None, launches: int | None,
) -> plan.Plan:  # fmt: skip
    """The plan that the flags ask for, all its names known."""
    if file and suite:
        raise UsageError("both --plan and --suite were given", "Give one of them.")
    base = plan.load(file) if file else plan.suite(suite or DEFAULT_SUITE)
    return campaign.checked(plan.narrowed(base, model, variant, threads, launches))


def _bytes(text: str | None) -> int | None:
    """`2G`, `512M`: a memory size in powers of 1024."""
    if text is None:
        return None
    number, unit = text[:-1], text[-1:].upper()
    if unit not in ("K", "M", "G") or not number.replace(".", "", 1).isdigit():
        raise UsageError(f"--ram {text!r} is not a size", "Write e.g. 2G or 512M.")
    return int(float(number) * 1024 ** ("KMG".index(unit) + 1))


def _show(folder: RunFolder, findings: Findings, *, as_json: bool, quiet: bool) -> None:
    """The final tables, or the summary as JSON."""
    from bench.report import tables

    shown = tables.of_run(folder.record(), folder.measurements(), findings)
    if as_json:
        _print_json({"folder": str(folder.path), "record": folder.record().model_dump(mode="json"), **shown.as_json()})
        return
    if not quiet:
        for sentence in shown.answer.sentences:
            terminal.out.print(escape(sentence))
        terminal.out.print()
        for one in shown.tables:
            terminal.table(one.header, one.rows, title=one.title, notes=one.notes, words=one.words)
            terminal.out.print()
    terminal.out.print(f"Report: {folder.path / 'report.html'}", soft_wrap=True)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=lambda v: v.__dict__ if hasattr(v, "__dict__") else str(v)))


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(_plain(value), indent=1, ensure_ascii=False) + "\n")


def main() -> NoReturn:
    """The console script. Every BenchError becomes two lines on stderr (JSON with --json) and its exit status."""
    try:
        app(standalone_mode=True)
    except BenchError as error:
        if "--json" in sys.argv:
            _print_json(
                {
                    "error": {
                        "kind": type(error).__name__,
                        "what": error.what,
                        "fix": error.fix,
                        "exit": error.exit_status,
                    }
                }
            )
        terminal.err.print(f"[bold red]error:[/] {escape(error.what)}", soft_wrap=True)
        if error.fix:
            terminal.err.print(f"  → {escape(error.fix)}", soft_wrap=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        terminal.err.print("Interrupted; what had been measured is kept.")
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
