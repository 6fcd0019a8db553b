"""The layers of a launch as a Parquet table: a row a layer, in the order of execution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
_LONGEST = 400


def table(layers: Sequence[LayerRecord], metadata: dict[bytes, bytes]) -> pa.Table:
    """The layers of one launch."""
    rows = [{**layer._asdict(), "shape": list(layer.shape)} for layer in layers]
    return pa.Table.from_pylist(rows, schema=_COLUMNS.with_metadata(metadata))


def layers(found: pa.Table, source: Path) -> tuple[LayerRecord, ...]:
    """The layers in a table of `source`. Raises CorruptData for what no launch gives."""
    if found.schema.names != _COLUMNS.names or found.schema.types != _COLUMNS.types or len(found) > _MOST_LAYERS:
        raise CorruptData(f"{source} does not hold the layers of a launch", "Restore it from a copy.")
    rows = found.to_pylist()
    for row in rows:
        numbers = [row["ns"], row["bytes"], *(n for n in (row["macs"], row["moved"]) if n is not None)]
        texts = [row["name"], row["type"], row["module"]]
        if (
            any(n is None or n < 0 for n in (*numbers, *(row["shape"] or ())))
            or any(text is None or len(text) > _LONGEST for text in texts)
            or row["deferred"] is None
        ):
            raise CorruptData(f"{source} holds a layer that is impossible", "Restore it from a copy.")
    return tuple(LayerRecord(**{**row, "shape": tuple(row["shape"] or ())}) for row in rows)
