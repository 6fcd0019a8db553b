"""A network as torch.export records it, with inputs and outputs as jobs have them: what several exporters begin with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from bench.errors import ExportRefused
from bench.export import eager
from bench.export.eager import Array
from bench.export.watch import raised_at
from bench.guest import guest


class _AsJobs(nn.Module):
    """A network that takes what a job's samples hold, and returns a tuple of float32: whole numbers come as int32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = (each if each.dtype.is_floating_point else each.long() for each in inputs)
        return tuple(tensor.float() for _, tensor in eager.leaves(self.network(*given)))


def record(
    network: nn.Module, samples: Sequence[Array], what: str
) -> tuple[torch.export.ExportedProgram, tuple[torch.Tensor, ...]]:
    """The program of a network that takes samples (N, *shape) of its inputs, one at a time, and the first of them.

    Raises ExportRefused, which says that torch writes no `what` of TorchScript, or that torch.export cannot follow it.
    """
    if isinstance(network, torch.jit.ScriptModule):
        raise ExportRefused(
            f"torch writes no {what} of TorchScript", "Give the network's own code (net.py:build), or use ncnn."
        )
    arguments = tuple(
        each if each.dtype.is_floating_point else each.to(torch.int32) for each in eager.arguments(samples, 0)
    )
    with guest(), torch.no_grad():
        try:
            return torch.export.export(_AsJobs(eager.evaluating(network)), arguments, strict=False), arguments
        except Exception as error:  # the user's own code, which can do what a graph cannot hold
            where = raised_at(error)
            raise ExportRefused(
                f"torch.export cannot record the network: {words(error)}{f' (at {where})' if where else ''}",
                "Only what does not depend on the values can be exported; ncnn's way of recording is another.",
            ) from error


def words(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"
