"""What `bench inspect` finds of a network: its layers and their cost, what takes it, and what can make it smaller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bench import compress, runtimes
from bench.cache import Cache, content_key, own_sources
from bench.campaign.cell import key_of
from bench.campaign.rivals import takes_bytes
from bench.compress.learner import Stage
from bench.compress.method import Method, Request
from bench.conversion import Cell
from bench.errors import BenchError, ToolMissing, UsageError
from bench.networks.network import Network
from bench.prepare.compression import learner_of
from bench.prepare.variant import one_thread
from bench.results.conversions import Conversions

if TYPE_CHECKING:
    from bench.export.layout import Layout

_TARGETS = ("10x", "4x", "2x")
"""What is tried of a method that takes a size, until one is within its reach."""


@dataclass(frozen=True)
class Applies:
    """Whether a method can treat a network: the bytes of its package at `target`, else why not."""

    method: str
    title: str
    target: str | None
    bytes: int | None
    reason: str


@dataclass(frozen=True)
class Inspected:
    """`converted` is what was found last in each runtime; `lacking` by runtime the operators of the network that it is
    known not to take, with what to do; `applies` is None where nobody asked for it."""

    network: Network
    layout: Layout
    converted: Mapping[str, Cell]
    lacking: Mapping[str, Mapping[str, str]]
    applies: tuple[Applies, ...] | None

    @property
    def memory(self) -> int:
        """Bytes of weights, and of activations at their most: what no runtime in float32 does without."""
        return self.layout.weights + self.layout.peak


def inspected(network: Network, kept: Conversions, cache: Cache, stage: Stage, *, methods: bool) -> Inspected:
    """Look at a network; with `methods` also try which of them can treat it, which takes minutes the first time.

    Raises UsageError for a ready graph, and ExportRefused for what torch.export cannot record.
    """
    if network.graph is not None:
        raise UsageError(
            f"{network.name} is a ready graph, {network.graph.name}, whose layers are its runtime's own",
            "Name the PyTorch network that the graph was made of.",
        )
    from bench.export.layout import layout

    progress = stage(f"inspect {network.name}")
    found = layout(network.build(), network.inputs)
    progress(1.0, f"{len(found.operations)} operators")
    return Inspected(
        network, found, kept.latest(key_of(network)), _lacking(found), _applies(network, cache, stage) if methods else None
    )


def _lacking(found: Layout) -> dict[str, dict[str, str]]:
    used = [operation.name.replace("_", "") for operation in found.operations]
    lacking = {}
    for name in runtimes.RUNTIMES.names():
        try:
            known: Mapping[str, str] = getattr(runtimes.runtime(name), "lacks", {})
        except ToolMissing:
            continue
        if own := {one: known[one] for one in dict.fromkeys(used) if one in known}:
            lacking[name] = own
    return lacking


def _applies(network: Network, cache: Cache, stage: Stage) -> tuple[Applies, ...]:
    """Each method on the network as it is: seeded values will do, since only whether it works is asked."""
    # What bench trains itself counts as trained: its weights mean nothing here either way.
    tried = replace(network, learns=False, trained=network.trained or network.learns)
    found = []
    for name in compress.names():
        try:
            method = compress.method(name)
        except ToolMissing as error:
            found.append(Applies(name, name, None, None, error.what))
            continue
        progress = stage(f"try {name} on {network.name}")
        found.append(_tried(name, method, tried, cache, stage))
        progress(1.0, "no" if found[-1].bytes is None else "yes")
    return tuple(found)


def _tried(name: str, method: Method, network: Network, cache: Cache, stage: Stage) -> Applies:
    key = content_key(
        name, key_of(network), metadata.version("torch"), str(network.trained), *own_sources("networks", "compress")
    )

    def make(folder: Path) -> None:
        found = _compressed(name, method, network, cache, stage)
        (folder / "applies.json").write_text(json.dumps(asdict(found)), encoding="utf-8")

    return Applies(**json.loads((cache.build("applies", key, make) / "applies.json").read_bytes()))


def _compressed(name: str, method: Method, network: Network, cache: Cache, stage: Stage) -> Applies:
    own = method.default_target(network)
    targets: tuple[str | None, ...] = (own,) if own or not takes_bytes(method) else _TARGETS
    learner = learner_of(network, None, cache, stage, needs_data=False)
    why = ""
    for target in targets:
        try:
            with one_thread():
                package = method.compress(learner, Request(target=target, one_shot=True, seeded=True))
        except BenchError as error:
            why = f"{error.what}. {error.fix}" if error.fix else error.what
        else:
            return Applies(name, method.title, target, len(package), "")
    return Applies(name, method.title, targets[-1], None, why)


def as_json(found: Inspected) -> dict[str, object]:
    """All of it, in plain values."""
    layout = found.layout
    return {
        "network": found.network.name,
        "inputs": [tensor.model_dump() for tensor in found.network.inputs],
        "totals": {
            "operators": len(layout.operations), "parameters": layout.parameters, "multiply_adds": layout.macs,
            "weight_bytes": layout.weights, "activation_bytes": layout.activations,
            "peak_activation_bytes": layout.peak, "peak_at": layout.operations[layout.peak_at].module,
            "expected_memory_bytes": found.memory,
        },
        "operators": [asdict(operation) for operation in layout.operations],
        "converted": {name: cell.model_dump(mode="json") for name, cell in found.converted.items()},
        "lacking": {name: dict(own) for name, own in found.lacking.items()},
        "methods": None if found.applies is None else [asdict(one) for one in found.applies],
    }  # fmt: skip


