"""The verb that trains a network on the phone itself: train."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import networks, plan, units
from bench.cache import Cache
from bench.campaign.changes import Changes, changed
from bench.campaign.learning import MOST, Learnt, School, Sweep, school
from bench.campaign.reached import reached
from bench.cli import terminal
from bench.cli.options import DataPath, Input, Json, Quiet, Server, print_json
from bench.errors import UsageError
from bench.files import replace
from bench.measure.training import Training
from bench.prepare.learning import ALPHAS, Lesson, Solved, lesson, solved
from bench.records import Device

_USUAL = ",".join(f"{alpha:g}" for alpha in ALPHAS)
_MOST_ALPHAS = 16
_LEAST, _LARGEST = 1e-12, 1e12


class Matrix(StrEnum):
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    FILE = "file"


_HEADER = (
    "neurons", "matrix", "alpha", "condition", "right", "desktop float64", "time", "products", "factor", "solve",
    "peak RSS", "package",
)  # fmt: skip


def train(
    model: Annotated[
        str, typer.Argument(help="The network whose task is to be learnt: its pictures and its classes, e.g. lenet5.")
    ],
    device: Annotated[
        str | None, typer.Option("--device", "-s", help="Serial of the phone, or host:port.", metavar="SERIAL")
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="Train on this computer, by the same program.")] = False,
    neurons: Annotated[
        list[int] | None,
        typer.Option("--neurons", help="Of the hidden layer (default: 1024); may be repeated.", min=1, max=MOST),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Instead: sizes doubled until the phone's memory ends, then the gap halved.")
    ] = False,
    alphas: Annotated[
        str,
        typer.Option(
            "--alphas",
            help="Regularisations; of several the one is taken that does best on an eighth of the pictures, which is "
            "not learnt from.",
            metavar="ALPHA,…",
        ),
    ] = _USUAL,
    matrix: Annotated[
        Matrix,
        typer.Option("--matrix", help="What the matrix is kept as: float32 or float16 in memory, or in a file."),
    ] = Matrix.FLOAT32,
    seed: Annotated[int, typer.Option("--seed", help="Decides everything random.", min=0, max=2**31 - 1)] = 1,
    threads: Annotated[int, typer.Option("--threads", help="CPU threads.", min=1, max=64)] = 1,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also solve it on this computer in float64 (up to 8,192 neurons).")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The package, of several sizes the last (default: MODEL-NEURONS.elm)."),
    ] = None,
    data: DataPath = None,
    input_shape: Input = None,
    deadline: Annotated[
        float, typer.Option("--deadline", help="Seconds that one training may take.", min=1, max=86_400)
    ] = 3600.0,
    adb_server: Server = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train an extreme learning machine on the phone: a random hidden layer, and output weights solved for there.

    The package, a seed and the output weights in float16, is fetched and measured like any other:
    `bench run --model lenet5 --variant elm` with its path as weights (docs/elm.md).

    Examples:

    * `bench train lenet5 --neurons 1024 --neurons 4096 --compare`
    * `bench train lenet5 --device emulator-5554 --neurons 19456 --matrix file`
    * `bench train lenet5 --data fashion/ --sweep`
    """
    chosen = _alphas(alphas)
    if here and device:
        raise UsageError("--here and --device were both given", "Leave one out.")
    if sweep and neurons:
        raise UsageError("--sweep and --neurons were both given", "A sweep chooses the sizes itself.")
    sizes = tuple(dict.fromkeys(neurons or [1024]))
    if compare and max(sizes) > _COMPARED:
        raise UsageError(
            f"--compare solves for at most {_COMPARED:,} neurons, and {max(sizes):,} were asked for",
            f"In float64 the matrix would take {units.size(8 * max(sizes) ** 2)}. Leave --compare out for this size.",
        )
    asked = changed(
        plan.Plan(name="train", cases=(plan.Case(model=model),)), Changes(input=input_shape or (), data=data)
    ).cases[0]
    network, cache = networks.resolve(model, inputs=asked.input), Cache()
    found: list[tuple[Learnt, Solved | None]] = []
    swept: Sweep | None = None
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        progress = watcher.stage(f"prepare what {asked.label} learns from")
        taught = lesson(network, asked.data, seed, chosen, cache)
        progress(1.0, taught.source)

        def learn(there: School) -> Device:
            nonlocal swept
            training = Training(sizes[0], taught.classes, seed, chosen, matrix.value, threads)
            if sweep:
                swept, learnt = there.sweep(training)
                found.extend((one, None) for one in learnt)
            for size in () if sweep else sizes:
                there_found = there.train(_of(training, size))
                found.append((there_found, _here(taught, size, seed, chosen, watcher) if compare else None))
            return there.device

        if here:
            with school(None, taught, deadline, cache, watcher) as there:
                machine = learn(there)
        else:
            with (
                reached([device] if device else [], watcher, adb_server=adb_server) as phones,
                school(phones.phones[0], taught, deadline, cache, watcher) as there,
            ):
                machine = learn(there)
    last = max(found, key=lambda one: one[0].trained.neurons) if sweep else found[-1]
    path = output or Path(f"{asked.label}-{last[0].trained.neurons}.elm")
    try:
        replace(path, last[0].package)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Choose another path with --output.") from None
    if as_json:
        print_json(_plain(path, machine, taught, matrix, found, swept))
        return
    _show(path, machine, taught, matrix, found, swept)


_COMPARED = 8192


def _alphas(text: str) -> tuple[float, ...]:
    """Raises UsageError."""
    try:
        found = tuple(dict.fromkeys(float(one) for one in text.split(",")))
    except ValueError:
        found = ()
    if not found or len(found) > _MOST_ALPHAS or not all(math.isfinite(a) and _LEAST <= a <= _LARGEST for a in found):
        raise UsageError(
            f"--alphas {text!r} is not one to {_MOST_ALPHAS} numbers above zero", "Write e.g. --alphas 0.5,5,50."
        )
    return found


def _of(training: Training, neurons: int) -> Training:
    return dataclasses.replace(training, neurons=neurons)


def _here(taught: Lesson, neurons: int, seed: int, alphas: tuple[float, ...], watcher: terminal.Quiet) -> Solved:
    progress = watcher.stage(f"solve for {neurons:,} neurons on this computer in float64")
    found = solved(taught, neurons, seed, alphas, progress)
    progress(1.0, "done")
    return found


def _plain(
    path: Path, machine: Device, taught: Lesson, matrix: Matrix, found: list[tuple[Learnt, Solved | None]],
    swept: Sweep | None,
) -> dict[str, Any]:  # fmt: skip
    rows = [
        asdict(one.trained)
        | {"matrix": matrix.value, "accuracy": one.trained.accuracy}
        | ({"desktop_right": other.right, "desktop_alpha": other.alpha} if other else {})
        for one, other in found
    ]
    return {
        "path": str(path),
        "device": {"serial": machine.serial, "name": machine.name, "virtual": machine.virtual},
        "source": taught.source,
        "trainings": rows,
        "sweep": asdict(swept) if swept else None,
    }


def _show(
    path: Path, machine: Device, taught: Lesson, matrix: Matrix, found: list[tuple[Learnt, Solved | None]],
    swept: Sweep | None,
) -> None:  # fmt: skip
    rows = []
    for one, other in found:
        t = one.trained
        right = "–" if t.accuracy is None else units.percent(t.accuracy)
        rows.append(
            (
                f"{t.neurons:,}", matrix.value, f"{t.alpha:g}", f"{t.condition:.1e}", right,
                units.percent(other.right / other.of) if other else "–", _time(t.seconds),
                _time(t.products_s), _time(t.factor_s), _time(t.solve_s),
                units.size(t.peak_rss) if t.peak_rss >= 0 else "–", units.size(len(one.package)),
            )
        )  # fmt: skip
    kind = "computer" if machine.kind == "desktop" else "phone"
    if machine.virtual:
        kind = "virtual phone: its times are this computer's"
    first = found[0][0].trained
    notes = [
        f"{machine.serial} ({machine.name}), a {kind}; threads: {first.threads}. {taught.source}.",
        f"Learnt from {first.samples:,} samples. Condition: of the matrix that was factored, an estimate.",
        *(
            f"{one.trained.neurons:,} neurons: factored {one.trained.tries} times, at last with "
            f"{one.trained.shift:.3g} for alpha, as rounding asks; gradients made up for it (residual "
            f"{one.trained.residual:.0e})."
            for one, _ in found
            if one.trained.tries > 1
        ),
    ]
    if swept:
        notes.append(f"{'At least ' * swept.at_least}{swept.neurons:,} neurons: {swept.why}.")
    terminal.table(_HEADER, rows, title="Trained on the device", notes=notes, words=2)
    terminal.out.print(f"{terminal.escape(str(path))}: {units.size(path.stat().st_size)}", soft_wrap=True)


def _time(seconds: float) -> str:
    return units.duration(1e9 * seconds)
