"""The verb that finds the first stage that differs between a desktop and a phone: parity."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from bench import plan
from bench.analyse import ladder
from bench.analyse.ladder import Rung
from bench.cache import Cache
from bench.campaign import asked, parity
from bench.campaign.changes import Changes, changed
from bench.campaign.reached import reached
from bench.cli import terminal
from bench.cli.options import Input, InputSize, Json, Quiet, Server, Weights, print_json, size
from bench.errors import UsageError
from bench.networks.network import Network
from bench.preprocess import DEFAULT, Preprocess

DIFFERS, UNDECIDED = 1, 2
"""Exit statuses: a stage differs, as of `diff`; none does, but not all that was asked for could be compared."""
_OF_CHANNELS = ("mean", "deviation")
"""Keys of preprocessing that have a number for each channel."""
_MOST_CHANNELS = 8
"""Channels that are named one by one."""
_MOST_OPEN = 3
"""Reasons why something was not compared that are told."""
_HEADER = ("stage", "what", "values", "max |Δ|", "of largest", "allowed", "at", "phone / desktop", "")


def compare(
    network: Annotated[
        str, typer.Argument(help="A name, file.py:function, module:function or a file (docs/networks.md).")
    ],
    picture: Annotated[Path, typer.Argument(help="A JPEG, PNG or BMP file.", metavar="PICTURE")],
    device: Annotated[
        str | None, typer.Option("--device", "-s", help="Serial of the phone, or host:port.", metavar="SERIAL")
    ] = None,
    variant: Annotated[
        str, typer.Option("--variant", help="Which form of the network, e.g. fr-factored, int8.")
    ] = "baseline",
    weights: Weights = None,
    input_shape: Input = None,
    input_size: InputSize = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="What executes the network.")] = None,
    app_files: Annotated[
        Path | None,
        typer.Option(
            "--app-files",
            help="A folder with the network's files as your app has them, to run instead of bench's.",
            metavar="DIR",
        ),
    ] = None,
    app_preprocess: Annotated[
        list[str] | None,
        typer.Option(
            "--app-preprocess",
            help="What your app does to pictures instead, in a plan's words: channels=bgr, mean=[0.5,0.5,0.5], "
            "filter=nearest; may be repeated.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Also show the modules that agree with torch.")] = False,
    adb_server: Server = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the first stage that differs between this computer and a phone, and by how much: the picture's file, its
    pixels, resized, normalised, each layer, the answer. Leaves with 0 where all are equal, with 1 where one differs,
    with 2 where none does but not all could be compared.

    Each stage is judged on what the phone made of its own stage before.

    Examples:

    * `bench parity mobilenetv2 cat.jpg`
    * `bench parity net.py:build cat.png --weights state.pt --input 3x64x64 --device emulator-5554`
    * `bench parity mobilenetv2 cat.jpg --app-files app/src/main/assets --app-preprocess channels=bgr`
    """  # fmt: skip
    wanted = asked.checked(
        changed(
            plan.suite("quick"),
            Changes(
                models=(network,), variants=(variant,), weights=weights, input=tuple(input_shape or ()),
                input_size=size(input_size), data=picture, samples=1, runtimes=(runtime,) if runtime else (),
            ),
        )
    )  # fmt: skip
    own = _app_preprocess(app_preprocess, wanted) if app_preprocess else None
    with (
        terminal.watcher(quiet=quiet or as_json) as watcher,
        reached([device] if device else [], watcher, adb_server=adb_server) as there,
    ):
        found = parity.parity(parity.Subject(wanted, picture, app_files, own), there.phones[0], Cache(), watcher)
    if as_json:
        print_json(_plain(found))
    else:
        _show(found, show_all=show_all)
    raise typer.Exit(status(found))


def status(found: parity.Parity) -> int:
    """What the command leaves with."""
    return DIFFERS if found.first else UNDECIDED if found.open else 0


def _app_preprocess(given: Sequence[str], wanted: asked.Asked) -> Preprocess:
    """The network's own preprocessing with these keys otherwise. Raises UsageError."""
    case = wanted.plan.cases[0]
    network: Network = wanted.networks[case.label]
    base = (case.data.preprocess if case.data else None) or network.preprocess or DEFAULT
    changes: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or key.strip() not in Preprocess.model_fields:
            raise UsageError(
                f"--app-preprocess {one!r} is not KEY=VALUE", f"The keys are {', '.join(Preprocess.model_fields)}."
            )
        changes[key.strip()] = _value(value.strip(), of_channels=key.strip() in _OF_CHANNELS)
    try:
        return Preprocess.model_validate(base.model_dump() | changes)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = f"{problem['loc'][0]}: " if problem["loc"] else ""
        raise UsageError(
            f"--app-preprocess: {key}{plan.message_of(problem)}",
            "See docs/plans.md for every key.",
        ) from None


def _value(text: str, *, of_channels: bool) -> Any:
    """As in TOML; words may stand without quotes, and of what each channel has one number stands for all."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    alone = isinstance(value, int | float) and not isinstance(value, bool)
    return [value] if of_channels and alone else value


def _plain(found: parity.Parity) -> dict[str, Any]:
    first = found.first
    return {
        **asdict(found),
        "equal": found.equal,
        "verdict": verdict(found),
        "exit": status(found),
        "first": _plain_rung(first) if first else None,
        "open": [_plain_rung(rung) for rung in found.open],
        "rungs": [_plain_rung(rung) for rung in found.rungs],
        "modules": [_plain_rung(rung) for rung in found.modules],
    }


def _plain_rung(rung: Rung) -> dict[str, Any]:
    """JSON has no infinity and nothing that is not a number: these are words."""
    fields = asdict(rung) | {"values": rung.values}
    return {key: str(one) if isinstance(one, float) and not math.isfinite(one) else one for key, one in fields.items()}


def _show(found: parity.Parity, *, show_all: bool) -> None:
    where = f"{found.device}{' (virtual)' if found.virtual else ''}"
    title = f"{found.model}, {found.variant}, {found.runtime}: {found.picture} on {where}"
    at = ladder.first(found.rungs)
    rows = [_row(rung) for rung in found.rungs]
    terminal.table(_HEADER, rows, title=title, words=2, marked=at, dim=_behind(found.rungs, at))
    known = [rung for rung in found.modules if rung.differs is False]
    if found.modules:
        at = ladder.first(found.modules)
        shown = [rung for rung in found.modules if show_all or rung.differs]
        if shown:
            first = next((i for i, rung in enumerate(shown) if rung.differs), None)
            terminal.table(
                _HEADER, [_row(rung) for rung in shown], title="The exported graph on this computer against torch",
                words=2, marked=first, dim=_behind(shown, first),
            )  # fmt: skip
        worst = max(known, key=lambda rung: rung.relative or 0.0, default=None)
        terminal.say(
            f"Of {len(found.modules)} outputs of torch's modules, {len(known)} are in the exported graph"
            + (f"; the furthest is {worst.name}, {worst.relative:.2g} of its largest value" if worst else "")
            + ("." if at is None else f"; from {found.modules[at].name} on it computes something else.")
        )
    for note in found.notes:
        terminal.say(note)
    terminal.say(verdict(found))


def verdict(found: parity.Parity) -> str:
    """What differs first, and what could not be compared."""
    first = found.first
    if first is None and found.open:
        return f"Not known to be equal: nothing that was compared differs, but {_not_compared(found.open)}"
    if first is None:
        only_shown = [rung for rung in found.rungs if rung.stage == "answer" and rung.differs is None]
        but = "; ".join(f"{_called(rung)}, is shown and not judged: {rung.remark}" for rung in only_shown)
        return f"Equal: no stage differs ({but})." if but else "Equal: no stage differs."
    words = f"First differs: {_called(first)}"
    if first.delta is not None:
        words += f", by up to {first.delta:.4g} ({first.off:,} of {first.values:,} values)"
    if first.channels and first.stage in ("layer", "module"):
        words += f"; {_in_channels(first)}"
    if first.remark:
        words += f": {first.remark}"
    shown = [f"{words}."]
    if first.stage == "file" and (layer := next((r for r in found.rungs if r.stage == "layer" and r.differs), None)):
        shown.append(f"It first shows in {_called(layer)}, {_in_channels(layer)}.")
    shown += [f"Due to {found.cause}."] * bool(found.cause)
    shown += [f"Beyond that, {_not_compared(found.open)}"] * bool(found.open)
    return " ".join(shown)


def _not_compared(open_rungs: Sequence[Rung]) -> str:
    """Where the climb ended, or what was left out, and why."""
    causes = [rung for rung in open_rungs if rung.remark]
    words = "; ".join(f"{_called(rung)} ({rung.remark})" for rung in causes[:_MOST_OPEN])
    words += f"; and {len(causes) - _MOST_OPEN} more" * (len(causes) > _MOST_OPEN)
    behind = list(dict.fromkeys(rung.stage for rung in open_rungs if not rung.remark))
    if not behind:
        return f"this was not compared: {words}."
    if not causes:
        return f"this was not compared: {', '.join(behind)}."
    return f"the climb ended at {words}; not compared: {', '.join(behind)}."


def _in_channels(rung: Rung) -> str:
    some = ", ".join(map(str, rung.channels[:_MOST_CHANNELS])) + ", …" * (len(rung.channels) > _MOST_CHANNELS)
    return f"in {len(rung.channels)} of {rung.shape[0]} channels: {some}"


def _called(rung: Rung) -> str:
    if rung.stage == "layer" and rung.open and rung.delta is None:
        return rung.name
    named = {"file": f"the file {rung.name}", "pixels": "the decoded pixels", "resized": "the resized picture",
             "input": "the normalised input", "answer": f"the answer {rung.name}"}  # fmt: skip
    kind = f" ({rung.kind})" if rung.kind else ""
    module = f", torch's {rung.module}" if rung.module else ""
    return named.get(rung.stage, f"the {rung.stage} {rung.name}{kind}{module}")


def _behind(rungs: Sequence[Rung], first: int | None) -> frozenset[int]:
    return frozenset(range(first + 1, len(rungs))) if first is not None else frozenset()


def _row(rung: Rung) -> tuple[str, ...]:
    mark = "?" if rung.open else {True: "≠", False: "=", None: "·"}[rung.differs]
    what = f"{rung.name} ({rung.kind})" if rung.kind else rung.name
    if rung.delta is None:
        why = rung.remark or "not reached" * rung.open
        return (f"{mark} {rung.stage}", what, "", "", "", "", "", "", why)
    place = f"({', '.join(map(str, rung.place))})" if rung.delta else ""
    both = f"{rung.found:.6g} / {rung.wanted:.6g}" if rung.delta else ""
    remark = rung.remark or rung.module
    if rung.differs and rung.channels and rung.stage in ("layer", "module"):
        own = f"{len(rung.channels)} of {rung.shape[0]} channels"
        remark = f"{own}; {remark}" if remark else own
    return (
        f"{mark} {rung.stage}", what, f"{rung.values:,}", f"{rung.delta:.3g}", f"{rung.relative:.2g}",
        f"{rung.allowed:.2g}", place, both, remark,
    )  # fmt: skip
