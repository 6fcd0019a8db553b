"""What an application's package grows by: the library that computes, and the network."""

from __future__ import annotations

from collections.abc import Iterator

from bench.records import Artifact, Device
from bench.report.section import Context, Section
from bench.report.table import Cell, Table
from bench.units import quantity

_HEADER = (
    "Network", "Variant", "Runtime", "ABI", "Library", "Network's files", "Together", "Library downloaded",
    "Network downloaded", "Together downloaded",
)  # fmt: skip
_NOTES = (
    "Library: what an application brings to compute at all, once for all its networks, as measured here: where it is "
    "part of bench's runner that whole program (an application's own build is smaller), else the library's own files "
    "for Linux (Android's build differs; the system's C library is not counted).",
    "Downloaded: each file packed by zstd -19, as a shop for applications packs what it delivers.",
)


def section(context: Context) -> Section | None:
    """A table for each phone whose libraries were weighed."""
    tables = tuple(_tables(context))
    title = "Application size"
    return Section("application", title, tables=tables) if tables else None


def _tables(context: Context) -> Iterator[Table]:
    for device in context.run.devices:
        rows = tuple(_rows(device, context))
        if rows:
            yield Table(f"What an application grows by, on {device.serial}", _HEADER, rows, _NOTES, words=4)


def _rows(device: Device, context: Context) -> Iterator[tuple[Cell, ...]]:
    measured = {(s.model, s.variant, s.runtime) for s in context.findings.subjects if s.device == device.serial}
    for artifact in context.run.artifacts:
        place = f"{artifact.runtime}, {device.serial}"
        library = context.run.libraries.get(place)
        if library is None or (artifact.model, artifact.variant, artifact.runtime) not in measured:
            continue
        yield (
            Cell(artifact.model, tone="strong"), Cell(artifact.variant), Cell(artifact.runtime),
            Cell(_abi(device, context.run.toolchain.get(place, {}))), *_sizes(library, artifact),
        )  # fmt: skip


def _abi(device: Device, facts: dict[str, object]) -> str:
    """The one that the program was built for."""
    built = facts.get("abi")
    return built if isinstance(built, str) else device.abis[0] if device.abis else "–"


def _sizes(library: tuple[int, int], artifact: Artifact) -> Iterator[Cell]:
    for of_library, of_network in zip(library, (artifact.deployed_bytes, artifact.downloaded_bytes), strict=True):
        together = None if of_network is None else of_library + of_network
        for size in (of_library, of_network, together):
            yield Cell("–", tone="muted") if size is None else Cell(quantity(size, "B"), value=size)
