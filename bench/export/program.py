"""Networks without Python of their own, as programs of torch's operators, which can be recorded with equivalents.

A TorchScript file runs in an interpreter of its own, which nothing in Python sees; so it is first written down operator
by operator, as torch.export has it. pnnx knows recurrent layers, but not the operators that they call.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from bench.errors import ExportRefused
from bench.guest import guest

_RECURRENT: Mapping[Any, type[nn.RNNBase]] = {
    torch.ops.aten.lstm.input: nn.LSTM,
    torch.ops.aten.gru.input: nn.GRU,
    torch.ops.aten.rnn_tanh.input: nn.RNN,
}


def of_operators(network: nn.Module, inputs: Sequence[Tensor]) -> nn.Module:
    """A TorchScript module, or a program of torch.export, as a program with recurrent layers in it; any other module as
    it is.

    Raises ExportRefused for a script that cannot be followed.
    """
    if isinstance(network, torch.jit.ScriptModule):
        try:
            with torch.no_grad(), guest():
                network = make_fx(network, pre_dispatch=True)(*inputs)
        except Exception as error:  # torch's own, of many kinds
            words = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            raise ExportRefused(f"the TorchScript network cannot be followed: {words}") from error
    if isinstance(network, fx.GraphModule) and any(node.target in _RECURRENT for node in network.graph.nodes):
        return _with_layers(copy.deepcopy(network))
    return network


class _Recurrent(nn.Module):
    """A recurrent layer that returns its output and final states as the operator does, in one tuple."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        output, states = self.layer(x)
        return (output, *states) if isinstance(states, tuple) else (output, states)


def _with_layers(program: fx.GraphModule) -> fx.GraphModule:
    """Put layers in place of the operators that they call. Initial states count as 0; the proof sees any other."""
    for number, node in enumerate(list(program.graph.nodes)):
        if node.target not in _RECURRENT:
            continue
        x, _, weights, biased, layers, _, _, both, batch_first = node.args
        tensors = [attrgetter(weight.target)(program) for weight in weights]
        layer = _RECURRENT[node.target](
            tensors[0].shape[1], tensors[1].shape[1], layers, bias=biased, bidirectional=both, batch_first=batch_first
        )
        with torch.no_grad():
            for parameter, tensor in zip(layer.parameters(), tensors, strict=True):
                parameter.copy_(tensor)
        name = f"recurrent{number}"
        program.add_submodule(name, _Recurrent(layer))
        with program.graph.inserting_before(node):
            node.replace_all_uses_with(program.graph.call_module(name, (x,)))
        program.graph.erase_node(node)
    program.graph.eliminate_dead_code()
    program.recompile()
    return program
