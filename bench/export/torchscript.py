"""TorchScript: what torch on the desktop runs, and what pnnx reads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bench.errors import ExportRefused
from bench.export import eager, proof
from bench.export.answers import Answers
from bench.export.eager import Array
from bench.export.watch import raised_at
from bench.guest import guest

_TIGHT = 1e-4
"""Of the largest |value| of a slice: how far a recording may be from the network; the same operators computed both."""


class _Flat(nn.Module):
    """A network that returns its tensors as one tuple, or one tensor."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        tensors = tuple(tensor for _, tensor in eager.leaves(self.network(*inputs)))
        return tensors[0] if len(tensors) == 1 else tensors


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # TorchScript is deprecated but what pnnx reads; what a trace takes for constant has been proved so.
        warnings.simplefilter("ignore")
        yield


def trace(
    network: nn.Module,
    samples: Sequence[Array],
    expected: Answers,
    path: Path,
    mode: TorchFunctionMode | None = None,
) -> Any:
    """Record `network`, which answered `expected` to `samples`, and write the TorchScript file.

    The recording takes one sample of the same shapes, and has one output or a tuple of them. A network that is
    TorchScript already is written as it is. `mode` may replace functions by equivalents while it is recorded.
    Returns the recording. Raises ExportRefused when the recording computes anything else.
    """
    with _quiet(), guest(), torch.no_grad():
        if isinstance(network, torch.jit.ScriptModule):
            recorded: Any = torch.jit.freeze(network.eval())
        else:
            recorded = _traced(eager.evaluating(_Flat(network)), eager.arguments(samples, 0), mode)
        recorded.save(str(path))
    proof.compare(expected, run(recorded, samples), "its recording (TorchScript)", _TIGHT)
    return recorded


def _traced(network: nn.Module, inputs: tuple[torch.Tensor, ...], mode: TorchFunctionMode | None) -> Any:
    try:
        with mode or nullcontext():
            return torch.jit.trace(network, inputs, check_trace=False)  # type: ignore[no-untyped-call]
    except ExportRefused as error:
        raise ExportRefused(f"{error.what} (at {raised_at(error)})", error.fix) from None
    except Exception as error:  # the user's own code, which can do what a recording cannot hold
        words = str(error).strip().splitlines() or [""]
        raise ExportRefused(
            f"the network cannot be recorded: {type(error).__name__}: {words[0][:300]} (at {raised_at(error)})"
        ) from error


def run(recorded: Any, samples: Sequence[Array]) -> list[Array]:
    """What a TorchScript module answers to each sample: one array (N, *shape) for each output."""
    with _quiet(), guest(), torch.no_grad():
        rows = [
            [tensor for _, tensor in eager.leaves(recorded(*eager.arguments(samples, number)))]
            for number in range(len(samples[0]))
        ]
    return [torch.cat([row[None] for row in column]).float().numpy() for column in zip(*rows, strict=True)]
