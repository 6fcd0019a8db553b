"""The `.frq` package: written as the document says, read back exactly, refused when it is anything else."""

from __future__ import annotations

import contextlib
import math
import struct
import zlib

import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

from bench.compress.frequency import order, package
from bench.compress.frequency.package import Package, Tensor
from bench.errors import CorruptData


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=5)))
    elements = math.prod(shape)
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    transposed = len(shape) >= 2 and draw(st.booleans())
    kind = draw(st.sampled_from(["raw", "prefix", "explicit"]))
    if kind == "raw":
        return Tensor(shape, random.normal(size=elements).astype(dtype), "raw", None, draw(st.booleans()), transposed)
    kept = draw(st.integers(1, elements))
    values = random.normal(size=kept).astype(dtype)
    if kind == "prefix":
        return Tensor(shape, values, "prefix", transposed=transposed)
    positions = np.sort(random.choice(elements, kept, replace=False)).astype(np.int64)
    return Tensor(shape, values, "explicit", positions, transposed=transposed)


PACKAGES = st.builds(Package, st.text(max_size=40), st.lists(tensors(), min_size=1, max_size=5).map(tuple))


def sealed(body: bytes) -> bytes:
    return b"FRQ1" + struct.pack("<I", zlib.crc32(body)) + body


SMALL = Package(
    "n",
    (
        Tensor((2, 300), np.array([1.5, -2.0, 0.25], np.float16), "explicit", np.array([0, 5, 400])),
        Tensor((3,), np.array([1, 2, 3], np.float32), "raw", vector=True),
        Tensor((4, 4, 3, 3), np.arange(7).astype(np.float16), "prefix", transposed=True),
    ),
)


@given(PACKAGES)
def test_round_trip_is_exact(original: Package) -> None:
    found = package.read(package.write(original))
    assert found.name == original.name
    assert len(found.tensors) == len(original.tensors)
    for a, b in zip(found.tensors, original.tensors, strict=True):
        assert (a.shape, a.kind, a.vector, a.transposed) == (b.shape, b.kind, b.vector, b.transposed)
        assert a.values.dtype == b.values.dtype
        assert a.values.tobytes() == b.values.tobytes()
        assert (a.positions is None) == (b.positions is None)
        assert a.positions is None or a.positions.tolist() == b.positions.tolist()  # type: ignore[union-attr]
    assert package.write(found) == package.write(original)


def test_bytes_are_those_of_the_document() -> None:
    body = b"\x01n" + b"\x03"
    body += bytes([0b010_0_0_0_10, 2, 0xAC, 0x02, 3, 0, 5, 0x8B, 0x03]) + np.array([1.5, -2, 0.25], "<f2").tobytes()
    body += bytes([0b001_0_1_1_00, 3]) + np.array([1, 2, 3], "<f4").tobytes()
    body += bytes([0b100_1_0_0_01, 4, 4, 3, 3, 7]) + np.arange(7).astype("<f2").tobytes()
    assert package.write(SMALL) == sealed(body)


@given(st.data())
def test_a_damaged_package_is_refused(data: st.DataObject) -> None:
    whole = package.write(SMALL)
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(flipped), whole[:place], whole + bytes(1 + place)):
        with pytest.raises(CorruptData):
            package.read(damaged)


@given(st.data())
def test_a_lying_package_with_a_true_check_sum_is_read_or_refused(data: st.DataObject) -> None:
    """Whoever damages a package may compute its check sum anew: no other error, no boundless work."""
    body = bytearray(package.write(SMALL)[8:])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CorruptData):
        found = package.read(sealed(bytes(body)))
        assert package.read(package.write(found)).name == found.name


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(CorruptData):
        package.read(sealed(body))


def tensor_body(*parts: bytes) -> bytes:
    return sealed(b"\x00\x01" + b"".join(parts))


HALF = bytes(2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "ends inside its magic"),
        (b"FRQ2" + bytes(20), "not a .frq package"),
        (b"FRQ1" + bytes(20), "check sum"),
        (sealed(b"\x02\xff\xfe\x01"), "not UTF-8"),
        (sealed(b"\x00\x00"), "no tensors"),
        (sealed(b"\x00\xff\xff\xff\xff\x0f"), "ends inside its tensor 1 tag"),
        (sealed(b"\x00\x81\x00"), "longer than needed"),
        (sealed(b"\x00\xff\xff\xff\xff\x1f"), "larger than 32 bits"),
        (sealed(b"\x00\xff\xff\xff\xff\xff\x01"), "larger than 32 bits"),
        (tensor_body(b"\x00"), "tag without meaning"),
        (tensor_body(b"\xc0"), "tag without meaning"),
        (tensor_body(b"\x23"), "tag without meaning"),
        (tensor_body(b"\x29"), "tag without meaning"),
        (tensor_body(b"\x30"), "tag without meaning"),
        (tensor_body(b"\x20\x00"), "impossible shape"),
        (tensor_body(b"\x40\x80\x80\x04\x80\x80\x04"), "impossible shape"),
        (tensor_body(b"\x21\x04\x00"), "keeps 0 coefficients"),
        (tensor_body(b"\x21\x04\x05"), "keeps 5 coefficients of 4"),
        (tensor_body(b"\x20\xff\xff\xff\xff\x07"), "ends inside its tensor 1 values"),
        (tensor_body(b"\x22\x04\x02\x01\x00", HALF, HALF), "same index twice"),
        (tensor_body(b"\x22\x04\x02\x01\x03", HALF, HALF), "beyond its 4 elements"),
        (tensor_body(b"\x22\xff\xff\xff\x07\xff\xff\xff\x07\x00"), "ends inside its tensor 1 indices"),
        (tensor_body(b"\x20\x01", HALF, b"x"), "1 bytes after its last tensor"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, words: str) -> None:
    with pytest.raises(CorruptData, match=words):
        package.read(data)


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor((2, 2), np.zeros(3, np.float16), "raw"),
        Tensor((2, 2), np.zeros(5, np.float16), "prefix"),
        Tensor((2, 0), np.zeros(0, np.float16), "raw"),
        Tensor((1,) * 6, np.zeros(1, np.float16), "raw"),
        Tensor((4,), np.zeros(2, np.float16), "explicit", np.array([3, 3])),
        Tensor((4,), np.zeros(2, np.float16), "explicit", np.array([1, 4])),
        Tensor((4,), np.zeros(2, np.float16), "prefix", vector=True),
        Tensor((4,), np.zeros(4, np.float16), "raw", transposed=True),
    ],
)
def test_the_writer_refuses_what_the_format_cannot_hold(tensor: Tensor) -> None:
    with pytest.raises(ValueError, match=r"tensor|values|position"):
        package.write(Package("x", (tensor,)))


@given(tensors())
def test_a_weight_is_the_inverse_dct_of_its_coefficients(tensor: Tensor) -> None:
    if tensor.kind == "raw":
        expected = tensor.values.astype(np.float32).reshape(tensor.shape)
    else:
        full = np.zeros(tensor.shape)
        places = np.arange(len(tensor.values)) if tensor.positions is None else tensor.positions
        full[tuple(order.coordinates(tensor.shape, places).T)] = tensor.values
        expected = scipy.fft.idctn(full, norm="ortho")
    np.testing.assert_allclose(tensor.weight(), expected, atol=1e-5)
    (dense,) = package.blobs(tensor, "dense")
    assert dense.shape == (tensor.weight().swapaxes(0, 1) if tensor.transposed else tensor.weight()).shape


@given(tensors().filter(lambda t: t.kind != "raw" and len(t.shape) >= 2))
def test_factors_multiply_to_the_dense_weight(tensor: Tensor) -> None:
    inner, core, outer = package.blobs(tensor, "factored")
    (dense,) = package.blobs(tensor, "dense")
    product = np.einsum("or,rs...,si->oi...", outer.astype(np.float64), core, inner)
    np.testing.assert_allclose(product, dense, atol=1e-5)
