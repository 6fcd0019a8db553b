"""The verbs around networks and what runs them: compress, explain, import, native build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench import compress as methods
from bench import networks, plan, units
from bench import width as widths
from bench.cache import Cache
from bench.campaign.changes import Changes, changed
from bench.campaign.rivals import ALL
from bench.cli import field, terminal
from bench.cli.options import Add, DataPath, Input, Json, Quiet, Validation, Weights, print_json, size
from bench.compress.method import Request
from bench.compress.result import Compressed
from bench.errors import UsageError
from bench.files import replace
from bench.prepare.compression import compression
from bench.prepare.explanation import explained

if TYPE_CHECKING:
    from bench.export.cost import Cost
    from bench.export.explanation import Explained

native = typer.Typer(help="The native runner.", no_args_is_help=True)
imports = typer.Typer(help="Networks compressed by other tools.", no_args_is_help=True)


class Abi(StrEnum):
    ARM64 = "arm64-v8a"
    ARM = "armeabi-v7a"
    X86_64 = "x86_64"
    HOST = "host"


@native.command("build")
def native_build(
    abi: Annotated[list[Abi] | None, typer.Option("--abi", help="May be repeated (default: the host's own).")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build the native runner; finished builds are kept by content.

    Example: `bench native build --abi arm64-v8a --abi armeabi-v7a`
    """
    from bench.runtimes import host_abi
    from bench.runtimes.ncnn.build import build

    built = []
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        for one in abi or [Abi.HOST]:
            name = host_abi() if one is Abi.HOST else str(one)
            progress = watcher.stage(f"build the native runner for {name}")
            built.append(build(name, Cache(), progress, portable=one is not Abi.HOST))
    if as_json:
        print_json(
            [{"abi": b.abi, "path": str(b.path), "sha256": b.sha256, "bytes": b.bytes, **b.toolchain} for b in built]
        )
    else:
        terminal.table(("ABI", "size", "path"), [(b.abi, units.size(b.bytes), str(b.path)) for b in built], words=3)


@imports.command("frereg")
def import_frereg(
    checkpoint: Annotated[Path, typer.Argument(help="A state dict saved by the FR authors' package.", metavar="FILE")],
    model: Annotated[str, typer.Option("--model", help="The network it is a checkpoint of, e.g. unet.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The package to write (default: MODEL.frq).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn a checkpoint of the FR authors' `frereg` into a .frq package, exactly.

    Example: `bench import frereg unet_fr.pt --model unet`
    """
    from bench.compress.frequency import frereg, package
    from bench.networks import resolve

    path = output or Path(f"{model}.frq")
    network = resolve(model)
    made = frereg.imported(checkpoint, (network.learner or network.build)(), model)
    data = package.write(made)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Choose another path with --output.") from None
    if as_json:
        print_json({"path": str(path), "bytes": len(data), "coefficients": made.coefficients})
    else:
        terminal.out.print(f"{path}: {units.size(len(data))}, {made.coefficients:,} coefficients")


def compress(
    model: Annotated[
        str, typer.Argument(help="A name, file.py:function, module:function or a file (docs/networks.md).")
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="How small: a ratio (20x; of fr as published, 1110x), a number of coefficients or parameters (776), "
            "the bytes of the whole package (1.6kB), or multiply-adds (30MMAC, 4xMAC; not of fr).",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help=f"How: {', '.join(methods.names())}, or a chain.")
    ] = methods.names()[0],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The package (default: named after MODEL, method and target).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides everything random.", min=0, max=2**31 - 1)] = 1,
    epochs: Annotated[int | None, typer.Option("--epochs", help="How long to train.", min=1)] = None,
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            help="fr: how layers share the total (uniform, energy, sensitivity); prune: the ranking (l1, taylor, trr); "
            "int8: how the scales of inputs are chosen (kl, absmax).",
        ),
    ] = "uniform",
    one_shot: Annotated[
        bool, typer.Option("--one-shot", help="Compress trained weights as they are, without training.")
    ] = False,
    fine_tune: Annotated[
        int, typer.Option("--fine-tune", help="After --one-shot, fine-tune for this many epochs.", min=0)
    ] = 0,
    unlabelled: Annotated[
        bool,
        typer.Option(
            "--unlabelled",
            help="Learn from what the ordinary network answers, not from labels; --data may be any pictures.",
        ),
    ] = False,
    weights: Weights = None,
    data: DataPath = None,
    add: Add = None,
    input_shape: Input = None,
    validation: Validation = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over, ignoring what an interrupted run reached.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compress a network and write its package.

    An interrupted training resumes when the same command is run again, with the same result.

    Examples:

    * `bench compress lenet5 --target 1110x`
    * `bench compress lenet5 --target 7668 --data mnist/ --output digits.frq`
    * `bench compress resnet18 --target 100x --one-shot --weights resnet18.pt --budget energy`
    * `bench compress net.py:build --weights state.pt --input 3x32x32 --method half`
    * `bench compress net.py:build --data photos/ --input 3x32x32 --method dense-small --target 16kB`
    * `bench compress net.py:build --data photos/ --input 3x32x32 --method dense-small,half --target 16kB`
    * `bench compress lenet5 --method tucker --target 4xMAC`
    * `bench compress net.py:build --weights state.pt --input 3x32x32 --method prune --target 4xMAC --one-shot`
    * `bench compress lenet5 --method prune --budget trr --target 16kB --one-shot --fine-tune 5`
    * `bench compress resnet18 --weights resnet18.pt --data photos/ --unlabelled --method distil --target 20x`
    * `bench compress net.py:build --weights net.pt --input 3x32x32 --data signs/ --add field/ --method half`
    * `bench compress net.py:build --data photos/ --input 3x32x32 --validation 0.2 --method cascade --target distil:20x`
    """
    if method == ALL:
        raise UsageError(
            "bench compress writes one package, and all methods make as many",
            f"Name one of {', '.join(methods.names())}; bench run --model {model} --method all measures all of them.",
        )
    asked = changed(
        plan.Plan(name="compress", cases=(plan.Case(model=model),)),
        Changes(weights=weights, input=input_shape or (), data=data, add=add, validation=validation),
    ).cases[0]
    network = networks.resolve(model, weights=weights, inputs=asked.input)
    request = Request(target, seed, epochs, budget, one_shot, fine_tune, fresh, labels=not unlabelled)
    try:
        with terminal.watcher(quiet=quiet or as_json) as watcher:
            found = compression(network, asked.data, method, request, Cache(), watcher.stage)
    except KeyboardInterrupt:
        terminal.err.print("Interrupted; run the same command again to resume.")
        raise typer.Exit(130) from None
    named = "-".join(filter(None, (asked.label, method.replace(",", "+"), (target or "").strip().replace("/", "_"))))
    path = output or Path(f"{named}{methods.method(method).suffix}")
    try:
        replace(path, found.package)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Choose another path with --output.") from None
    if as_json:
        print_json({"path": str(path), **found.as_json()})
        return
    terminal.out.print(f"{terminal.escape(str(path))}: {units.size(len(found.package))}", soft_wrap=True)
    if not quiet:
        _show(found)
        if found.retrained:
            field.show(found.retrained, found.model)


def explain(
    package: Annotated[Path, typer.Argument(help="A .frq package.", metavar="MODEL.frq")],
    model: Annotated[
        str | None, typer.Option("--model", help="The network it was made of, where that is not one of bench's.")
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option("--input-size", help="Height and width (default: the network's own).", metavar="HxW"),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option("--width", help="Of its channels computed with: a part (1/4), or auto.", metavar="PART"),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show how each layer of an FR network runs in the fr-auto variant, why, and what each form of it costs.

    Example: `bench explain unet.frq --input-size 320x480 --width 1/4`
    """
    asked = None if width is None else widths.of(width)
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        progress = watcher.stage(f"export {package.name}")
        layers, told = explained(package, model, size(input_size), progress, asked)
    if as_json:
        print_json([asdict(layer) for layer in layers])
        return

    def three(of: Callable[[Cost], str], layer: Explained) -> str:
        return " · ".join("–" if cost is None else of(cost) for cost in (layer.dense, layer.factored, layer.resident))

    rows = [
        (
            *(layer.name, "×".join(map(str, layer.shape)), layer.form, layer.reason),
            three(lambda cost: units.number(cost.macs), layer),
            three(lambda cost: units.size(cost.weights), layer),
            three(lambda cost: units.size(cost.activations), layer),
        )
        for layer in layers
    ]
    terminal.table(
        ("layer", "weight", "runs", "because", "multiply-adds", "weights", "activations"),
        rows,
        title=f"{package.name}: dense · factored · resident",
        notes=[
            "Activations are bytes read and written in float32. Resident: what is between two layers stays small.",
            *([told] if told else []),
        ],
        words=4,
    )


def _show(found: Compressed) -> None:
    """The compressed network beside the ordinary one, as files of the same kind."""

    def right(accuracy: float | None) -> str:
        return "–" if accuracy is None else units.percent(accuracy)

    size = len(found.package)
    rows = (
        ("ordinary, float32", found.parameters, found.float32_bytes, 1.0, right(found.accuracy_before)),
        ("ordinary, float16", found.parameters, found.float16_bytes, found.float32_bytes / found.float16_bytes, ""),
        *(
            (f"capacity {one.number} of {one.of}", one.coefficients, one.bytes, found.float32_bytes / one.bytes,
             right(one.accuracy)) for one in found.capacities
        ),
        ("the whole file" if found.capacities else "compressed", found.coefficients, size, found.byte_ratio,
         "" if found.capacities else right(found.accuracy)),
    )  # fmt: skip
    notes = [
        f"{units.ratio(found.parameter_ratio)} fewer numbers than the ordinary network has parameters; "
        f"{units.ratio(found.published_ratio)} where each is half a parameter, as float16 in the FR publication, "
        "and biases are none.",
        "Bytes are of whole packages, with all that the network needs: biases and norms too. The ordinary network is "
        "in a file like the method's own, so that its bytes differ a little between methods.",
    ]
    if found.capacities:
        notes.append("Bytes of a capacity are those of a package of it alone; the whole file has all of them.")
    if found.tested:
        notes.append(f"Accuracy of the network read back from its file, over {found.tested:,} samples. {found.source}.")
    terminal.table(
        ("network", "numbers", "bytes", "smaller", "accuracy"),
        [(name, f"{numbers:,}", f"{count:,}", units.ratio(ratio), text) for name, numbers, count, ratio, text in rows],
        title=found.model,
        notes=[*notes, *found.notes],
    )
    if found.layers:
        terminal.table(
            ("weight", "numbers", "layers"),
            [(name, f"{found.kept.get(name, 0):,}", words) for name, words in found.layers.items()],
            title=f"{found.model}, layer by layer",
            words=2,
        )
