"""The part of a shared library that is loaded: without symbols for debuggers, and without gaps between its parts."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BuildFailed

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
"""Of an ELF file of 64 bits (System V ABI, chapter 4)."""
_PART = struct.Struct("<IIQQQQQQ")
_LOADED = 1


@dataclass(frozen=True)
class _Part:
    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    bytes: int
    memory: int
    alignment: int


def write(library: Path, path: Path) -> None:
    """Write what the loader maps of a library for a 64-bit little-endian processor. Raises BuildFailed."""
    data = library.read_bytes()
    if not data.startswith(b"\x7fELF\x02\x01") or len(data) < _HEADER.size:
        raise BuildFailed(f"{library.name} is not a 64-bit ELF file", "Report this.")
    header = list(_HEADER.unpack_from(data))
    table, count = header[5], header[10]
    parts = [_Part(*_PART.unpack_from(data, table + number * _PART.size)) for number in range(count)]
    made, moved = bytearray(), {}
    for part in parts:
        if part.kind != _LOADED:
            continue
        gap = (part.address - len(made)) % part.alignment
        moved[part] = len(made) + gap
        made += bytes(gap) + data[part.offset : part.offset + part.bytes]
    header[5] = _place(table, moved)
    header[6] = header[12] = header[13] = 0
    _HEADER.pack_into(made, 0, *header)
    for number, part in enumerate(parts):
        offset = _place(part.offset, moved) if part.bytes else 0
        packed = (part.kind, part.flags, offset, part.address, part.physical, part.bytes, part.memory, part.alignment)
        _PART.pack_into(made, header[5] + number * _PART.size, *packed)
    path.write_bytes(made)


def _place(offset: int, moved: dict[_Part, int]) -> int:
    """Where what was at an offset of the file is now."""
    for part, start in moved.items():
        if part.offset <= offset < part.offset + part.bytes:
            return offset - part.offset + start
    raise BuildFailed("a part of the library is not loaded that should be", "Report this.")
