"""The `.frq` package, written and read exactly as `docs/formats/frq.md` says, and the blobs a runtime makes of it."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.compress.frequency import dct, order
from bench.errors import CorruptData

MAGIC = b"FRQ1"
MAX_ELEMENTS = 2**31 - 1
_FLOAT32, _VECTOR, _TRANSPOSED = 1 << 2, 1 << 3, 1 << 4
_FIX = "Make the package again; the file was damaged or not written by this version."

Values = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a network in `shape`, PyTorch's order.

    `values` are all its spatial values (raw, row-major), the first coefficients of the order (prefix), or the
    coefficients at `positions` of the order, ascending (explicit). The flags are those of the format.
    """

    shape: tuple[int, ...]
    values: Values
    kind: Literal["raw", "prefix", "explicit"]
    positions: order.Integers | None = None
    vector: bool = False
    transposed: bool = False

    def coordinates(self) -> order.Integers:
        """(kept, N) coordinates of the kept coefficients."""
        if self.positions is None:
            return order.prefix(self.shape, len(self.values))
        return order.coordinates(self.shape, self.positions)

    def core(self) -> NDArray[np.float64]:
        """The kept coefficients in their box."""
        coords = self.coordinates()
        core = np.zeros(order.box(coords))
        core[tuple(coords.T)] = self.values
        return core

    def weight(self) -> NDArray[np.float32]:
        """The spatial values, in `shape`."""
        if self.kind == "raw":
            return self.values.astype(np.float32).reshape(self.shape)
        return dct.expand(self.core(), self.shape, range(len(self.shape))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Package:
    """A network's name and its tensors in the order in which the graph's layers load them."""

    name: str
    tensors: tuple[Tensor, ...]

    @property
    def coefficients(self) -> int:
        return sum(len(t.values) for t in self.tensors if t.kind != "raw")


@dataclass(frozen=True, eq=False)
class Factors:
    """The Tucker form of a weight: `inner` (r_in, n_in), `core` (r_out, r_in, *kernel), `outer` (n_out, r_out)."""

    inner: NDArray[np.float32]
    core: NDArray[np.float32]
    outer: NDArray[np.float32]


def factors(tensor: Tensor) -> Factors:
    """The factors of a coefficient tensor of rank 2 or more; transposed ones give `core` as (r_out, r_in, …) too."""
    core = dct.expand(tensor.core(), tensor.shape, range(2, len(tensor.shape)))
    n_out, n_in = tensor.shape[:2]
    if tensor.transposed:
        core, n_out, n_in = core.swapaxes(0, 1), n_in, n_out
    r_out, r_in = core.shape[:2]
    single = np.float32
    return Factors(
        np.ascontiguousarray(dct.basis(n_in, r_in).T, single),
        np.ascontiguousarray(core, single),
        np.ascontiguousarray(dct.basis(n_out, r_out), single),
    )


def blobs(tensor: Tensor, execution: Literal["dense", "factored"]) -> tuple[NDArray[np.float32], ...]:
    """The weight blobs a runtime loads for one tensor, in load order, each with its axes as (out, in, …)."""
    if execution == "factored" and tensor.kind != "raw" and len(tensor.shape) >= 2:
        parts = factors(tensor)
        return parts.inner, parts.core, parts.outer
    weight = tensor.weight()
    return (np.ascontiguousarray(weight.swapaxes(0, 1)) if tensor.transposed else weight,)


# --- bytes ---------------------------------------------------------------------------------------------------------


def write(package: Package) -> bytes:
    """The file's bytes. Raises ValueError for what the format cannot hold."""
    name = package.name.encode()
    if len(name) > 255 or not package.tensors:
        raise ValueError("a package has a name of at most 255 bytes and at least one tensor")
    body = bytes([len(name)]) + name + _varint(len(package.tensors)) + b"".join(map(_tensor_bytes, package.tensors))
    return MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def _tensor_bytes(tensor: Tensor) -> bytes:
    rank, elements = len(tensor.shape), math.prod(tensor.shape)
    count = len(tensor.values)
    if not 1 <= rank <= 5 or min(tensor.shape) < 1 or elements > MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {tensor.shape} does not fit the format")
    if count != elements if tensor.kind == "raw" else not 1 <= count <= elements:
        raise ValueError(f"{count} values do not suit a {tensor.kind} tensor of shape {tensor.shape}")
    if (tensor.vector and tensor.kind != "raw") or (tensor.transposed and rank < 2):
        raise ValueError("only a raw tensor is a vector, and only one with two axes is transposed")
    kind = ("raw", "prefix", "explicit").index(tensor.kind)
    tag = kind | rank << 5 | _VECTOR * tensor.vector | _TRANSPOSED * tensor.transposed
    wide = tensor.values.dtype == np.float32
    parts = [bytes([tag | _FLOAT32 * wide]), *map(_varint, tensor.shape)]
    if tensor.kind != "raw":
        parts.append(_varint(count))
    if tensor.kind == "explicit":
        positions = tensor.positions
        if positions is None or len(positions) != count or positions[0] < 0 or positions[-1] >= elements:
            raise ValueError("an explicit tensor has one position inside its shape for each value")
        steps = np.diff(positions)
        if (steps < 1).any():
            raise ValueError("positions must ascend")
        parts += [_varint(int(step)) for step in (positions[0], *steps)]
    return b"".join(parts) + tensor.values.astype("<f4" if wide else "<f2").tobytes()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class _Reader:
    """A cursor over the bytes of a package that refuses to leave them."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int, what: str) -> bytes:
        if count > len(self.data) - self.at:
            raise CorruptData(f"the .frq package ends inside its {what} (byte {len(self.data)})", _FIX)
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self, what: str) -> int:
        return self.take(1, what)[0]

    def varint(self, what: str) -> int:
        value = 0
        for place in range(5):
            byte = self.byte(what)
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if byte == 0 and place > 0:
                    raise CorruptData(f"the .frq package writes its {what} longer than needed", _FIX)
                if value > 0xFFFFFFFF:
                    break
                return value
        raise CorruptData(f"the .frq package's {what} is larger than 32 bits", _FIX)


def read(data: bytes) -> Package:
    """The package in `data`. Raises CorruptData, saying where, for anything the format does not allow."""
    reader = _Reader(data)
    if reader.take(4, "magic") != MAGIC:
        raise CorruptData("this is not a .frq package (it does not start with FRQ1)", _FIX)
    (checksum,) = struct.unpack("<I", reader.take(4, "checksum"))
    if checksum != zlib.crc32(data[8:]):
        raise CorruptData("the .frq package's check sum does not match its content", _FIX)
    try:
        name = reader.take(reader.byte("name"), "name").decode()
    except UnicodeDecodeError:
        raise CorruptData("the .frq package's name is not UTF-8", _FIX) from None
    count = reader.varint("number of tensors")
    if count == 0:
        raise CorruptData("the .frq package has no tensors", _FIX)
    # The count is not trusted for space: each tensor takes at least three bytes, so a lie runs into the end.
    tensors = tuple(_read_tensors(reader, count))
    if reader.at != len(data):
        raise CorruptData(f"the .frq package has {len(data) - reader.at} bytes after its last tensor", _FIX)
    return Package(name, tensors)


def _read_tensors(reader: _Reader, count: int) -> Iterator[Tensor]:
    for number in range(1, count + 1):
        what = f"tensor {number}"
        tag = reader.byte(f"{what} tag")
        rank, kind = tag >> 5, tag & 3
        vector, transposed = bool(tag & _VECTOR), bool(tag & _TRANSPOSED)
        if not 1 <= rank <= 5 or kind == 3 or (vector and kind != 0) or (transposed and rank < 2):
            raise CorruptData(f"{what} of the .frq package has a tag without meaning ({tag:#04x})", _FIX)
        shape = tuple(reader.varint(f"{what} shape") for _ in range(rank))
        elements = math.prod(shape)
        if not 1 <= elements <= MAX_ELEMENTS:
            raise CorruptData(f"{what} of the .frq package has the impossible shape {shape}", _FIX)
        kept = elements if kind == 0 else reader.varint(f"{what} number of coefficients")
        if not 1 <= kept <= elements:
            raise CorruptData(f"{what} of the .frq package keeps {kept} coefficients of {elements}", _FIX)
        positions = _read_positions(reader, kept, elements, what) if kind == 2 else None
        dtype: np.dtype[Any] = np.dtype("<f4" if tag & _FLOAT32 else "<f2")
        raw = reader.take(kept * dtype.itemsize, f"{what} values")
        values = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
        name: Literal["raw", "prefix", "explicit"] = ("raw", "prefix", "explicit")[kind]
        yield Tensor(shape, values, name, positions, vector, transposed)


def _read_positions(reader: _Reader, kept: int, elements: int, what: str) -> order.Integers:
    if kept > len(reader.data) - reader.at:
        raise CorruptData(f"the .frq package ends inside its {what} indices (byte {len(reader.data)})", _FIX)
    steps = [reader.varint(f"{what} indices") for _ in range(kept)]
    if 0 in steps[1:]:
        raise CorruptData(f"{what} of the .frq package has the same index twice", _FIX)
    positions = np.cumsum(np.array(steps, np.int64))
    if positions[-1] >= elements:
        raise CorruptData(f"{what} of the .frq package has an index beyond its {elements} elements", _FIX)
    return positions
