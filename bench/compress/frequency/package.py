"""The `.frq` package, written and read exactly as `docs/formats/frq.md` says, and the blobs a runtime makes of it."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.compress.frequency import dct, order
from bench.errors import CorruptData

Kind = Literal["raw", "prefix", "explicit", "each"]
Values = NDArray[np.float16] | NDArray[np.float32] | NDArray[np.int8]

MAGIC, MAGIC_INT8, MAGIC_NESTED = b"FRQ2", b"FRQ3", b"FRQ4"
"""Of a package whose values are all floating point, of one with coefficients in 8 bits, and of one with capacities."""
MOST_CAPACITIES = 64
LARGEST = 127
"""Of a value in 8 bits, so that every value has its negative."""
MAX_ELEMENTS = 2**31 - 1
_KINDS: tuple[Kind, ...] = ("raw", "prefix", "explicit", "each")
_FLOAT32, _VECTOR, _TRANSPOSED = 1 << 2, 1 << 3, 1 << 4
_INT8 = _VECTOR
"""The same bit of a coefficient tensor, which is never a vector."""
_FARTHEST = 15
"""How many tensors back the one may be whose form a tensor shares."""
_FIX = "Make the package again; the file was damaged or not written by this version."


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a network in `shape`, PyTorch's order.

    `values` are all its spatial values (raw, row-major), the first coefficients of the order (prefix), or the
    coefficients at `positions` of the order, ascending (explicit). Coefficients of int8 are multiples of `scale`, a
    positive number of float16, which no others have. The flags are those of the format.

    In a package with capacities `parts` says how many of its coefficients count in each, the last of them all; and the
    values of kind `each` are the spatial ones of every capacity, one after the other.
    """

    shape: tuple[int, ...]
    values: Values
    kind: Kind
    positions: order.Integers | None = None
    vector: bool = False
    transposed: bool = False
    scale: np.float16 | None = None
    parts: tuple[int, ...] = ()

    def at(self, capacity: int) -> Tensor:
        """What that capacity has of it, 1 the smallest, as a tensor of a package without capacities."""
        if self.kind == "each":
            elements = math.prod(self.shape)
            return replace(self, kind="raw", values=self.values[(capacity - 1) * elements : capacity * elements])
        if not self.parts:
            return self
        kept = self.parts[capacity - 1]
        positions = None if self.positions is None else self.positions[:kept]
        return replace(self, values=self.values[:kept], positions=positions, parts=())

    @property
    def numbers(self) -> NDArray[np.float32]:
        """What `values` stand for, exactly: an int8 times a float16 is a float32."""
        found = self.values.astype(np.float32)
        return found if self.scale is None else found * np.float32(self.scale)

    def coordinates(self) -> order.Integers:
        """(kept, N) coordinates of the kept coefficients."""
        if self.positions is None:
            return order.prefix(self.shape, len(self.values))
        return order.coordinates(self.shape, self.positions)

    def core(self) -> NDArray[np.float64]:
        """The kept coefficients in their box."""
        coords = self.coordinates()
        core = np.zeros(order.box(coords))
        core[tuple(coords.T)] = self.numbers
        return core

    def weight(self) -> NDArray[np.float32]:
        """The spatial values, in `shape`."""
        if self.kind == "raw":
            return self.numbers.reshape(self.shape)
        return dct.expand(self.core(), self.shape, range(len(self.shape))).astype(np.float32)


def sparse(
    shape: tuple[int, ...],
    positions: order.Integers,
    values: Values,
    transposed: bool,
    scale: np.float16 | None = None,
) -> Tensor:
    """The coefficient tensor with `values` at `positions` (ascending) and zero elsewhere, as a prefix or explicitly:
    whichever takes fewer bytes. Where everything is zero, one zero is kept."""
    if not len(positions):
        return Tensor(shape, np.zeros(1, np.float16), "prefix", transposed=transposed)
    explicit = Tensor(shape, values, "explicit", positions, transposed=transposed, scale=scale)
    kept = int(positions[-1]) + 1
    if (kept - len(values)) * values.itemsize > len(_steps(explicit)):
        return explicit
    prefix = np.zeros(kept, values.dtype)
    prefix[positions] = values
    return Tensor(shape, prefix, "prefix", transposed=transposed, scale=scale)


def scale_of(largest: float) -> np.float16:
    """The scale by which no number beyond `largest` is cut in 8 bits: the least float16 that allows it, or 0 where that
    would have fewer than its eleven significant bits."""
    wanted = largest / LARGEST
    if not 2**-14 <= wanted <= 65472:  # the least normal float16, and the last but one of all
        return np.float16(0)
    scale = np.float16(wanted)
    return scale if float(scale) >= wanted else np.nextafter(scale, np.float16(np.inf))


@dataclass(frozen=True, eq=False)
class Package:
    """A network's name and its tensors in the order in which the graph's layers load them."""

    name: str
    tensors: tuple[Tensor, ...]
    capacities: int = 1

    def at(self, capacity: int) -> Package:
        """The network of that capacity, 1 the smallest, as a package of its own."""
        return Package(self.name, tuple(tensor.at(capacity) for tensor in self.tensors))

    @property
    def coefficients(self) -> int:
        """How many coefficients are kept, zeros among them included."""
        return sum(len(t.values) for t in self.tensors if t.kind not in ("raw", "each"))

    @property
    def int8(self) -> bool:
        """Whether some coefficients are in 8 bits, so that it is of format 3."""
        return any(tensor.scale is not None for tensor in self.tensors)


def blob(tensor: Tensor) -> NDArray[np.float32]:
    """The weight blob that a runtime loads for one tensor executed dense, its axes as (out, in, …)."""
    weight = tensor.weight()
    return np.ascontiguousarray(weight.swapaxes(0, 1)) if tensor.transposed else weight


# --- bytes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Form:
    """What tensors of a network share: kind and flags, the extents behind the channels, how many coefficients."""

    tag: int
    kernel: tuple[int, ...]
    parts: tuple[int, ...]
    """How many coefficients count in each capacity, or of the only one; of none in a raw tensor."""

    @property
    def rank(self) -> int:
        return self.tag >> 5

    def channel_axes(self) -> tuple[int, ...]:
        """The axes of inputs and outputs, in the order in which the format counts channels."""
        return (0,) if self.rank == 1 else (0, 1) if self.tag & _TRANSPOSED else (1, 0)

    def __bytes__(self) -> bytes:
        added = tuple(kept - before for before, kept in pairwise((0, *self.parts)))
        return bytes([self.tag]) + b"".join(map(_varint, self.kernel + added))


def write(package: Package) -> bytes:
    """The file's bytes. Raises ValueError for what the format cannot hold."""
    name = package.name.encode()
    if len(name) > 255 or not package.tensors:
        raise ValueError("a package has a name of at most 255 bytes and at least one tensor")
    if not 1 <= package.capacities <= MOST_CAPACITIES:
        raise ValueError(
            f"a package has at most {MOST_CAPACITIES} capacities and at least one, and not {package.capacities}"
        )
    nested = package.capacities > 1
    parts = [bytes([len(name)]), name, _varint(len(package.tensors)), _varint(package.capacities) if nested else b""]
    forms: list[_Form] = []
    channels = 1
    for tensor in package.tensors:
        form = _form(tensor, package.capacities)
        recent = forms[: -_FARTHEST - 1 : -1]
        back = recent.index(form) + 1 if form in recent else 0
        head, written = back, b"" if back else bytes(form)
        # One code for each of the inputs and the outputs; a tensor of one axis has outputs only.
        for place, axis in zip((4, 6)[-len(form.channel_axes()) :], form.channel_axes(), strict=True):
            code = _extent_code(tensor.shape[axis], channels)
            channels = tensor.shape[axis]
            head |= code << place
            written += b"" if code else _varint(channels)
        forms.append(form)
        parts += [bytes([head]), written, _steps(tensor), _stored(tensor)]
    body = b"".join(parts)
    return (
        (MAGIC_NESTED if nested else MAGIC_INT8 if package.int8 else MAGIC) + struct.pack("<I", zlib.crc32(body)) + body
    )


def _form(tensor: Tensor, capacities: int) -> _Form:
    rank, elements, count = len(tensor.shape), math.prod(tensor.shape), len(tensor.values)
    spatial = tensor.kind in ("raw", "each")
    if not 1 <= rank <= 5 or min(tensor.shape) < 1 or elements > MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {tensor.shape} does not fit the format")
    wanted = elements * (capacities if tensor.kind == "each" else 1)
    if count != wanted if spatial else not 1 <= count <= elements:
        raise ValueError(f"{count} values do not suit a {tensor.kind} tensor of shape {tensor.shape}")
    if (tensor.values.dtype == np.int8) != (tensor.scale is not None) or (
        tensor.scale is not None and not _fits(tensor)
    ):
        raise ValueError(
            "values of int8, -127 to 127, are coefficients and have a positive scale, and no others have one"
        )
    parts = () if spatial else tensor.parts or (count,)
    if (
        len(parts) != (0 if spatial else capacities)
        or (spatial and tensor.parts)
        or (tensor.kind == "each") > (capacities > 1)
    ):
        raise ValueError("a tensor of coefficients says for each capacity how many count, and no other tensor does")
    if parts and (parts[0] < 1 or parts[-1] != count or any(b < a for a, b in pairwise(parts))):
        raise ValueError(f"capacities of {parts} coefficients do not suit a tensor of {count}")
    if (tensor.vector and not spatial) or (tensor.transposed and rank < 2):
        raise ValueError("only a raw tensor is a vector, and only one with two axes is transposed")
    flags = (
        _VECTOR * tensor.vector
        | _INT8 * (tensor.scale is not None)
        | _TRANSPOSED * tensor.transposed
        | _FLOAT32 * (tensor.values.dtype == np.float32)
    )
    tag = _KINDS.index(tensor.kind) | flags | rank << 5
    return _Form(tag, tensor.shape[2:], parts)


def _fits(tensor: Tensor) -> bool:
    scale = tensor.scale
    good = scale is not None and bool(np.isfinite(scale)) and bool(scale > 0)
    return good and tensor.kind not in ("raw", "each") and int(tensor.values.min()) >= -LARGEST


def _stored(tensor: Tensor) -> bytes:
    if tensor.scale is not None:
        return np.array(tensor.scale, "<f2").tobytes() + tensor.values.tobytes()
    return tensor.values.astype("<f4" if tensor.values.dtype == np.float32 else "<f2").tobytes()


def _extent_code(extent: int, before: int) -> int:
    """0: written out; 1: as before; 2: twice; 3: half."""
    return {before: 1, 2 * before: 2}.get(extent, 3 * (2 * extent == before))


def _steps(tensor: Tensor) -> bytes:
    """The positions of an explicit tensor: the first, then the difference of each to the one before."""
    if tensor.kind != "explicit":
        return b""
    positions = tensor.positions
    outside = positions is None or positions[0] < 0 or positions[-1] >= math.prod(tensor.shape)
    if positions is None or outside or len(positions) != len(tensor.values):
        raise ValueError("an explicit tensor has one position inside its shape for each value")
    steps = np.diff(positions)
    if (steps < 1).any():
        raise ValueError("positions must ascend")
    return b"".join(_varint(int(step)) for step in (positions[0], *steps))


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
    magic = reader.take(4, "magic")
    if magic not in (MAGIC, MAGIC_INT8, MAGIC_NESTED):
        told = f"is of format {magic[3:].decode(errors='replace')!r}" if magic[:3] == MAGIC[:3] else "starts otherwise"
        raise CorruptData(f"this is not a .frq package of format 2 to 4 (FRQ2 … FRQ4): it {told}", _FIX)
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
    capacities = reader.varint("number of capacities") if magic == MAGIC_NESTED else 1
    if magic == MAGIC_NESTED and not 2 <= capacities <= MOST_CAPACITIES:
        raise CorruptData(f"the .frq package has {capacities} capacities; 2 to {MOST_CAPACITIES} are possible", _FIX)
    # The count is not trusted for space: each tensor takes at least three bytes, so a lie runs into the end.
    tensors = tuple(_read_tensors(reader, count, capacities, int8=magic != MAGIC))
    if reader.at != len(data):
        raise CorruptData(f"the .frq package has {len(data) - reader.at} bytes after its last tensor", _FIX)
    if magic == MAGIC_INT8 and not Package(name, tensors).int8:
        raise CorruptData("the .frq package is of format 3 and has nothing in 8 bits", _FIX)
    return Package(name, tensors, capacities)


def _read_tensors(reader: _Reader, count: int, capacities: int, *, int8: bool) -> Iterator[Tensor]:
    forms: list[_Form] = []
    channels = 1
    for number in range(1, count + 1):
        what = f"tensor {number}"
        head = reader.byte(f"{what} head")
        back, codes = head & 15, (head >> 4 & 3, head >> 6)
        if back > len(forms):
            raise CorruptData(f"{what} of the .frq package has the form of a tensor before the first", _FIX)
        form = forms[-back] if back else _read_form(reader, what, capacities, int8=int8)
        forms.append(form)
        axes = form.channel_axes()
        if len(axes) == 1 and codes[0]:
            raise CorruptData(f"{what} of the .frq package has one axis and says more of its inputs", _FIX)
        extents = [0] * len(axes)
        for code, axis in zip(codes[-len(axes) :], axes, strict=True):
            if code == 3 and channels % 2:
                raise CorruptData(f"{what} of the .frq package has half of {channels} channels", _FIX)
            channels = (channels, 2 * channels, channels // 2)[code - 1] if code else reader.varint(f"{what} shape")
            extents[axis] = channels
        yield _read_values(reader, form, (*extents, *form.kernel), capacities, what)


def _read_form(reader: _Reader, what: str, capacities: int, *, int8: bool) -> _Form:
    tag = reader.byte(f"{what} tag")
    rank, kind = tag >> 5, _KINDS[tag & 3]
    spatial = kind in ("raw", "each")
    meant = (spatial or not tag & _INT8 or (int8 and not tag & _FLOAT32)) and (kind != "each" or capacities > 1)
    if not 1 <= rank <= 5 or not meant or (tag & _TRANSPOSED and rank < 2):
        raise CorruptData(f"{what} of the .frq package has a tag without meaning ({tag:#04x})", _FIX)
    kernel = tuple(reader.varint(f"{what} shape") for _ in range(rank - 2))
    added = [reader.varint(f"{what} number of coefficients") for _ in range(0 if spatial else capacities)]
    if added[:1] == [0]:
        raise CorruptData(f"{what} of the .frq package keeps 0 coefficients", _FIX)
    return _Form(tag, kernel, tuple(accumulate(added)))


def _read_values(reader: _Reader, form: _Form, shape: tuple[int, ...], capacities: int, what: str) -> Tensor:
    elements = math.prod(shape)
    if not 1 <= elements <= MAX_ELEMENTS:
        raise CorruptData(f"{what} of the .frq package has the impossible shape {shape}", _FIX)
    kind = _KINDS[form.tag & 3]
    kept = form.parts[-1] if form.parts else elements * (capacities if kind == "each" else 1)
    if form.parts and kept > elements:
        raise CorruptData(f"{what} of the .frq package keeps {kept} coefficients of {elements}", _FIX)
    parts = form.parts if capacities > 1 else ()
    positions = _read_positions(reader, kept, elements, what) if kind == "explicit" else None
    if form.parts and form.tag & _INT8:
        blank = Tensor(shape, np.zeros(0, np.int8), kind, positions, parts=parts)
        return _read_int8(reader, blank, kept, form, what)
    dtype: np.dtype[Any] = np.dtype("<f4" if form.tag & _FLOAT32 else "<f2")
    values = np.frombuffer(reader.take(kept * dtype.itemsize, f"{what} values"), dtype)
    native = values.astype(dtype.newbyteorder("="))
    vector, transposed = bool(form.tag & _VECTOR), bool(form.tag & _TRANSPOSED)
    return Tensor(shape, native, kind, positions, vector, transposed, parts=parts)


def _read_int8(reader: _Reader, tensor: Tensor, kept: int, form: _Form, what: str) -> Tensor:
    (scale,) = np.frombuffer(reader.take(2, f"{what} scale"), "<f2").astype(np.float16)
    values = np.frombuffer(reader.take(kept, f"{what} values"), np.int8).copy()
    found = replace(tensor, values=values, transposed=bool(form.tag & _TRANSPOSED), scale=scale)
    if not _fits(found):
        raise CorruptData(f"{what} of the .frq package has a scale or a value that 8 bits do not allow", _FIX)
    return found


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
