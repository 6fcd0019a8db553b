"""The packed sample file that the native runner reads; `device_scripts/runner/contract.h` defines it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import CorruptData

_HEADER = struct.Struct("<4sIIIII")
_FIX = "Delete the file; it is made again when it is missing."


def write(path: Path, inputs: NDArray[np.float32]) -> None:
    """Write samples (N, C, H, W)."""
    with path.open("wb") as file:
        file.write(_HEADER.pack(b"BSMP", 1, *inputs.shape))
        file.write(np.ascontiguousarray(inputs, "<f4").tobytes())


def read(path: Path) -> NDArray[np.float32]:
    """The samples (N, C, H, W). Raises CorruptData when the file is not exactly what its header says."""
    data = path.read_bytes()
    if len(data) < _HEADER.size:
        raise CorruptData(f"{path} is too short for a packed sample file ({len(data)} bytes)", _FIX)
    magic, version, *shape = _HEADER.unpack_from(data)
    if (magic, version) != (b"BSMP", 1):
        raise CorruptData(f"{path} is not a packed sample file of version 1", _FIX)
    expected = _HEADER.size + 4 * shape[0] * shape[1] * shape[2] * shape[3]
    if 0 in shape or expected != len(data):
        raise CorruptData(f"{path} has {len(data)} bytes where its header {tuple(shape)} asks for {expected}", _FIX)
    return np.frombuffer(data, "<f4", offset=_HEADER.size).astype(np.float32).reshape(shape)
