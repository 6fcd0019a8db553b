"""The package of a cascade, written and read exactly as `docs/formats/cascade.md` says."""

from __future__ import annotations

import json
import struct
import zlib
from itertools import pairwise
from typing import NamedTuple

from pydantic import ValidationError

from bench.confidence import Calibration, Cascade
from bench.errors import CorruptData

MAGIC = b"BCA1"
_HEAD = struct.Struct("<III")
_AGAIN = "Make the package again; the file was damaged or not written by this version."


class Package(NamedTuple):
    """The small network's `method` and its package `small`; `robust`, the ordinary network's weights in safetensors."""

    cascade: Cascade
    calibration: Calibration
    method: str
    small: bytes
    robust: bytes


def write(made: Package) -> bytes:
    """The file's bytes."""
    told = {
        "cascade": made.cascade.model_dump(), "calibration": made.calibration.model_dump(), "method": made.method,
    }  # fmt: skip
    header = json.dumps(told, sort_keys=True).encode()
    body = _HEAD.pack(len(header), len(made.small), len(made.robust)) + header + made.small + made.robust
    return MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def read(data: bytes) -> Package:
    """Raises CorruptData, saying what, for anything that the format does not allow."""
    if not data.startswith(MAGIC):
        told = " (its version is another one)" if data.startswith(MAGIC[:3]) else ""
        raise CorruptData(f"this is not the package of a cascade, format 1: it does not start with BCA1{told}", _AGAIN)
    body = data[8:]
    if len(body) < _HEAD.size or zlib.crc32(body) != int.from_bytes(data[4:8], "little"):
        raise CorruptData("the check sum of the cascade's package does not match its content", _AGAIN)
    sizes = _HEAD.unpack_from(body)
    if sum(sizes) != len(body) - _HEAD.size:
        raise CorruptData(f"the cascade's package has {len(body):,} bytes, and says that it has others", _AGAIN)
    ends = [_HEAD.size, *(_HEAD.size + sum(sizes[: n + 1]) for n in range(3))]
    header, small, robust = (body[begin:end] for begin, end in pairwise(ends))
    try:
        told = json.loads(header)
        cascade, calibration = Cascade.model_validate(told["cascade"]), Calibration.model_validate(told["calibration"])
        method = str(told["method"])
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        raise CorruptData("the header of the cascade's package is not one", _AGAIN) from None
    both = (*calibration.temperatures, cascade.temperature)
    if len(both) != 3 or not all(0.001 <= one <= 1000 for one in both) or not 0 <= cascade.threshold <= 2:
        raise CorruptData("the cascade's package has a temperature or a threshold that cannot be", _AGAIN)
    return Package(cascade, calibration, method, small, robust)
