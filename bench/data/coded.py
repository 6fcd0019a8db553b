"""Pictures as they are in their files, many in one, for a device that decodes them itself;
`device_scripts/runner/contract/contract.h` defines the file (BPIC, version 1)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

_MAGIC, _VERSION = b"BPIC", 1
MOST_PICTURES = 2**20
_DECODED = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")
"""What files begin with that the native runner decodes."""


def write(path: Path, pictures: Sequence[Path]) -> None:
    """Write the files `pictures` one after another. Raises OSError, and ValueError for none or too many."""
    if not 1 <= len(pictures) <= MOST_PICTURES:
        raise ValueError(f"{len(pictures)} pictures; a file has 1 to {MOST_PICTURES:,}")
    head = 12 + 8 * len(pictures)
    sizes: list[int] = []
    with path.open("wb") as file:
        file.write(bytes(head))
        for one in pictures:
            sizes.append(file.write(one.read_bytes()))
        file.seek(0)
        file.write(struct.pack("<4sII", _MAGIC, _VERSION, len(pictures)))
        file.write(struct.pack(f"<{len(pictures)}Q", *(head + end for end in accumulate(sizes))))


def is_decoded(path: Path) -> bool:
    """Whether the native runner decodes pictures of that kind."""
    with path.open("rb") as file:
        return file.read(8).startswith(_DECODED)
