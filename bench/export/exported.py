"""A network as torch.export records it: what exporters to other libraries begin with."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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


@contextmanager
def recorded(
    network: nn.Module, samples: Sequence[Array], written: str, logs: Sequence[str]
) -> Iterator[tuple[torch.export.ExportedProgram, tuple[torch.Tensor, ...]]]:
    """The recording, and the arguments that it was made with: one of `samples` (N, *shape); its outputs are float32.

    Within, an exporter is quiet: it warns of packages that are not there and of functions of torch's that it uses
    itself; `logs` are the names of its logs. `written` is what it writes, in words for errors. Raises ExportRefused.
    """
    if isinstance(network, torch.jit.ScriptModule):
        raise ExportRefused(
            f"torch writes no {written} of TorchScript", "Give the network's own code (net.py:build), or use ncnn."
        )
    arguments = tuple(
        each if each.dtype.is_floating_point else each.to(torch.int32) for each in eager.arguments(samples, 0)
    )
    with _quiet(logs), guest(), torch.no_grad():
        yield _program(_AsJobs(eager.evaluating(network)), arguments), arguments


def words(error: Exception) -> str:
    """An exporter's error in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _program(network: nn.Module, arguments: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram:
    try:
        return torch.export.export(network, arguments, strict=False)
    except Exception as error:  # the user's own code, which can do what a graph cannot hold
        where = raised_at(error)
        raise ExportRefused(
            f"torch.export cannot record the network: {words(error)}{f' (at {where})' if where else ''}",
            "Only what does not depend on the values can be exported; ncnn's way of recording is another.",
        ) from error


@contextmanager
def _quiet(names: Sequence[str]) -> Iterator[None]:
    logs = [logging.getLogger(name) for name in names]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)
