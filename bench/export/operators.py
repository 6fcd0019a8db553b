"""What to say about an operator that ncnn does not have: its name, the line that calls it, and what to use instead."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.errors import ExportRefused
from bench.export import graph, layers, torchscript
from bench.export.equivalents.axes import MOST
from bench.export.watch import SCRIPT_LINE, is_users, line

_CALLER = re.compile(r"^(.+)\((\d+)\): ", re.MULTILINE)
_AFTER = "It is not available in ncnn; do it after the network, on its outputs."
_AXES = "ncnn has at most four axes besides the batch: split the network there, or use fewer axes."
_PARTS = "ncnn cannot assign to a part of a tensor: put the parts together with torch.cat, or use torch.where."
_ADVICE: Mapping[str, str] = {
    "argmax": _AFTER,
    "argmin": _AFTER,
    "argsort": _AFTER,
    "bincount": _AFTER,
    "expand": _AXES,
    "fill": _PARTS,
    "histc": _AFTER,
    "indexput": _PARTS,
    "maxpool2d": "ncnn has no dilated pooling: use dilation=1.",
    "median": _AFTER,
    "multinomial": _AFTER,
    "nms": _AFTER,
    "permute": _AXES,
    "reshape": _AXES,
    "sort": _AFTER,
    "topk": _AFTER,
    "unflatten": _AXES,
    "view": _AXES,
}
LACKS: Mapping[str, str] = {name: advice for name, advice in _ADVICE.items() if advice == _AFTER}
"""What ncnn has nothing for, whatever it is given."""
_OTHER = "ncnn has no layer for it: use another operator there, or do it after the network."


def check(parsed: graph.Graph, places: Callable[[str], Sequence[str]] = lambda _: ()) -> None:
    """Raise ExportRefused when a layer of the converted graph is not one of ncnn's.

    The error names the operator and the `places` in the user's source where one of its kind is used.
    """
    left = [layer for layer in parsed.layers if layer.type not in layers.WEIGHTS or _is_unfinished(layer)]
    # Constants of an operator that was not converted are left over too; it is the operator that matters.
    left = [layer for layer in left if layer.type != "pnnx.Expression"] or left
    if not left:
        return
    kinds = list(dict.fromkeys(layer.type for layer in left))
    where = "".join(f"\n  {place}" for place in [place for kind in kinds for place in places(kind)][:3])
    more = f" (and {len(kinds) - 1} more)" if len(kinds) > 1 else ""
    raise ExportRefused(f"ncnn cannot do {title(kinds[0])}{more}{where}", _ADVICE.get(_plain(kinds[0]), _OTHER))


def title(kind: str) -> str:
    """The operator's name as a user writes it: `torch.topk` for `aten::topk`."""
    return kind.replace("aten::", "torch.")


def _is_unfinished(layer: graph.Layer) -> bool:
    """Whether pnnx left a placeholder in a parameter."""
    return any("%" in value for value in layer.parameters.values())


def _plain(kind: str) -> str:
    return re.split(r"\.|::", kind)[-1].replace("_", "").lower()


def lines(recorded: Any, kind: str) -> list[str]:
    """Where the user's source uses an operator of that kind, each line once, from a TorchScript module."""
    found = [_line(node) for node in recorded.inlined_graph.nodes() if _plain(node.kind()) == _plain(kind)]
    return [each for each in dict.fromkeys(found) if each]


def explained(error: ExportRefused, recorded: Any) -> ExportRefused:
    """A failure of pnnx, with the user's lines that make tensors of too many axes, where there are any."""
    many = [_line(node) for node in recorded.inlined_graph.nodes() if any(map(_is_many, node.outputs()))]
    where = [each for each in dict.fromkeys(many) if each][:3]
    return ExportRefused("".join((error.what, *(f"\n  {each}" for each in where))), _AXES) if where else error


def _is_many(value: Any) -> bool:
    sizes = value.type().sizes() if value.type().kind() == "TensorType" else None
    return sizes is not None and len(sizes) + (sizes[:1] != [1]) > MOST


def _line(node: Any) -> str:
    """The user's line that made a node of a TorchScript graph: the innermost one outside of torch."""
    source = node.sourceRange()
    # A trace has the call stack, innermost first; a script the piece of source.
    callers = [*_CALLER.findall(source), *SCRIPT_LINE.findall(source)]
    network = itertools.takewhile(lambda caller: caller[0] != torchscript.__file__, callers)
    return next((line(file, int(number)) for file, number in network if is_users(file)), "")
