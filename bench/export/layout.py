"""What a network is made of: its operators in the order of execution, each with its place, its shapes and its cost.

The operators are those of torch.export before anything is taken apart: a convolution is one, and so are an LSTM and an
attention. What a runtime makes of them is its own affair: it folds norms, and does activations where they come in.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.utils._pytree import tree_leaves

from bench.errors import ExportRefused
from bench.export import program
from bench.export.eager import evaluating
from bench.export.watch import is_users, line, raised_at
from bench.guest import Exited, guest
from bench.networks.count import examples, watched
from bench.records import Tensor

FLOAT = 4
Shape = tuple[int, ...]
_FRAME = re.compile(r'File "(.+?)", line (\d+)')
_AROUND = frozenset({"aten", "torch", "ops", "default", "Tensor", "F", "nn", "functional", "onnx", "Scalar", "dim"})
"""Parts of a name that say nothing of the operator."""
_SHORT = 5
_SAME = frozenset({"dropout", "feature_dropout", "alpha_dropout", "contiguous", "detach", "alias", "lift_fresh_copy"})
"""Operators that, in evaluation mode, give back what they were given."""
_IN_PLACE = frozenset({"batch_norm", "_native_batch_norm_legit_no_training"})
"""What computes value by value without torch's saying so."""


@dataclass(frozen=True)
class Operation:
    """One operator. `module` is the path of the layer that calls it and `kind` that layer's class; `line` is the user's
    line. `shapes` are of its outputs, without the batch; `bytes` are what it writes, none where its output is another
    view of its input. A parameter counts where it is first used. `macs` are multiply-adds of convolutions and matrix
    products. `live` are the bytes of activations in memory while it runs."""

    name: str
    module: str
    kind: str
    line: str
    shapes: tuple[Shape, ...]
    parameters: int
    macs: int
    bytes: int
    live: int


@dataclass(frozen=True)
class Layout:
    """A whole network for one sample. `weights` are bytes of its parameters and buffers in float32, each once; `peak`
    is the most that activations take at once, at the operation of that index."""

    operations: tuple[Operation, ...]
    parameters: int
    weights: int
    macs: int
    activations: int
    peak: int
    peak_at: int


def layout(network: nn.Module, inputs: Sequence[Tensor]) -> Layout:
    """Of a module. Raises ExportRefused, with the user's line, where torch.export cannot record it, and Exited."""
    exported = recorded(network, inputs)
    nodes = [node for node in exported.graph.nodes if node.op == "call_function" and _tensors(node)]
    if not nodes:
        raise ExportRefused("the network computes nothing", "Its forward gives back its inputs or constants.")
    held, kept = _parameters(exported), _stored(exported)
    live, unlike = _liveness(exported, nodes)
    seen: set[str] = set()
    rows = []
    for node, now, written in zip(nodes, live, unlike, strict=True):
        if node.target is operator.getitem:
            continue
        own = [name for name in (held.get(used.name) for used in node.all_input_nodes) if name and name not in seen]
        seen.update(own)
        module, kind = _module(node)
        rows.append(
            Operation(
                name=_name(node),
                module=module,
                kind=kind,
                line=_line(node),
                shapes=tuple(_sample(tensor) for tensor in _tensors(node)),
                parameters=sum(kept[name][0] for name in own),
                macs=_macs(node),
                bytes=written,
                live=now,
            )
        )
    peak = max(range(len(rows)), key=lambda number: rows[number].live)
    return Layout(
        operations=tuple(rows),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        weights=sum(size for _, size in kept.values()),
        macs=sum(row.macs for row in rows),
        activations=sum(row.bytes for row in rows),
        peak=rows[peak].live,
        peak_at=peak,
    )


def recorded(network: nn.Module, inputs: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """The network as torch.export has it. Raises ExportRefused, with the user's line, and Exited."""
    given = examples(inputs)
    try:
        with torch.no_grad(), guest(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of attributes that a layer sets anew each time, and of torch's own names
            return torch.export.export(evaluating(program.of_operators(network, given)), given, strict=False)
    except (ExportRefused, Exited):
        raise
    except Exception as error:  # the user's own code, which can do what a graph cannot hold
        where = raised_at(error)
        words = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ExportRefused(
            f"torch.export cannot record the network: {type(error).__name__}: {words}"
            f"{f' (at {where})' if where else ''}",
            "Only what does not depend on the values of its input has layers that can be listed.",
        ) from error


def lines_of(exported: torch.export.ExportedProgram, name: str) -> tuple[str, ...]:
    """The user's lines that call an operator, `topk` or `aten.topk`, each once."""
    wanted = plain(name)
    if found := _calls(exported, wanted):
        return found
    return _calls(exported.run_decompositions(), wanted) if wanted else ()


def plain(name: str) -> str:
    """An operator by torch's own name: `topk` of `aten.topk.default` and `torch.topk`, `fft_rfft2` of
    `torch.fft.rfft2`."""
    parts = re.split(r"\.|::", name)
    return "_".join(part for part in parts if part not in _AROUND).rstrip("_")


def _calls(exported: torch.export.ExportedProgram, wanted: str) -> tuple[str, ...]:
    nodes = [node for node in exported.graph.nodes if node.op == "call_function"]
    same = [node for node in nodes if plain(_name(node)) == wanted]
    # What a converter names may be a form of what was called: linalg_inv_ex of linalg_inv.
    like = same or [node for node in nodes if len(plain(_name(node))) > _SHORT and wanted.startswith(plain(_name(node)))]
    return tuple(place for place in dict.fromkeys(map(_line, like)) if place)


def _tensors(node: fx.Node) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(node.meta.get("val")) if isinstance(leaf, torch.Tensor)]


def _name(node: fx.Node) -> str:
    target: Any = node.target
    schema = getattr(target, "_schema", None)
    return str(schema.name.rpartition("::")[2] if schema else getattr(target, "__name__", str(target)))


def _module(node: fx.Node) -> tuple[str, str]:
    """The path and class of the innermost layer that calls it; bench's wrapper is none."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    return str(path), str(kind).rpartition(".")[2].rstrip("'>")


def _line(node: fx.Node) -> str:
    """The innermost of the user's lines."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    return next((line(file, int(number)) for file, number in reversed(frames) if is_users(file)), "")


def _sample(tensor: torch.Tensor) -> Shape:
    shape = tuple(int(side) for side in tensor.shape)
    return (shape[1:] if shape[:1] == (1,) else shape) or (1,)


def _size(tensor: torch.Tensor) -> int:
    """Bytes in memory, numbers with a point as float32."""
    each = FLOAT if tensor.is_floating_point() else tensor.element_size()
    return math.prod(int(side) for side in tensor.shape) * each


def _parameters(exported: torch.export.ExportedProgram) -> Mapping[str, str]:
    """The name of the parameter or buffer that each of the graph's inputs of that kind is."""
    signature = exported.graph_signature
    return {**signature.inputs_to_parameters, **signature.inputs_to_buffers}


def _stored(exported: torch.export.ExportedProgram) -> dict[str, tuple[int, int]]:
    """Of each parameter and buffer that is used: its trainable values, and its bytes. Tied ones count once."""
    used = {node.name for node in exported.graph.nodes if node.op == "placeholder" and node.users}
    found: dict[str, tuple[int, int]] = {}
    seen: set[int] = set()
    trained = set(exported.graph_signature.inputs_to_parameters.values())
    for placeholder, name in _parameters(exported).items():
        tensor = exported.state_dict[name] if name in exported.state_dict else exported.constants[name]
        fresh = tensor.data_ptr() not in seen and placeholder in used
        seen.add(tensor.data_ptr())
        found[name] = (tensor.numel() if name in trained and fresh else 0, _size(tensor) if fresh else 0)
    return found


def _macs(node: fx.Node) -> int:
    """As torch counts them, on tensors without values."""
    target: Any = node.target
    if target is operator.getitem or torch.Tag.pointwise in getattr(target, "tags", ()):
        return 0
    if not isinstance(target, torch._ops.OpOverload):
        raise ExportRefused(f"the network has {_name(node)}, whose cost follows from values (at {_line(node)})")
    modes = [leaf.fake_mode for leaf in (*_tensors(node), *itertools.chain(*map(_tensors, node.all_input_nodes)))
             if hasattr(leaf, "fake_mode")]  # fmt: skip
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda one: one.meta["val"])
    if not modes:
        return 0
    with modes[0], torch.no_grad():
        macs, _ = watched(lambda: target(*args, **kwargs))
    return macs


class _Blobs:
    """What lies where: for each node of a graph the blobs that its output is, of so many bytes each."""

    def __init__(self) -> None:
        self.of: dict[fx.Node, frozenset[int]] = {}
        self.sizes: list[int] = []
        self.made: list[int] = []
        self.last: list[int] = []

    def new(self, node: fx.Node, size: int, at: int) -> None:
        self.of[node] = frozenset((len(self.sizes),))
        self.sizes.append(size)
        self.made.append(at)
        self.last.append(at)

    def read(self, nodes: Sequence[fx.Node], at: int) -> None:
        for blob in frozenset().union(*(self.of.get(node, frozenset()) for node in nodes)):
            self.last[blob] = max(self.last[blob], at)


def _liveness(exported: torch.export.ExportedProgram, nodes: Sequence[fx.Node]) -> tuple[list[int], list[int]]:
    """For each of these nodes the bytes of activations that are there while it runs, and the bytes that it writes.

    A blob is there from when it is made until it was read for the last time. What is computed value by value takes the
    place of what it reads, if nothing else reads that later.
    """
    order = {node: number for number, node in enumerate(nodes)}
    ends = {
        node: max((order.get(user, len(nodes)) for user in node.users), default=-1) for node in exported.graph.nodes
    }
    blobs, written = _Blobs(), []
    weights = _parameters(exported)
    for node in exported.graph.nodes:
        if node.op == "placeholder" and node.name not in weights and _tensors(node):
            blobs.new(node, sum(map(_size, _tensors(node))), 0)
    last = _last_reads(exported, nodes, ends)
    for at, node in enumerate(nodes):
        sources = [one for one in node.all_input_nodes if one in blobs.of]
        blobs.read(sources, at)
        size = sum(map(_size, _tensors(node)))
        takes = next(
            (one for one in sources if _by_value(node) and last[one] <= at and sum(map(_size, _tensors(one))) == size),
            None,
        )
        if _is_view(node):
            blobs.of[node] = blobs.of[sources[0]] if sources else frozenset()
            written.append(0)
        elif takes is not None:
            blobs.of[node] = blobs.of[takes]
            written.append(size)
        else:
            blobs.new(node, size, at)
            written.append(size)
    blobs.read(next(n for n in exported.graph.nodes if n.op == "output").all_input_nodes, len(nodes))
    live = [0] * len(nodes)
    for size, made, until in zip(blobs.sizes, blobs.made, blobs.last, strict=True):
        for at in range(made, min(until + 1, len(nodes))):
            live[at] += size
    return live, written


def _last_reads(
    exported: torch.export.ExportedProgram, nodes: Sequence[fx.Node], ends: Mapping[fx.Node, int]
) -> dict[fx.Node, int]:
    """When what a node's output lies in is read for the last time, through all its views."""
    root: dict[fx.Node, fx.Node] = {}
    found: dict[fx.Node, int] = {}
    for node in exported.graph.nodes:
        source = next((one for one in node.all_input_nodes), None) if node.op == "call_function" else None
        root[node] = root[source] if source is not None and _is_view(node) else node
        found[root[node]] = max(found.get(root[node], -1), ends[node])
    return {node: found[root[node]] for node in root}


def _by_value(node: fx.Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return torch.Tag.pointwise in tags or _name(node) in _IN_PLACE


def _is_view(node: fx.Node) -> bool:
    """Whether its output is its first input, or a part of it, seen in another way."""
    target: Any = node.target
    if target is operator.getitem or _name(node) in _SAME:
        return True
    schema = getattr(target, "_schema", None)
    return schema is not None and any(each.alias_info is not None for each in schema.returns)
