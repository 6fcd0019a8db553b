"""What a finished executable is, read from the file itself."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from bench.errors import CorruptData

_PT_DYNAMIC, _PT_INTERP = 2, 3
_DT_NULL, _DT_NEEDED = 0, 1


@dataclass(frozen=True)
class Elf:
    """An ELF file: word size in bits, machine number, and whether it needs nothing but a kernel to run."""

    bits: int
    machine: int
    static: bool


def read_elf(path: Path) -> Elf:
    """The facts of an ELF file (System V ABI, chapters 4 and 5; little-endian only).

    Raises CorruptData when the file is not ELF or ends too early.
    """
    data = path.read_bytes()
    try:
        return _parse(data)
    except (struct.error, ValueError) as why:
        raise CorruptData(f"{path} is not a whole little-endian ELF executable: {why}", "Build it again.") from why


def _parse(data: bytes) -> Elf:
    if data[:4] != b"\x7fELF" or data[5:6] != b"\x01" or data[4:5] not in (b"\x01", b"\x02"):
        raise ValueError("wrong magic number, byte order or class")
    wide = data[4] == 2
    machine = struct.unpack_from("<H", data, 18)[0]
    header_offset = struct.unpack_from("<Q", data, 32)[0] if wide else struct.unpack_from("<I", data, 28)[0]
    entry_size, entries = struct.unpack_from("<HH", data, 54 if wide else 42)
    static = True
    for place in range(header_offset, header_offset + entries * entry_size, entry_size):
        kind = struct.unpack_from("<I", data, place)[0]
        if kind == _PT_INTERP:
            static = False
        elif kind == _PT_DYNAMIC:
            offset, size = (
                (struct.unpack_from("<Q", data, place + 8)[0], struct.unpack_from("<Q", data, place + 32)[0])
                if wide
                else (struct.unpack_from("<I", data, place + 4)[0], struct.unpack_from("<I", data, place + 16)[0])
            )
            static = static and not _needs_libraries(data, offset, size, wide)
    return Elf(bits=64 if wide else 32, machine=machine, static=static)


def _needs_libraries(data: bytes, offset: int, size: int, wide: bool) -> bool:
    form = "<qQ" if wide else "<iI"
    step = struct.calcsize(form)
    for place in range(offset, offset + size - step + 1, step):
        tag = struct.unpack_from(form, data, place)[0]
        if tag == _DT_NULL:
            return False
        if tag == _DT_NEEDED:
            return True
    return False
