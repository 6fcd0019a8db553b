"""Which operator of a network it is that a converter or a runtime gets wrong: the first without which all is well."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import fx, nn

from bench.export.layout import line_of, name_of, recorded
from bench.records import Tensor


class Culprit(NamedTuple):
    """An operator by torch's name, and the user's line."""

    name: str
    line: str


def culprit(network: nn.Module, inputs: Sequence[Tensor], fails: Callable[[nn.Module], bool]) -> Culprit | None:
    """The first operator up to which the network `fails`, by halving; what comes after a failing part fails as well.

    None where the network, written down operator by operator, does not fail: then it is a form of its own layers that
    is misread. Networks of several inputs are left out, since a part of one may not use them all. Raises ExportRefused,
    and what `fails` raises.
    """
    if len(inputs) != 1:
        return None
    program = _without_guards(recorded(network, inputs).module())
    ends = [node for node in program.graph.nodes if _is_end(node)]
    if not ends or not fails(_until(program, ends[-1])):
        return None
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if fails(_until(program, ends[middle])):
            high = middle
        else:
            low = middle + 1
    return Culprit(name_of(ends[high]), line_of(ends[high]))


def _is_end(node: fx.Node) -> bool:
    """Whether a network may end there: with one tensor of numbers, a batch of one."""
    value = node.meta.get("val")
    return (
        node.op == "call_function"
        and isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and value.dim() > 1
        and value.shape[0] == 1
    )


def _without_guards(program: nn.Module) -> fx.GraphModule:
    """torch.export lets a program look first whether its input has the right shape."""
    assert isinstance(program, fx.GraphModule)
    for node in list(program.graph.nodes):
        if node.op == "call_module" and not node.users:
            program.graph.erase_node(node)
    program.recompile()
    return program


def _until(program: fx.GraphModule, end: fx.Node) -> nn.Module:
    """The program up to one of its operators."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in program.graph.nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
        if node is end:
            break
    graph.output(copies[end])
    graph.eliminate_dead_code()
    return fx.GraphModule(copy.deepcopy(program), graph)
