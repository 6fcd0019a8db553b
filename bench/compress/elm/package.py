"""The .elm package: docs/formats/elm.md, and `device_scripts/runner/elm/package.h`, its twin."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import CorruptData

MOST_INPUTS, MOST_NEURONS, MOST_CLASSES = 2**20, 2**17, 1024
_MAGIC = b"ELM1"
_HEADER = struct.Struct("<IIIiQfffI")
_HEAD = 8
_LARGEST_EXPONENT = 64
_TOP = 15
"""float16 ends below 2^16."""
_AGAIN = "Make the package again."


@dataclass(frozen=True, eq=False)
class Package:
    """A machine as it is shipped: the hidden layer is that of `seed` and `gain`, what is put in becomes (x - mean) /
    deviation, and `stored` (classes, neurons) float16 times 2^exponent are the output weights."""

    inputs: int
    seed: int
    gain: float
    mean: float
    deviation: float
    exponent: int
    stored: NDArray[np.float16]

    @property
    def neurons(self) -> int:
        return int(self.stored.shape[1])

    @property
    def classes(self) -> int:
        return int(self.stored.shape[0])

    def output_weights(self) -> NDArray[np.float32]:
        """(classes, neurons)."""
        return np.ldexp(self.stored.astype(np.float32), self.exponent)


def stored(weights: NDArray[np.floating]) -> tuple[NDArray[np.float16], int]:
    """Output weights as float16 and the exponent that gives them all its range. Raises CorruptData for values that are
    not finite."""
    if not np.isfinite(weights).all():
        raise CorruptData("the solution has values that are not finite", "Try a larger alpha.")
    most = float(np.abs(weights.astype(np.float32)).max())
    exponent = max(-_LARGEST_EXPONENT, min(_LARGEST_EXPONENT, math.frexp(most)[1] - _TOP)) if most else 0
    return np.ldexp(weights.astype(np.float32), -exponent).astype(np.float16), exponent


def write(package: Package) -> bytes:
    body = _HEADER.pack(
        package.inputs, package.neurons, package.classes, package.exponent, package.seed, package.gain, package.mean,
        package.deviation, 0,
    )  # fmt: skip
    body += package.stored.astype("<f2").tobytes()
    return _MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def read(data: bytes) -> Package:
    """Raises CorruptData for anything but a whole package."""
    if not data.startswith(_MAGIC):
        raise CorruptData("the package is not one of an extreme learning machine", _AGAIN)
    if len(data) < _HEAD + _HEADER.size:
        raise CorruptData("the package is shorter than its header", _AGAIN)
    if zlib.crc32(data[_HEAD:]) != int.from_bytes(data[4:_HEAD], "little"):
        raise CorruptData("the package's check sum is wrong", _AGAIN)
    inputs, neurons, classes, exponent, seed, gain, mean, deviation, reserved = _HEADER.unpack_from(data, _HEAD)
    sound = (
        1 <= inputs <= MOST_INPUTS
        and 1 <= neurons <= MOST_NEURONS
        and 1 <= classes <= MOST_CLASSES
        and abs(exponent) <= _LARGEST_EXPONENT
        and all(map(math.isfinite, (gain, mean, deviation)))
        and deviation > 0
        and reserved == 0
    )
    if not sound:
        raise CorruptData("the package's header holds something that no machine has", _AGAIN)
    values = np.frombuffer(data, "<f2", offset=_HEAD + _HEADER.size) if len(data) % 2 == 0 else np.empty(0, "<f2")
    if values.size != neurons * classes:
        raise CorruptData(f"the package has not the {neurons * classes:,} weights that its header says", _AGAIN)
    if not np.isfinite(values).all():
        raise CorruptData("the package holds output weights that are not finite", _AGAIN)
    return Package(inputs, seed, gain, mean, deviation, exponent, values.reshape(classes, neurons).astype(np.float16))
