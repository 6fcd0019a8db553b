"""The layers of a launch as a Parquet table: a row a layer, in the order of execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.errors import CorruptData
from bench.layered import LayerRecord

_COLUMNS = pa.schema(
    [
        ("name", pa.string()), ("type", pa.string()), ("module", pa.string()), ("ns", pa.int64()),
        ("bytes", pa.int64()), ("macs", pa.int64()), ("moved", pa.int64()), ("deferred", pa.bool_()),
        ("shape", pa.list_(pa.int64())),
    ]
)  # fmt: skip
_MOST_LAYERS = 10_000
_MOST_AXES = 8
_LARGEST = 2**53
"""Of every figure: what a runner's line may say (`bench.measure.fields`)."""
_LONGEST = 400
_FIX = "Restore the file from a copy, or measure the run again."


def table(layers: Sequence[LayerRecord], metadata: dict[bytes, bytes]) -> pa.Table:
    """The layers of one launch."""
    rows = [{**layer._asdict(), "shape": list(layer.shape)} for layer in layers]
    return pa.Table.from_pylist(rows, schema=_COLUMNS.with_metadata(metadata))


def layers(found: pa.Table, source: Path, total: float | None) -> tuple[LayerRecord, ...]:
    """The layers in a table of `source`, which together take the `total` of ns that their trial measured; None where
    that is gone. Raises CorruptData, which names the first of them, for what no launch gives, and for another launch's
    layers."""
    if found.schema.names != _COLUMNS.names or found.schema.types != _COLUMNS.types:
        raise CorruptData(f"{source} does not have the columns of a launch's layers", _FIX)
    if not 1 <= len(found) <= _MOST_LAYERS:
        raise CorruptData(f"{source} holds {len(found):,} layers, which can only be 1 to {_MOST_LAYERS:,}", _FIX)
    records = tuple(_record(row, place, source) for place, row in enumerate(found.to_pylist()))
    summed = sum(layer.ns for layer in records)
    if total is not None and summed != total:
        raise CorruptData(
            f"{source} is damaged, or of another launch: its layers together take {summed:,} ns, and the trial that it "
            f"is named after measured {total:,.0f} ns",
            _FIX,
        )
    return records


def _record(row: Mapping[str, Any], place: int, source: Path) -> LayerRecord:
    figures = {name: (0, row[name]) for name in ("ns", "bytes")}
    figures |= {name: (0, row[name]) for name in ("macs", "moved") if row[name] is not None}
    shape = row["shape"] or ()
    figures |= {f"axis {axis} of the shape": (1, extent) for axis, extent in enumerate(shape)}
    for name, (least, value) in figures.items():
        if value is None or not least <= value <= _LARGEST:
            told = "nothing" if value is None else f"{value:,}"
            raise CorruptData(
                f"{source} is damaged: layer {place}: {name} is {told}, which can only be from {least} to {_LARGEST:,}",
                _FIX,
            )
    texts = (row["name"], row["type"], row["module"])
    if len(shape) > _MOST_AXES or row["deferred"] is None or any(t is None or len(t) > _LONGEST for t in texts):
        raise CorruptData(f"{source} is damaged: layer {place} has no usable name, type, module, shape or mark", _FIX)
    return LayerRecord(**{**row, "shape": tuple(shape)})
