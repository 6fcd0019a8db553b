"""The file of a network with several capacities, written and read exactly as `docs/formats/nested.md` says.

What a capacity adds to the one before lies behind it: a reader of capacity k needs no byte of those above.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import CorruptData

MAGIC = b"NST1"
MOST_CAPACITIES = 64
LONGEST = 2**31 - 1
"""Channels of an axis, values of a tensor, bytes of the head."""
MATRIX, OWN, SCALED, TYPED = 1, 2, 4, 8
_AGAIN = "Make the package again; the file was damaged or not written by this version."
_HEAD = struct.Struct("<II")

Half = NDArray[np.float16]
Levels = tuple[int, ...]
"""Of each channel of an axis the smallest capacity that has it, from 1."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the network at every capacity, by lists of levels (`Nested.lists`).

    With `columns` it is a matrix: its values (rows, columns, kernel) are the whole network's, and capacity k has the
    rows and columns of level k or less. Then `scales` are, for each capacity, what each of its rows is multiplied by;
    empty where nothing is. Without, it is a vector along `rows`: `values` of the whole network, or, where it is a
    capacity's `own`, those of each. `typed`: ncnn has a type word before it.
    """

    rows: int
    columns: int | None = None
    kernel: int = 1
    values: Half = field(default_factory=lambda: np.zeros(0, np.float16))
    own: tuple[Half, ...] = ()
    scales: tuple[Half, ...] = ()
    typed: bool = False


@dataclass(frozen=True)
class Substitution:
    """A parameter of a layer of the graph, which is the largest capacity's: what it is at each."""

    layer: int
    key: int
    values: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Nested:
    """A package. `sites` are two lists of levels for each layer of the network that has a width: of what goes in, and
    of what comes out. `graph` is for a runner, whose graph is the largest capacity's."""

    name: str
    count: int
    lists: tuple[Levels, ...]
    sites: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    graph: tuple[Substitution, ...] = ()

    @cached_property
    def _levels(self) -> tuple[NDArray[np.uint8], ...]:
        return tuple(np.array(levels, np.uint8) for levels in self.lists)

    def width(self, which: int, capacity: int) -> int:
        """Channels of that list at a capacity."""
        return int((self._levels[which] <= capacity).sum())

    def levels_of(self, tensor: Tensor) -> NDArray[np.uint8]:
        """Of each value of the whole network's tensor, (rows, columns, kernel), or (rows,) of a vector."""
        rows = self._levels[tensor.rows]
        if tensor.columns is None:
            return rows
        both = np.maximum(rows[:, None], self._levels[tensor.columns][None, :])
        return np.broadcast_to(both[:, :, None], (*both.shape, tensor.kernel))

    def at(self, tensor: Tensor, capacity: int) -> NDArray[np.float32]:
        """The tensor at a capacity, as float32: (rows, columns, kernel) or (rows,), of what that capacity has."""
        if tensor.own:
            return tensor.own[capacity - 1].astype(np.float32)
        mine = self._levels[tensor.rows] <= capacity
        found = tensor.values[mine].astype(np.float32)
        if tensor.columns is not None:
            found = found[:, self._levels[tensor.columns] <= capacity]
        if tensor.scales:
            found = found * tensor.scales[capacity - 1].astype(np.float32)[:, None, None]
        return np.ascontiguousarray(found)

    def segment(self, capacity: int) -> bytes:
        """What a capacity adds."""
        parts = []
        for tensor in self.tensors:
            if tensor.scales:
                parts.append(tensor.scales[capacity - 1])
            parts.append(tensor.own[capacity - 1] if tensor.own else tensor.values[self.levels_of(tensor) == capacity])
        return b"".join(part.astype("<f2").tobytes() for part in parts)

    def alone(self, capacity: int) -> Nested:
        """That capacity as a package of one: what it would take without the others."""
        tensors = []
        for tensor in self.tensors:
            plain = replace(tensor, scales=(), own=(), values=self.at(unscaled(tensor), capacity).astype("<f2"))
            scales = (tensor.scales[capacity - 1],) if tensor.scales else ()
            own = (tensor.own[capacity - 1],) if tensor.own else ()
            tensors.append(replace(plain, scales=scales, own=own))
        lists = tuple((1,) * self.width(which, capacity) for which in range(len(self.lists)))
        graph = tuple(replace(one, values=(one.values[capacity - 1],)) for one in self.graph)
        return Nested(self.name, 1, lists, self.sites, tuple(tensors), graph)


def unscaled(tensor: Tensor) -> Tensor:
    """Without what its rows are multiplied by."""
    return replace(tensor, scales=())


def write(nested: Nested) -> bytes:
    """The file's bytes. Raises ValueError for what the format cannot hold."""
    name = nested.name.encode()
    if len(name) > 255 or not 1 <= nested.count <= MOST_CAPACITIES:
        raise ValueError("a package has a name of at most 255 bytes and 1 to 64 capacities")
    segments = [nested.segment(capacity) for capacity in range(1, nested.count + 1)]
    head = bytearray([len(name), *name, nested.count])
    head += _varint(len(nested.lists))
    for levels in nested.lists:
        runs = _runs(levels)
        head += _varint(len(runs))
        for length, level in runs:
            head += _varint(length) + bytes([level])
    head += _varint(len(nested.sites)) + b"".join(map(_varint, nested.sites))
    head += _varint(len(nested.tensors))
    for tensor in nested.tensors:
        matrix = tensor.columns is not None
        head.append(MATRIX * matrix | OWN * bool(tensor.own) | SCALED * bool(tensor.scales) | TYPED * tensor.typed)
        head += _varint(tensor.rows)
        if tensor.columns is not None:
            head += _varint(tensor.columns) + _varint(tensor.kernel)
    head += _varint(len(nested.graph))
    for one in nested.graph:
        head += _varint(one.layer) + _varint(one.key) + b"".join(_varint(_folded(value)) for value in one.values)
    head += b"".join(struct.pack("<I", zlib.crc32(segment)) for segment in segments)
    return b"".join((MAGIC, _HEAD.pack(zlib.crc32(head), len(head)), head, *segments))


def read(data: bytes) -> Nested:
    """The package in `data`. Raises CorruptData, saying what, for anything that the format does not allow."""
    if not data.startswith(MAGIC):
        told = " (its version is another one)" if data.startswith(MAGIC[:3]) else ""
        raise _corrupt(f"this is not a package of nested capacities, format 1: it does not start with NST1{told}")
    if len(data) < 12:
        raise _corrupt("the package ends too early")
    checksum, length = _HEAD.unpack_from(data, 4)
    head = data[12 : 12 + length]
    if len(head) != length or zlib.crc32(head) != checksum:
        raise _corrupt("the check sum of the package's head does not match its content")
    return _Reader(head, data, 12 + length).package()


class _Reader:
    """Walks over a head, and over what capacities add behind it."""

    def __init__(self, head: bytes, data: bytes, at: int) -> None:
        self._head, self._at = head, 0
        self._data, self._value = data, at
        self._channels = self._values = 0

    def package(self) -> Nested:
        try:
            name = self._take(self._byte()).decode()
        except UnicodeDecodeError:
            raise _corrupt("the package's name is not UTF-8") from None
        count = self._byte()
        if not 1 <= count <= MOST_CAPACITIES:
            raise _corrupt(f"a package of {count} capacities")
        lists = tuple(self._levels(count) for _ in range(self._many()))
        sites = tuple(self._list(lists) for _ in range(self._many()))
        if len(sites) % 2:
            raise _corrupt("a layer without what comes out of it")
        forms = [self._form(lists) for _ in range(self._many())]
        graph = tuple(
            Substitution(self._varint(), self._varint(), tuple(_unfolded(self._varint()) for _ in range(count)))
            for _ in range(self._many())
        )
        sums = [struct.unpack("<I", self._take(4))[0] for _ in range(count)]
        if self._at != len(self._head):
            raise _corrupt(f"{len(self._head) - self._at} bytes of the head too many")
        empty = Nested(name, count, lists, sites, tuple(tensor for tensor, _, _ in forms), graph)
        return replace(empty, tensors=tuple(self._filled(empty, forms, sums)))

    def _filled(self, empty: Nested, forms: Sequence[tuple[Tensor, bool, bool]], sums: Sequence[int]) -> list[Tensor]:
        """The tensors with what each capacity adds."""
        levels = [empty.levels_of(tensor) for tensor, _, _ in forms]
        values = [np.zeros(0 if own else one.shape, "<f2") for one, (_, own, _) in zip(levels, forms, strict=True)]
        own: list[list[Half]] = [[] for _ in forms]
        scales: list[list[Half]] = [[] for _ in forms]
        for capacity in range(1, empty.count + 1):
            begun = self._value
            for number, (tensor, is_own, is_scaled) in enumerate(forms):
                rows = empty.width(tensor.rows, capacity)
                if is_scaled:
                    scales[number].append(self._floats(rows))
                if is_own:
                    own[number].append(self._floats(rows))
                else:
                    mine = levels[number] == capacity
                    values[number][mine] = self._floats(int(mine.sum()))
            if zlib.crc32(self._data[begun : self._value]) != sums[capacity - 1]:
                raise _corrupt(f"the check sum of capacity {capacity} does not match what it adds")
        if self._value != len(self._data):
            raise _corrupt(f"{len(self._data) - self._value} bytes after the last capacity")
        return [
            replace(tensor, values=values[n], own=tuple(own[n]), scales=tuple(scales[n]))
            for n, (tensor, _, _) in enumerate(forms)
        ]

    def _levels(self, count: int) -> Levels:
        found: list[int] = []
        for _ in range(self._many()):
            length, level = self._varint(), self._byte()
            self._channels += length
            if not 1 <= level <= count or length < 1 or self._channels > 4 * len(self._data):
                raise _corrupt(f"{length} channels of level {level}, of {count} capacities")
            found += [level] * length
        if 1 not in found:
            raise _corrupt("the smallest capacity has none of the channels of a list")
        return tuple(found)

    def _form(self, lists: Sequence[Levels]) -> tuple[Tensor, bool, bool]:
        """A tensor without values; whether it is each capacity's own, and whether its rows have scales."""
        tag = self._byte()
        matrix, own, scaled = bool(tag & MATRIX), bool(tag & OWN), bool(tag & SCALED)
        if tag > 15 or (matrix and own) or (scaled and not matrix):
            raise _corrupt(f"a tensor of kind {tag}")
        rows = self._list(lists)
        columns, kernel = (self._list(lists), self._varint()) if matrix else (None, 1)
        size = len(lists[rows]) * (len(lists[columns]) if columns is not None else 1) * kernel
        self._values += size
        if not kernel or self._values > len(self._data):
            raise _corrupt(f"a tensor of {size:,} values in {len(self._data):,} bytes")
        return Tensor(rows, columns, kernel, typed=bool(tag & TYPED)), own, scaled

    def _list(self, lists: Sequence[Levels]) -> int:
        which = self._varint()
        if which >= len(lists):
            raise _corrupt(f"list {which} of {len(lists)}")
        return which

    def _many(self) -> int:
        """How many follow, each of at least a byte."""
        many = self._varint()
        if many > len(self._head) - self._at:
            raise _corrupt(f"{many:,} entries in {len(self._head) - self._at:,} bytes")
        return many

    def _floats(self, many: int) -> Half:
        end = self._value + 2 * many
        if end > len(self._data):
            raise _corrupt("the package ends too early")
        found = np.frombuffer(self._data, "<f2", many, self._value)
        if not np.isfinite(found).all():
            raise _corrupt("the package holds values that are not finite")
        self._value = end
        return found

    def _take(self, count: int) -> bytes:
        found = self._head[self._at : self._at + count]
        if len(found) < count:
            raise _corrupt("the package's head ends too early")
        self._at += count
        return found

    def _byte(self) -> int:
        return self._take(1)[0]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte & 0x80:
                continue
            if (byte == 0 and shift) or value > LONGEST * 2 + 1:
                raise _corrupt("a number that is longer than it need be, or too large")
            return value
        raise _corrupt("a number of more than 5 bytes")


def _corrupt(what: str) -> CorruptData:
    return CorruptData(what, _AGAIN)


def _varint(value: int) -> bytes:
    if not 0 <= value <= 2 * LONGEST + 1:
        raise ValueError(f"{value} is not a number that the format can hold")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _folded(value: int) -> int:
    """Zigzag: small numbers of either sign are small."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unfolded(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -((value + 1) >> 1)


def _runs(levels: Sequence[int]) -> list[tuple[int, int]]:
    found: list[list[Any]] = []
    for level in levels:
        if found and found[-1][1] == level:
            found[-1][0] += 1
        else:
            found.append([1, level])
    return [(length, level) for length, level in found]
