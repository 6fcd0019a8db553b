"""An ONNX file, made without the onnx package."""

from __future__ import annotations


def convolution(
    shape: tuple[int | str, ...] = (1, 3, 8, 8), *, kind: int = 1, external: str = "", values: bytes = bytes(432)
) -> bytes:
    """A convolution in ONNX, opset 13: what onnx.proto says, field by field."""

    def field(number: int, value: int | bytes | str) -> bytes:
        if isinstance(value, int):
            return varint(number << 3) + varint(value)
        data = value.encode() if isinstance(value, str) else value
        return varint(number << 3 | 2) + varint(len(data)) + data

    def varint(value: int) -> bytes:
        out = b""
        while value > 127:
            out += bytes([value & 127 | 128])
            value >>= 7
        return out + bytes([value])

    def info(name: str, extents: tuple[int | str, ...], kind: int) -> bytes:
        dims = b"".join(field(1, field(1 if isinstance(e, int) else 2, e)) for e in extents)
        return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))

    where = field(13, field(1, "location") + field(2, external)) + field(14, 1) if external else field(9, values)
    weight = b"".join(field(1, n) for n in (4, 3, 3, 3)) + field(2, 1) + field(8, "w") + where
    node = field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Conv")
    graph = field(1, node) + field(2, "g") + field(5, weight)
    graph += field(11, info("x", shape, kind)) + field(11, info("w", (4, 3, 3, 3), 1))
    graph += field(12, info("y", (1, 4, 6, 6), 1))
    return field(1, 8) + field(2, "bench") + field(7, graph) + field(8, field(2, 13))
