"""What to say about an operator that ncnn does not have: its name, the line that calls it, and what to use instead."""

from __future__ import annotations

from typing import Any

from bench.errors import ExportRefused
from bench.export import graph, layers


def check(parsed: graph.Graph, recorded: Any) -> None:
    """Raise ExportRefused when a layer of the converted graph is not one of ncnn's, with the lines of `recorded`."""
    for layer in parsed.layers:
        if layer.type not in layers.WEIGHTS:
            raise ExportRefused(f"{layer.type} is not available in ncnn: {layer}")
