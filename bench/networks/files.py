"""Networks that are files: TorchScript, torch.export, ONNX, ncnn and `.frq`."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bench.errors import CorruptData, UsageError
from bench.networks import content, onnx
from bench.networks.network import Network, checked
from bench.plan import label_of
from bench.records import Tensor

if TYPE_CHECKING:
    import torch
    from torch import nn

_NO_INPUTS = "Give its shape without the batch, with --input: e.g. 3x224x224."
_TRAINING = "Call .eval() on the network before you export it."


def network(path: Path, inputs: Sequence[Tensor] | None) -> Network:
    """The network in a file, told apart by content; `inputs` where the file does not say them.

    Its task is "other" until it has been run. Raises UsageError (no such file, not a network, inputs that are not
    known) and CorruptData (damaged).
    """
    kind = content.kind(path)
    if kind == "torchscript":
        return _torchscript(path, inputs)
    if kind == "pt2":
        return _exported(path, inputs)
    if kind == "onnx":
        return _onnx(path, inputs)
    if kind == "ncnn":
        return _ncnn(path, inputs)
    if kind in ("state dict", "safetensors"):
        raise UsageError(
            f"{path} is {content.words(kind)}: weights without the network that they belong to",
            f"Give it with --weights {path}, and the network's own code as --model: net.py:build.",
        )
    if kind == "damaged archive":
        raise CorruptData(f"{path} is {content.words(kind)}", "Copy or export it again.")
    if kind == "binary ncnn":
        raise UsageError(
            f"{path} is {content.words(kind)}, which has no names", "Give the text form: the .param beside it."
        )
    if path.suffix == ".bin" and path.with_suffix(".param").is_file():
        raise UsageError(f"{path} has an ncnn graph's weights only", f"Name the graph: {path.with_suffix('.param')}.")
    raise UsageError(
        f"{path} is {content.words(kind)}",
        "A network is TorchScript, torch.export (.pt2), ONNX, ncnn's .param with its .bin, or Python: net.py:build.",
    )


def package_name(path: Path) -> str:
    """The name of the network that a `.frq` package is of. Raises UsageError and CorruptData."""
    from bench.compress.frequency import package

    try:
        return package.read(path.read_bytes()).name
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "Name a .frq package.") from None


# --- torch ---------------------------------------------------------------------------------------------------------


def _torchscript(path: Path, inputs: Sequence[Tensor] | None) -> Network:
    if inputs is None:
        raise UsageError(f"a TorchScript file does not say the shape of its input: {path}", _NO_INPUTS)
    return _of_torch(path, "TorchScript", inputs, lambda: _script(path))


def _script(path: Path) -> nn.Module:
    import torch

    try:
        with _quiet():
            module: Any = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
            graph = module.inlined_graph
            # A trace has its mode built in; in a script it is looked up, and eval() sets it.
            modes = [list(n.inputs())[2].toIValue() for n in graph.findAllNodes("aten::dropout")]
            modes += [list(n.inputs())[5].toIValue() for n in graph.findAllNodes("aten::batch_norm")]
    except Exception as error:  # torch's reader fails on damaged files in every way there is
        _unreadable(path, "TorchScript", error)
    if True in modes:
        raise UsageError(f"{path} was traced in training mode: its dropout or batch norms still train", _TRAINING)
    loaded: nn.Module = module
    return loaded


def _exported(path: Path, inputs: Sequence[Tensor] | None) -> Network:
    found = _program(path)
    own = tuple(_shapes_of(path, found))
    if inputs is not None and [len(i.shape) for i in inputs] != [len(i.shape) for i in own]:
        raise UsageError(
            f"{path} has {len(own)} inputs of {', '.join('×'.join(map(str, i.shape)) for i in own)}",
            "Leave --input out, or give as many shapes of the same rank.",
        )
    return _of_torch(path, "torch.export", inputs or own, lambda: _module(_program(path)))


def _program(path: Path) -> torch.export.ExportedProgram:
    import torch

    try:
        with _quiet(), path.open("rb") as file:
            found = torch.export.load(file)
    except Exception as error:  # as above
        if operator := _unknown_operator(path):
            raise UsageError(
                f"{path} uses {operator}, an operator that this torch does not know",
                "Replace it in the network by torch's own operators, and export it again.",
            ) from None
        _unreadable(path, "torch.export", error)
    for node in found.graph.nodes:
        name = str(node.target)
        place = {"aten.dropout.default": 2, "aten.batch_norm.default": 5}.get(name)
        if place is not None and node.args[place] is True:
            raise UsageError(f"{path} was exported in training mode: {name} still trains", _TRAINING)
    return found


def _unknown_operator(path: Path) -> str | None:
    """The first operator in an exported program that no library here defines; torch's own error names none."""
    import torch

    with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("model.json"):
                text = archive.read(name).decode()
                for space, operator in re.findall(r'"torch\.ops\.(\w+)\.(\w+)', text):
                    if not hasattr(getattr(torch.ops, space), operator):
                        return f"{space}::{operator}"
    return None


def _module(program: torch.export.ExportedProgram) -> nn.Module:
    module = program.module()
    for part in module.modules():
        part.training = False  # its eval() is not implemented; that nothing in it trains has been checked
    return module


def _shapes_of(path: Path, program: torch.export.ExportedProgram) -> Iterator[Tensor]:
    """The user's inputs of one sample; an extent that is left open is what it was exported with."""
    names = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    for number, value in enumerate(values):
        shape = tuple(getattr(value, "shape", ()))
        extents = [extent if isinstance(extent, int) else extent.node.hint for extent in shape]
        if len(extents) < 2 or (isinstance(shape[0], int) and extents[0] != 1):
            raise UsageError(
                f"input {number} of {path} is {'×'.join(map(str, extents)) or 'not a tensor'}, where the first axis "
                "has to be a batch of one sample",
                "Export it with a batch of one, or with an open batch (dynamic_shapes).",
            )
        dtype = "float32" if value.is_floating_point() else "int32"
        yield Tensor(name=f"in{number}", shape=tuple(extents[1:]), dtype=dtype)


def _of_torch(path: Path, title: str, inputs: Sequence[Tensor], build: Any) -> Network:
    return Network(
        name=label_of(str(path)),
        title=f"{path.name} ({title})",
        inputs=checked(inputs),
        task="other",
        build=build,
        sources=(path,),
        trained=True,
        smallest=1,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch reports a file that it cannot read by warnings and log lines before it raises."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _unreadable(path: Path, title: str, error: Exception) -> NoReturn:
    words = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    raise CorruptData(
        f"{path} cannot be loaded as {title}: {words}",
        "Export it again with the version of torch that is installed here.",
    ) from None


# --- graphs that are measured as they are --------------------------------------------------------------------------


def _onnx(path: Path, inputs: Sequence[Tensor] | None) -> Network:
    facts = onnx.read(path)
    home = path.parent.resolve()
    if outside := [name for name in facts.external if not (home / name).resolve().is_relative_to(home)]:
        raise CorruptData(f"{path} has its weights in {outside[0][:100]!r}, outside its own folder", "Export it again.")
    if absent := [name for name in facts.external if not (path.parent / name).is_file()]:
        raise UsageError(
            f"{path} has its weights in {absent[0][:100]}, which is not beside it", "Copy that file next to it."
        )
    own = [_sample(path, given, number) for number, given in enumerate(facts.inputs)] if inputs is None else inputs
    sources = (path, *(path.parent / name for name in facts.external))
    return _graph(path, f"{path.name} (ONNX, opset {facts.opset})", own, sources)


def _sample(path: Path, given: onnx.Input, number: int) -> Tensor:
    """One sample of an ONNX input, whose first axis is the batch."""
    extents = given.shape[1:] if given.shape else ()
    known = tuple(extent for extent in extents if extent is not None)
    if not extents or len(known) != len(extents):
        raise UsageError(f"{path} leaves the shape of its input {given.name[:60]!r} open", _NO_INPUTS)
    if given.shape and given.shape[0] not in (1, None):
        raise UsageError(
            f"{path} takes batches of {given.shape[0]} samples", "Export it with a batch of one, or an open one."
        )
    return Tensor(name=f"in{number}", shape=known, dtype="int32" if given.integer else "float32")


def _ncnn(path: Path, inputs: Sequence[Tensor] | None) -> Network:
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise UsageError(f"{path} needs {weights.name} beside it, which has its weights", "Copy that file next to it.")
    try:
        own = tuple(_inputs_of_param(path.read_text(encoding="utf-8")))
    except (ValueError, UnicodeDecodeError, IndexError):
        raise CorruptData(f"{path} is not a whole ncnn graph", "Convert the network again.") from None
    if inputs is not None:
        if len(inputs) != len(own):
            raise UsageError(f"{path} has {len(own)} inputs, not {len(inputs)}", "Give as many shapes as inputs.")
        own = tuple(g.model_copy(update={"name": o.name}) for g, o in zip(inputs, own, strict=True))
    elif not own or any(not tensor.shape for tensor in own):
        raise UsageError(f"{path} does not say the shape of its input", _NO_INPUTS)
    return _graph(path, f"{path.name} (ncnn)", own, (path, weights))


def _inputs_of_param(text: str) -> Iterator[Tensor]:
    """The Input layers of an ncnn graph: `Input name 0 1 blob 0=w 1=h 11=d 2=c`, extents that it does not say left
    out."""
    for line in text.splitlines()[2:]:
        words = line.split()
        if words and words[0] == "Input":
            values = dict(word.split("=", 1) for word in words[5:])
            extents = [int(values.get(key, 0)) for key in ("2", "11", "1", "0")]
            yield Tensor(name=words[4], shape=tuple(extent for extent in extents if extent > 0))


def _graph(path: Path, title: str, inputs: Sequence[Tensor], sources: tuple[Path, ...]) -> Network:
    def build() -> NoReturn:
        raise UsageError(
            f"{path} is measured as it is: there is no torch network to compress or to train",
            "Give the network's own code (net.py:build), TorchScript or a .pt2 file for that.",
        )

    return Network(
        name=label_of(str(path)),
        title=title,
        inputs=checked(inputs),
        task="other",
        build=build,
        sources=sources,
        trained=True,
        graph=path,
        smallest=1,
    )
