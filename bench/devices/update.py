"""Updates of files: what became of one since another, packed so that the native runner makes the new one on the device.

The format is described in `device_scripts/runner/contract/contract.h`. Fine-tuned weights differ from the old ones by
little, each as a number; differences of whole words, the lowest bytes of all first, are what deflate can pack.
"""

from __future__ import annotations

import hashlib
import struct
import zlib

import numpy as np

from bench.errors import CorruptData

WORDS = (1, 2, 4)
MOST = 1 << 30
"""Bytes of a file, old or new."""
_HEAD = struct.Struct("<4sIIIQQ32s32s")


def smallest(new: bytes, old: bytes = b"") -> bytes:
    """The smallest update that makes `new` of `old`, or of nothing. Raises ValueError beyond MOST."""
    if max(len(new), len(old)) > MOST:
        raise ValueError(f"files of more than {MOST:,} bytes")
    return min((_made(new, old, word) for word in WORDS), key=len)


def _made(new: bytes, old: bytes, word: int) -> bytes:
    kind = np.dtype(f"<u{word}")
    words = len(new) // word
    now = np.frombuffer(new, kind, words)
    before = np.zeros(words, kind)
    known = min(words, len(old) // word)
    before[:known] = np.frombuffer(old, kind, known)
    rest = old[known * word : (known + 1) * word]  # of a word that the old file has in part
    if known < words and rest:
        before[known] = int.from_bytes(rest, "little")
    apart = now - before
    sign = (apart >> kind.type(8 * word - 1)).astype(kind)
    stored = (apart << kind.type(1)) ^ (kind.type(0) - sign)
    planes = np.ascontiguousarray(stored.astype(kind).view(np.uint8).reshape(words, word).T).tobytes()
    nothing = bytes(32)
    head = _HEAD.pack(
        b"BUPD", 1, word, 0, len(old), len(new), hashlib.sha256(old).digest() if old else nothing,
        hashlib.sha256(new).digest(),
    )  # fmt: skip
    return head + zlib.compress(planes + new[words * word :], 9)


def applied(update: bytes, old: bytes = b"") -> bytes:
    """What the native runner makes of an update, here. Raises CorruptData as that refuses."""
    try:
        magic, version, word, zero, before, after, wanted, digest = _HEAD.unpack_from(update)
        if (magic, version, zero) != (b"BUPD", 1, 0) or word not in WORDS or max(before, after) > MOST:
            raise ValueError("its head is none")
        if before != len(old) or (before and hashlib.sha256(old).digest() != wanted):
            raise ValueError("it was made from another file")
        inflate = zlib.decompressobj()
        planes = inflate.decompress(update[_HEAD.size :], after + 1)
        if len(planes) != after:
            raise ValueError("its content is damaged")
    except (struct.error, ValueError, zlib.error) as error:
        raise CorruptData(f"an update that cannot be used: {error}") from None
    kind, words = np.dtype(f"<u{word}"), after // word
    stored = np.ascontiguousarray(np.frombuffer(planes, np.uint8, words * word).reshape(word, words).T).view(kind)[:, 0]
    apart = (stored >> kind.type(1)) ^ (kind.type(0) - (stored & kind.type(1)))
    base = np.frombuffer((old + bytes(words * word))[: words * word], kind)
    made: bytes = (base + apart).astype(kind).tobytes() + planes[words * word :]
    if hashlib.sha256(made).digest() != digest:
        raise CorruptData("an update that cannot be used: what comes of it is not what should")
    return made
