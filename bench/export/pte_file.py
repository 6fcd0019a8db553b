"""A network as one ExecuTorch file (.pte), written by ExecuTorch's own exporter for XNNPACK."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import ExportRefused, ToolMissing
from bench.export import exported
from bench.export.eager import Array

EXTRA = "fr-bench[executorch]"
_LOGS = ("executorch", "torch.export", "torch.utils._pytree", "torchao")


def export(network: nn.Module, samples: Sequence[Array], path: Path) -> None:
    """Write a network that answers to samples (N, *shape) of its inputs, as it computes one. The file's inputs and
    outputs have places, in the order of the network's; the first axis of each is a batch of 1.

    What XNNPACK takes is delegated to it; the rest is left to ExecuTorch's own kernels. Inputs are read where they are,
    not copied. Raises ToolMissing, and ExportRefused where the exporter cannot.
    """
    need_exporter()
    with exported.recorded(network, samples, "ExecuTorch file", _LOGS) as (program, _):
        try:
            made = _lowered(program)
        except Exception as error:  # the exporter's own, of many kinds
            raise ExportRefused(
                f"ExecuTorch's exporter refuses it: {exported.words(error)}", "Replace that operator, or use ncnn."
            ) from error
    path.write_bytes(made)


def _lowered(program: Any) -> bytes:
    # Here, since they take seconds to import and warn while they do.
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower
    from executorch.exir.passes import MemoryPlanningPass
    from executorch.exir.passes.constant_prop_pass import constant_prop_pass

    # XNNPACK takes a convolution only if its weight is a constant, which one that is reshaped in the graph is not: it
    # would be left to kernels that are tens of times slower.
    with torch.no_grad():
        program = constant_prop_pass(program)
    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    plan = MemoryPlanningPass(alloc_graph_input=False)
    made: bytes = edge.to_executorch(ExecutorchBackendConfig(memory_planning_pass=plan)).buffer
    return made


def need_exporter() -> None:
    """Raise ToolMissing where the package is not installed that writes ExecuTorch files."""
    if importlib.util.find_spec("executorch") is None:
        raise ToolMissing(
            "ExecuTorch files are written with the package executorch, which cannot be found", f"pip install '{EXTRA}'"
        )
