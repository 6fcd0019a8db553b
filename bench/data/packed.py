"""The packed sample file that runners read; `device_scripts/runner/contract/contract.h` defines it (version 2)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import CorruptData

MOST_INPUTS = 8
MOST_RANK = 4

_MAGIC, _VERSION = b"BSMP", 2
_DTYPES = (np.dtype("<f4"), np.dtype("<i4"))
_VALUE = 4
_LONGEST_HEADER = 16 + MOST_INPUTS * (8 + 4 * MOST_RANK)
_FIX = "Delete the file; it is made again when it is missing."


def write(path: Path, inputs: Sequence[NDArray[Any]]) -> None:
    """Write samples: one array (N, *shape) for each input of the network, in the network's order.

    Whole numbers are stored as int32, everything else as float32. Raises ValueError for what the file cannot hold: no
    or too many inputs, ranks other than 1 to 4, different N, an empty axis, whole numbers beyond int32.
    """
    if not 1 <= len(inputs) <= MOST_INPUTS:
        raise ValueError(f"{len(inputs)} inputs; a sample has 1 to {MOST_INPUTS}")
    stored = [_stored(one) for one in inputs]
    counts = {len(one) for one in stored}
    if len(counts) != 1:
        raise ValueError(f"inputs with different numbers of samples: {sorted(counts)}")
    count = counts.pop()
    with path.open("wb") as file:
        file.write(struct.pack("<4sIII", _MAGIC, _VERSION, count, len(stored)))
        for one in stored:
            shape = one.shape[1:]
            file.write(struct.pack(f"<II{len(shape)}I", _DTYPES.index(one.dtype), len(shape), *shape))
        for sample in range(count):
            for one in stored:
                file.write(one[sample].tobytes())


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    if not 2 <= values.ndim <= MOST_RANK + 1 or 0 in values.shape:
        raise ValueError(f"an input of shape {values.shape}: not samples of rank 1 to {MOST_RANK}")
    if not np.issubdtype(values.dtype, np.integer):
        return values.astype(_DTYPES[0])
    limits = np.iinfo(np.int32)
    if values.min() < limits.min or values.max() > limits.max:
        raise ValueError("whole numbers that int32 does not hold")
    return values.astype(_DTYPES[1])


def read(path: Path) -> tuple[NDArray[Any], ...]:
    """One array (N, *shape) of float32 or int32 for each input.

    Raises CorruptData when the file is not exactly what its header says.
    """
    data = path.read_bytes()
    try:
        return _parse(data)
    except (struct.error, ValueError) as why:
        raise CorruptData(f"{path} is not a packed sample file of version {_VERSION}: {why}", _FIX) from why


def some(path: Path, indices: Sequence[int]) -> tuple[NDArray[Any], ...]:
    """As `read`, but these samples alone: the rest of a large file is not loaded."""
    try:
        with path.open("rb") as file:
            head = file.read(_LONGEST_HEADER)
        count, fields, at = _header(head, path.stat().st_size)
    except (struct.error, ValueError) as why:
        raise CorruptData(f"{path} is not a packed sample file of version {_VERSION}: {why}", _FIX) from why
    samples = np.memmap(path, np.dtype(fields), mode="r", offset=at, shape=(count,))[list(indices)]
    return _split(samples, fields)


_Fields = list[tuple[str, np.dtype[Any], tuple[int, ...]]]


def _parse(data: bytes) -> tuple[NDArray[Any], ...]:
    _, fields, at = _header(data, len(data))
    return _split(np.frombuffer(data, np.dtype(fields), offset=at), fields)


def _split(samples: NDArray[Any], fields: _Fields) -> tuple[NDArray[Any], ...]:
    return tuple(np.ascontiguousarray(samples[name].astype(dtype.newbyteorder("="))) for name, dtype, _ in fields)


def _header(data: bytes, length: int) -> tuple[int, _Fields, int]:
    """How many samples, the inputs of each, and where the first begins, of a file of that length. Raises ValueError."""
    magic, version, count, inputs = struct.unpack_from("<4sIII", data)
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError("wrong magic number or version")
    if count < 1 or not 1 <= inputs <= MOST_INPUTS:
        raise ValueError(f"{count} samples of {inputs} inputs")
    at = 16
    fields: _Fields = []
    size = 0
    for number in range(inputs):
        dtype, rank = struct.unpack_from("<II", data, at)
        if dtype >= len(_DTYPES) or not 1 <= rank <= MOST_RANK:
            raise ValueError(f"an input of type {dtype} and rank {rank}")
        shape = struct.unpack_from(f"<{rank}I", data, at + 8)
        values = _product(shape)
        fields.append((f"in{number}", _DTYPES[dtype], shape))
        size += values * _VALUE
        at += 8 + 4 * rank
    if length != at + count * size:
        raise ValueError(f"{length} bytes where its header asks for {at + count * size}")
    return count, fields, at


def _product(shape: Sequence[int]) -> int:
    product = 1
    for extent in shape:
        product *= extent
        if not 0 < product <= 1 << 26:
            raise ValueError(f"an input of shape {tuple(shape)}")
    return product
