"""The package of a chain, written and read exactly as `docs/formats/chain.md` says."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from bench.errors import CorruptData

MAGIC = b"BCH1"
LARGEST = 2**31 - 1
"""Bytes of the package of one link."""
Packing = Literal["whole", "emptied"]
_PACKINGS: tuple[Packing, ...] = ("whole", "emptied")
_HEAD = struct.Struct("<BII")
_BEST = 1100
"""Deflate makes nothing smaller by more than this: a size that is a lie is seen before there is space for it."""
_AGAIN = "Make the package again; the file was damaged or not written by this version."


@dataclass(frozen=True)
class Link:
    """The package that one method of the chain made. One that is `emptied` has zeros for values, which a later link
    holds, and says no more than the structure."""

    method: str
    package: bytes
    packing: Packing = "whole"


def write(links: tuple[Link, ...]) -> bytes:
    """The file's bytes. Raises ValueError for what the format cannot hold."""
    parts = [bytes([len(links)])]
    for link in links:
        name = link.method.encode()
        if len(name) > 255 or len(link.package) > LARGEST:
            raise ValueError("a link has a name of at most 255 bytes and a package of less than 2 GiB")
        stored = zlib.compress(link.package, 9) if link.packing == "emptied" else link.package
        head = _HEAD.pack(_PACKINGS.index(link.packing), len(stored), len(link.package))
        parts += [bytes([len(name)]), name, head, stored]
    body = b"".join(parts)
    return MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def read(data: bytes) -> tuple[Link, ...]:
    """The links in `data`. Raises CorruptData, saying what, for anything that the format does not allow."""
    if not data.startswith(MAGIC):
        told = " (its version is another one)" if data.startswith(MAGIC[:3]) else ""
        raise CorruptData(f"this is not the package of a chain, format 1: it does not start with BCH1{told}", _AGAIN)
    body = data[8:]
    if len(data) < 9 or zlib.crc32(body) != int.from_bytes(data[4:8], "little"):
        raise CorruptData("the check sum of the chain's package does not match its content", _AGAIN)
    links, at = [], 1
    for number in range(1, body[0] + 1):
        link, at = _read(body, at, f"link {number}")
        links.append(link)
    if at != len(body):
        raise CorruptData(f"the chain's package has {len(body) - at} bytes after its last link", _AGAIN)
    return tuple(links)


def _read(body: bytes, at: int, what: str) -> tuple[Link, int]:
    name_end = at + 1 + (body[at] if at < len(body) else 0)
    if name_end + _HEAD.size > len(body):
        raise CorruptData(f"the chain's package ends inside its {what}", _AGAIN)
    try:
        name = body[at + 1 : name_end].decode()
    except UnicodeDecodeError:
        raise CorruptData(f"{what} of the chain's package has a name that is not UTF-8", _AGAIN) from None
    packing, stored, size = _HEAD.unpack_from(body, name_end)
    start = name_end + _HEAD.size
    if stored > len(body) - start:
        raise CorruptData(f"the chain's package ends inside its {what}", _AGAIN)
    if packing >= len(_PACKINGS):
        raise CorruptData(f"{what} of the chain's package is packed in an unknown way ({packing})", _AGAIN)
    kept = body[start : start + stored]
    if _PACKINGS[packing] == "emptied":
        kept = _unpacked(kept, size, what)
    if len(kept) != size:
        raise CorruptData(f"{what} of the chain's package has {len(kept)} bytes instead of {size}", _AGAIN)
    return Link(name, kept, _PACKINGS[packing]), start + stored


def _unpacked(stored: bytes, size: int, what: str) -> bytes:
    if size > _BEST * len(stored):
        raise CorruptData(f"{what} of the chain's package says that it has {size} bytes, more than possible", _AGAIN)
    inflate = zlib.decompressobj()
    try:
        kept = inflate.decompress(stored, size + 1)
    except zlib.error:
        raise CorruptData(f"{what} of the chain's package cannot be unpacked", _AGAIN) from None
    if not inflate.eof or inflate.unused_data:
        raise CorruptData(f"{what} of the chain's package does not end where it should", _AGAIN)
    return kept
