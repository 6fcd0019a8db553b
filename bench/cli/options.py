"""What several verbs share: their options, and JSON on stdout."""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints, overload

import typer

from bench import plan, runtimes
from bench.campaign.changes import Changes
from bench.cli import terminal
from bench.errors import UsageError
from bench.records import Precision

PRECISIONS = get_args(Precision)

Device = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        "-s",
        help="Serial of a phone, as `bench devices` lists it, or host:port, which is connected for the command; may "
        "be repeated. Or: all. Phones are measured at the same time.",
        metavar="SERIAL",
    ),
]
Server = Annotated[
    str | None, typer.Option("--adb-server", help="Use the adb server at HOST:PORT.", metavar="HOST:PORT")
]
Scheduler = Annotated[str, typer.Option("--scheduler", help="Of the farm: tls://HOST:PORT.", metavar="ADDRESS")]
Credentials = Annotated[
    Path | None,
    typer.Option(
        "--credentials", help="A folder by `bench farm init`: ca.pem, cert.pem, key.pem.", metavar="DIR",
        envvar="FR_BENCH_FARM",
    ),
]  # fmt: skip
PlanFile = Annotated[Path | None, typer.Option("--plan", help="A plan in TOML.", metavar="FILE")]
Suite = Annotated[
    str | None, typer.Option("--suite", help=f"A plan that comes with bench: {', '.join(plan.suites())}.")
]
Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Only this network: a name, file.py:function, module:function, or a file (docs/networks.md). "
        "May be repeated.",
    ),
]
Variant = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        help="Only this variant, e.g. fr-auto, half; with a target fr-auto:20x; at a width fr-resident@1/4. "
        "May be repeated.",
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="Instead of the plan's variants, this method at each of --sizes beside the ordinary network, with equal "
        "effort; may be repeated. Or: all.",
    ),
]
Sizes = Annotated[
    str | None,
    typer.Option(
        "--sizes",
        help="Of the files by --method: ratios to the ordinary network in float32, or bytes (default: "
        "4x,20x,100x,1000x).",
        metavar="SIZE,…",
    ),
]
Threads = Annotated[list[int] | None, typer.Option("--threads", help="CPU threads; may be repeated.", min=1, max=64)]
Launches = Annotated[int | None, typer.Option("--launches", help="Fresh processes per variant.", min=1)]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights", help="Trained weights of the one network to run: a state dict or a .frq package.", metavar="FILE"
    ),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input", help="Shape of an input without the batch, e.g. 3x224x224; may be repeated.", metavar="SHAPE"
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option("--input-size", help="Height and width, for networks that take any.", metavar="HxW"),
]
DataPath = Annotated[
    Path | None,
    typer.Option("--data", help="Data for the network: a folder or a file (docs/data.md).", metavar="PATH"),
]
Add = Annotated[
    Path | None,
    typer.Option(
        "--add",
        help="Labelled pictures from the field (bench collect, bench label): added to what is trained on, but for "
        "those held apart to measure on.",
        metavar="DIR",
    ),
]
Samples = Annotated[
    int | None, typer.Option("--samples", help="Use this many samples, classes in equal numbers.", min=1)
]
Validation = Annotated[
    float | None,
    typer.Option(
        "--validation",
        help="Hold out so much of the training data (0.2) for temperatures and thresholds (docs/confidence.md).",
        min=0.01, max=0.5,
    ),
]  # fmt: skip
PrecisionName = Annotated[
    list[str] | None,
    typer.Option(
        "--precision",
        help=f"How the runtime computes: {', '.join(PRECISIONS)}; may be repeated. Or, as a percentage, how narrow "
        "the 95 % interval of each ratio shall be, e.g. 2%: launches go on until it is, or --budget is spent.",
        autocompletion=lambda: list(PRECISIONS),
    ),
]
Budget = Annotated[
    str | None, typer.Option("--budget", help="For --precision 2%, per network (default: 5m).", metavar="TIME")
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse a phone that is not fit to be measured.")]
Require = Annotated[
    str | None,
    typer.Option(
        "--require",
        help="gpu: a launch by a runtime that computes on a GPU fails where a layer was computed elsewhere.",
        metavar="UNIT",
        autocompletion=lambda: ["gpu"],
    ),
]
Sustained = Annotated[
    str | None,
    typer.Option("--sustained", help="Also put each variant under load for so long, e.g. 10m.", metavar="TIME"),
]
Energy = Annotated[
    str | None,
    typer.Option(
        "--energy",
        help="Also measure energy, by so much load and so much rest a launch, e.g. 60s; unplugged phones alone.",
        metavar="TIME",
    ),
]
Beside = Annotated[
    int | None,
    typer.Option("--beside", help="Also measure with so many copies of the network at work beside.", min=0, max=16),
]
Load = Annotated[
    int | None,
    typer.Option("--load", help="Also measure with so many threads of other work beside.", min=0, max=64),
]
Largest = Annotated[
    int | None,
    typer.Option(
        "--largest", help="The memory test: the largest picture, tried up to so many pixels wide.", min=0, max=65_536
    ),
]
Drift = Annotated[
    str | None,
    typer.Option(
        "--drift",
        help="Also measure the answers to corrupted pictures: all, or e.g. noise,blur:3 (docs/drift.md).",
        metavar="NAME[:SEVERITY],…",
    ),
]
DriftSamples = Annotated[
    int | None,
    typer.Option("--drift-samples", help="Corrupt this many samples, classes in equal numbers.", min=1),
]
DevicePreprocess = Annotated[
    bool,
    typer.Option(
        "--on-device-preprocess",
        help="Give phones the pictures themselves in the accuracy pass: they decode and resize them (docs/parity.md).",
    ),
]
Profile = Annotated[bool, typer.Option("--profile", help="Also time every layer, in launches of their own.")]
Switch = Annotated[
    bool, typer.Option("--switch", help="Also time changes between a network's capacities, in launches of their own.")
]
Label = Annotated[str | None, typer.Option("--label", help="How results name the one network to run.")]
Cores = Annotated[
    str | None, typer.Option("--cores", help="Which cores: any, all, big, little, or a mask such as 0xf0.")
]
RuntimeName = Annotated[
    list[str] | None,
    typer.Option(
        "--runtime",
        help=f"What executes networks, on phones and here: {', '.join(runtimes.on('phone'))}; may be repeated; each "
        "variant is measured by each of them. Or: all.",
        autocompletion=lambda: [*runtimes.on("phone"), "all"],
    ),
]
Results = Annotated[Path, typer.Option("--results", help="Where run folders are kept.")]
HistoryPlace = Annotated[
    Path | None,
    typer.Option(
        "--history", help="Where finished runs are kept (default: `history` in --results).", metavar="DIR",
        envvar="FR_BENCH_HISTORY",
    ),
]  # fmt: skip
Resume = Annotated[
    Path | None,
    typer.Option("--resume", help="Go on with an interrupted run: only what is missing is measured.", metavar="RUN"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; errors only.")]


PROFILE_LAUNCHES = 5
"""Of --profile and of --switch, where --launches does not say how many."""


class Request(NamedTuple):
    """The plan that flags name, and what they change of it."""

    file: Path | None
    suite: str | None
    changes: Changes

    @staticmethod
    def of_nothing() -> Request:
        """Without any flag."""
        return _request()


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """A command that asks for a plan: its first parameter, `request`, is made of the flags that all such have."""
    shared = dict(inspect.signature(_request).parameters)
    own = dict(list(inspect.signature(command).parameters.items())[1:])
    hints = get_type_hints(_request, include_extras=True) | get_type_hints(command, include_extras=True)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(_request(**{name: given.pop(name) for name in shared}), **given)

    parameters = [
        one.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, one in (shared | own).items()
    ]  # fmt: skip
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _request(
    plan_file: PlanFile = None, suite: Suite = None, model: Model = None, variant: Variant = None,
    method: Methods = None, sizes: Sizes = None,
    weights: Weights = None, data: DataPath = None, add: Add = None, samples: Samples = None, input_shape: Input = None,
    input_size: InputSize = None, label: Label = None, threads: Threads = None, precision: PrecisionName = None,
    cores: Cores = None, runtime: RuntimeName = None, launches: Launches = None, budget: Budget = None,
    strict: Strict = False, require: Require = None, sustained: Sustained = None, energy: Energy = None,
    beside: Beside = None, load: Load = None, largest: Largest = None, profile: Profile = False,
    switch: Switch = False, validation: Validation = None,
    on_device_preprocess: DevicePreprocess = False, drift: Drift = None, drift_samples: DriftSamples = None,
) -> Request:  # fmt: skip
    """Raises UsageError for a time, a size or a precision that is none, and for what would be without effect."""
    goals = [text for text in precision or () if text.endswith("%")]
    names = [text for text in precision or () if not text.endswith("%")]
    if len(goals) > 1:
        raise UsageError(f"--precision has {len(goals)} percentages: {', '.join(goals)}", "Give one of them.")
    _refuse_empty(
        {
            "--suite": suite, "--label": label, "--cores": cores, "--runtime": runtime, "--input-size": input_size,
            "--model": model, "--variant": variant, "--method": method, "--sizes": sizes,
            "--input": input_shape, "--precision": precision, "--drift": drift and drift.strip(", "),
        }
    )  # fmt: skip
    if unknown := [name for name in names if name not in PRECISIONS]:
        choices = ", ".join(PRECISIONS)
        raise UsageError(
            f"--precision {unknown[0]!r} is neither a precision nor a percentage", f"Write e.g. 2%, or {choices}."
        )
    wanted = {
        "launches": launches, "strict": strict or None, "require": require, "beside": beside, "load": load,
        "largest_side": largest, "device_preprocess": on_device_preprocess or None,
        "ratio_interval": _percentage(goals[-1]) if goals else None, "budget_seconds": seconds("--budget", budget),
        "sustained_seconds": seconds("--sustained", sustained), "energy_seconds": seconds("--energy", energy),
        "profile_launches": (launches or PROFILE_LAUNCHES) if profile else None,
        "switch_launches": (launches or PROFILE_LAUNCHES) if switch else None,
        "drift": _listed(drift), "drift_samples": drift_samples,
    }  # fmt: skip
    protocol = {name: value for name, value in wanted.items() if value is not None}
    changes = Changes(
        tuple(model or ()), tuple(variant or ()), tuple(method or ()),
        _listed(sizes) or (),
        tuple(threads or ()), tuple(names), weights,
        tuple(input_shape or ()), size(input_size), data, samples, label, cores, tuple(runtime or ()), protocol, add,
        validation,
    )  # fmt: skip
    return Request(plan_file, suite, changes)


def _listed(text: str | None) -> tuple[str, ...] | None:
    """The words between commas."""
    return None if text is None else tuple(one.strip() for one in text.split(",") if one.strip())


def _percentage(text: str) -> float:
    """Raises UsageError."""
    found = re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.removesuffix("%").strip(), re.ASCII)
    if found is None or not 0 < float(found[0]) <= 100:
        raise UsageError(f"--precision {text!r} is not a percentage above 0 and up to 100", "Write e.g. 2%.")
    return float(found[0]) / 100


def _refuse_empty(given: Mapping[str, str | list[str] | None]) -> None:
    """Raise UsageError for a flag whose words are none: it would change nothing, and nobody means that."""
    for flag, value in given.items():
        if any(not text.strip() for text in ([value] if isinstance(value, str) else value or ())):
            raise UsageError(f"{flag} is given without a value", "Give it one, or leave it out.")


def seconds(flag: str, text: str | None) -> float | None:
    """`90s`, `10m`, `1.5h` or a number of seconds. Raises UsageError."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|m|min|h)?", text.strip(), re.ASCII)
    if found is None:
        raise UsageError(f"{flag} {text!r} is not a time", "Write e.g. 90s, 10m or 1h.")
    return float(found[1]) * {"m": 60, "min": 60, "h": 3600}.get(found[2] or "s", 1)


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=lambda v: v.__dict__ if hasattr(v, "__dict__") else str(v)))


def print_json(value: Any) -> None:
    """On stdout, in ASCII: none of its characters can control a terminal or be missing from an encoding."""
    try:
        sys.stdout.write(json.dumps(plain(value), indent=1) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        terminal.reader_gone()


def size(text: str | None) -> tuple[int, int] | None:
    """`320x480` as height and width. Raises UsageError."""
    if text is None:
        return None
    try:
        height, width = plan.shape_of(text)
    except ValueError:
        raise UsageError(f"--input-size {text!r} is not a height and a width", "Write e.g. 320x480.") from None
    return height, width


@overload
def room(flag: str, text: str) -> int: ...
@overload
def room(flag: str, text: None) -> None: ...
def room(flag: str, text: str | None) -> int | None:
    """`2G`, `2GB`, `2GiB`, `512M`: a size of memory or files in bytes, in powers of 1024. Raises UsageError."""
    if text is None:
        return None
    shortened = re.sub(r"(?<=[KMG])I?B$", "", text.strip().upper())
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([KMG])", shortened, re.ASCII)
    count = int(float(found[1]) * 1024 ** ("KMG".index(found[2]) + 1)) if found else 0
    if count < 1:
        raise UsageError(f"{flag} {text!r} is not a size", "Write e.g. 2G or 512M.")
    return count
