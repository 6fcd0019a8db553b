"""The few facts of an ONNX file that measuring it takes: its inputs, opset, and the files its weights are in.

Read straight from protobuf's wire format (https://protobuf.dev/programming-guides/encoding) and onnx.proto, so that
the `onnx` package is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import CorruptData, UsageError

_FLOAT, _INT32, _INT64 = 1, 6, 7
_FIX = "Export the network to ONNX again."


@dataclass(frozen=True)
class Input:
    """One input: `shape` has the batch axis too, None for an extent that is left open; `integer` says which dtype."""

    name: str
    shape: tuple[int | None, ...] | None
    integer: bool


@dataclass(frozen=True)
class Facts:
    """`external` are the files beside the network that hold weights, as the file names them."""

    inputs: tuple[Input, ...]
    opset: int
    external: tuple[str, ...]


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with `head` can be an ONNX model: a version, then fields that a ModelProto has."""
    if len(head) < 4 or head[0] != 0x08 or not 1 <= head[1] <= 30:
        return False
    return head[2] >> 3 in range(2, 26) and head[2] & 7 in (0, 2)


def read(path: Path) -> Facts:
    """The facts of an ONNX file. Raises CorruptData for anything else."""
    try:
        return _facts(memoryview(path.read_bytes()))
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise CorruptData(f"{path} is not a whole ONNX file: {error}", _FIX) from None


def _facts(model: memoryview) -> Facts:
    opset, graph = 0, None
    for field, value in _fields(model):
        if field == 7:
            graph = _bytes(value)
        elif field == 8:
            domain, version = _opset(_bytes(value))
            opset = version if domain in ("", "ai.onnx") else opset
    if graph is None:
        raise ValueError("it has no graph")
    inputs: list[Input] = []
    weights: set[str] = set()
    external: list[str] = []
    for field, value in _fields(graph):
        if field == 11:
            inputs.append(_input(_bytes(value)))
        elif field == 5:
            name, location = _initializer(_bytes(value))
            weights.add(name)
            external += [location] if location else []
    return Facts(tuple(given for given in inputs if given.name not in weights), opset, tuple(dict.fromkeys(external)))


def _opset(message: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for field, value in _fields(message):
        if field == 1:
            domain = _text(value)
        elif field == 2:
            version = _number(value)
    return domain, version


def _initializer(message: memoryview) -> tuple[str, str]:
    """A weight's name, and the file that has its values where that is another."""
    name, location, is_external = "", "", False
    for field, value in _fields(message):
        if field == 8:
            name = _text(value)
        elif field == 14:
            is_external = _number(value) == 1
        elif field == 13:
            entry = {number: _text(text) for number, text in _fields(_bytes(value)) if number in (1, 2)}
            if entry.get(1) == "location":
                location = entry.get(2, "")
    return name, location if is_external else ""


def _input(message: memoryview) -> Input:
    name, shape, kind = "", None, _FLOAT
    for field, value in _fields(message):
        if field == 1:
            name = _text(value)
        elif field == 2:
            for outer, tensor in _fields(_bytes(value)):
                for inner, part in _fields(_bytes(tensor)) if outer == 1 else ():
                    if inner == 1:
                        kind = _number(part)
                    elif inner == 2:
                        shape = tuple(_extent(_bytes(dim)) for number, dim in _fields(_bytes(part)) if number == 1)
    if kind not in (_FLOAT, _INT32, _INT64):
        raise UsageError(
            f"the ONNX network's input {name[:40]!r} is neither float32 nor whole numbers (ONNX type {kind})",
            "Export it with float32 inputs.",
        )
    return Input(name, shape, kind != _FLOAT)


def _extent(message: memoryview) -> int | None:
    known = next((_number(value) for field, value in _fields(message) if field == 1), None)
    return known if known is not None and 0 < known < 2**31 else None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of every field: a whole number, or bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield field, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"byte {at} is not protobuf")
        if field == 0 or length > len(message) - at:
            raise ValueError("it ends too early")
        yield field, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number has no end")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number is where a message should be")
    return value


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("a message is where a number should be")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode()
