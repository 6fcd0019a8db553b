"""The `.frq` package: written as the document says, read back exactly, refused when it is anything else."""

from __future__ import annotations

import contextlib
import math
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.compress.frequency import order, package
from bench.compress.frequency.package import Package, Tensor
from bench.errors import CorruptData


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=5)))
    elements = math.prod(shape)
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    int8 = draw(st.booleans())
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    transposed = len(shape) >= 2 and draw(st.booleans())
    kind = draw(st.sampled_from(["raw", "prefix", "explicit"]))
    if kind == "raw":
        return Tensor(shape, random.normal(size=elements).astype(dtype), "raw", None, draw(st.booleans()), transposed)
    kept = draw(st.integers(1, elements))
    values = random.integers(-127, 128, kept).astype(np.int8) if int8 else random.normal(size=kept).astype(dtype)
    scale = np.float16(draw(st.floats(2**-24, 65504, width=16))) if int8 else None
    if kind == "prefix":
        return Tensor(shape, values, "prefix", transposed=transposed, scale=scale)
    positions = np.sort(random.choice(elements, kept, replace=False)).astype(np.int64)
    return Tensor(shape, values, "explicit", positions, transposed=transposed, scale=scale)


# Few different tensors, many in all: then some share a form or an extent with one before, near or too far.
REPEATED = st.lists(tensors(), min_size=1, max_size=4).flatmap(
    lambda few: st.lists(st.sampled_from(few), min_size=1, max_size=25)
)
PLAIN = st.builds(Package, st.text(max_size=40), REPEATED.map(tuple))


@st.composite
def nested(draw: st.DrawFn) -> Package:
    """A package with capacities: parts of every tensor of coefficients, values for each of some of the rest."""
    plain, capacities = draw(PLAIN), draw(st.integers(2, 5))
    several: dict[int, Tensor] = {}
    for tensor in plain.tensors:
        if tensor.kind == "raw" and draw(st.booleans()):
            several[id(tensor)] = replace(tensor, kind="each", values=np.tile(tensor.values, capacities))
        elif tensor.kind == "raw":
            several[id(tensor)] = tensor
        else:
            kept = len(tensor.values)
            few = draw(st.lists(st.integers(1, kept), min_size=capacities - 1, max_size=capacities - 1))
            several[id(tensor)] = replace(tensor, parts=(*sorted(few), kept))
    return Package(plain.name, tuple(several[id(tensor)] for tensor in plain.tensors), capacities)


PACKAGES = PLAIN | nested()


def sealed(body: bytes, magic: bytes = b"FRQ2") -> bytes:
    return magic + struct.pack("<I", zlib.crc32(body)) + body


SMALL = Package(
    "n",
    (
        Tensor((2, 300), np.array([1.5, -2.0, 0.25], np.float16), "explicit", np.array([0, 5, 400])),
        Tensor((3,), np.array([1, 2, 3], np.float32), "raw", vector=True),
        Tensor((6, 4, 3, 3), np.arange(7).astype(np.float16), "prefix", transposed=True),
        Tensor((3,), np.array([4, 5, 6], np.float32), "raw", vector=True),
        Tensor((3, 12, 3, 3), np.arange(7).astype(np.float16), "prefix", transposed=True),
        Tensor((12, 6, 3, 3), np.arange(7).astype(np.float16), "prefix", transposed=True),
    ),
)


SMALL_INT8 = Package(
    "n",
    (
        Tensor((2, 300), np.array([127, -127, 3], np.int8), "explicit", np.array([0, 5, 400]), scale=np.float16(0.25)),
        Tensor((3,), np.array([1, 2, 3], np.float32), "raw", vector=True),
        Tensor((6, 4, 3, 3), np.arange(7).astype(np.int8), "prefix", transposed=True, scale=np.float16(3e-5)),
        Tensor((12, 6, 3, 3), np.arange(7).astype(np.float16), "prefix", transposed=True),
    ),
)


SMALL_NESTED = Package(
    "n",
    (
        Tensor((2, 300), np.array([1.5, -2, 4], np.float16), "explicit", np.array([0, 5, 400]), parts=(1, 3, 3)),
        Tensor((3,), np.arange(9).astype(np.float32), "each", vector=True),
        Tensor((6, 4, 3, 3), np.arange(7).astype(np.float16), "prefix", transposed=True, parts=(2, 5, 7)),
        Tensor((3,), np.array([4, 5, 6], np.float32), "raw", vector=True),
        Tensor((3, 12, 3, 3), np.arange(7).astype(np.float16), "prefix", transposed=True, parts=(2, 5, 7)),
        Tensor((3, 9), np.arange(7).astype(np.int8), "prefix", scale=np.float16(0.25), parts=(1, 6, 7)),
    ),
    3,
)
EVERY = (SMALL, SMALL_INT8, SMALL_NESTED)
"""One of each format."""


@given(PACKAGES)
def test_round_trip_is_exact(original: Package) -> None:
    found = package.read(package.write(original))
    assert found.name == original.name
    assert found.capacities == original.capacities
    assert len(found.tensors) == len(original.tensors)
    for a, b in zip(found.tensors, original.tensors, strict=True):
        assert (a.shape, a.kind, a.vector, a.transposed) == (b.shape, b.kind, b.vector, b.transposed)
        assert a.values.dtype == b.values.dtype
        assert a.values.tobytes() == b.values.tobytes()
        assert a.scale == b.scale
        assert a.parts == b.parts
        assert (a.positions is None) == (b.positions is None)
        assert a.positions is None or a.positions.tolist() == b.positions.tolist()  # type: ignore[union-attr]
    assert package.write(found) == package.write(original)


def test_the_documents_example_is_true() -> None:
    """Its bytes are what is written for the five tensors that its words describe."""
    page = Path("docs/formats/frq.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\n(46 52 51 32 .*?)^```", page, re.DOTALL | re.MULTILINE)
    data = bytes.fromhex(" ".join(re.split(r"\s{2,}", line)[0] for line in block.splitlines()))
    half, single = np.float16, np.float32
    tiny = Package(
        "tiny",
        (
            Tensor((4, 2, 3, 3), np.array([1.5, -2, 0.25], half), "prefix"),
            Tensor((4,), np.array([0, 1, -1, 0.5], half), "raw", vector=True),
            Tensor((8, 4, 3, 3), np.array([1, 0.5, -0.5], half), "prefix"),
            Tensor((8, 4, 2, 2), np.array([3], half), "prefix", transposed=True),
            Tensor((10, 4), np.array([1, -1], single), "explicit", np.array([0, 7])),
        ),
    )
    assert package.write(tiny) == data
    assert tiny.tensors[0].coordinates().tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    assert tiny.tensors[-1].coordinates().tolist() == [[0, 0], [1, 2]]


def test_the_documents_example_of_8_bits_is_true() -> None:
    page = Path("docs/formats/frq.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\n(46 52 51 33 .*?)^```", page, re.DOTALL | re.MULTILINE)
    data = bytes.fromhex(" ".join(re.split(r"\s{2,}", line)[0] for line in block.splitlines()))
    half = np.float16
    tiny = Package(
        "tiny",
        (
            Tensor((4, 2, 3, 3), np.array([127, -8, 1], np.int8), "prefix", scale=half(0.25)),
            Tensor((4,), np.array([0, 1, -1, 0.5], half), "raw", vector=True),
            Tensor((8, 4, 3, 3), np.array([100, -127, 3], np.int8), "prefix", scale=half(0.5)),
        ),
    )
    assert package.write(tiny) == data
    assert package.read(data).tensors[0].numbers.tolist() == [31.75, -2, 0.25]


def test_the_documents_example_of_capacities_is_true() -> None:
    page = Path("docs/formats/frq.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\n(46 52 51 34 .*?)^```", page, re.DOTALL | re.MULTILINE)
    data = bytes.fromhex(" ".join(re.split(r"\s{2,}", line)[0] for line in block.splitlines()))
    half = np.float16
    tiny = Package(
        "tiny",
        (
            Tensor((4, 2, 3, 3), np.array([1.5, -2, 0.25], half), "prefix", parts=(1, 3)),
            Tensor((4,), np.array([0, 1, -1, 0.5, 0, 2, -2, 1], half), "each", vector=True),
            Tensor((8, 4, 3, 3), np.array([1, 0.5, -0.5], half), "prefix", parts=(1, 3)),
        ),
        2,
    )
    assert package.write(tiny) == data
    assert package.read(data).at(1).tensors[0].numbers.tolist() == [1.5]


def test_only_a_package_with_something_in_8_bits_is_of_format_3() -> None:
    """Readers from before there were 8 bits go on reading all others."""
    assert package.write(SMALL).startswith(b"FRQ2")
    assert package.write(SMALL_INT8).startswith(b"FRQ3")


def test_only_a_package_with_capacities_is_of_format_4_and_each_of_them_is_a_package_of_its_own() -> None:
    assert package.write(SMALL_NESTED).startswith(b"FRQ4")
    for capacity in (1, 2, 3):
        own = SMALL_NESTED.at(capacity)
        assert package.write(own).startswith(b"FRQ3")
        assert [len(tensor.values) for tensor in own.tensors] == [
            (1, 3, 3)[capacity - 1], 3, (2, 5, 7)[capacity - 1], 3, (2, 5, 7)[capacity - 1], (1, 6, 7)[capacity - 1],
        ]  # fmt: skip
        assert own.tensors[1].values.tolist() == [3 * capacity - 3, 3 * capacity - 2, 3 * capacity - 1]


@settings(max_examples=30, deadline=None)
@given(nested())
def test_every_capacity_is_the_first_coefficients_of_the_next(original: Package) -> None:
    for capacity in range(1, original.capacities):
        smaller, larger = original.at(capacity), original.at(capacity + 1)
        assert package.read(package.write(smaller)).coefficients == smaller.coefficients
        for a, b in zip(smaller.tensors, larger.tensors, strict=True):
            assert a.shape == b.shape
            if a.kind != "raw":
                assert a.numbers.tolist() == b.numbers[: len(a.numbers)].tolist()
                assert a.coordinates().tolist() == b.coordinates()[: len(a.numbers)].tolist()


@given(st.data())
def test_a_damaged_package_is_refused(data: st.DataObject) -> None:
    whole = package.write(data.draw(st.sampled_from(EVERY)))
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(flipped), whole[:place], whole + bytes(1 + place)):
        with pytest.raises(CorruptData):
            package.read(damaged)


@given(st.data())
def test_a_lying_package_with_a_true_check_sum_is_read_or_refused(data: st.DataObject) -> None:
    """Whoever damages a package may compute its check sum anew: no other error, no boundless work."""
    whole = package.write(data.draw(st.sampled_from(EVERY)))
    body = bytearray(whole[8:])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CorruptData):
        found = package.read(sealed(bytes(body), whole[:4]))
        assert package.read(package.write(found)).name == found.name


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for magic in (b"FRQ3", b"FRQ4"):
        with contextlib.suppress(CorruptData):
            package.read(sealed(body, magic))
    with contextlib.suppress(CorruptData):
        package.read(sealed(body))


def one(*parts: bytes, head: int = 0, magic: bytes = b"FRQ2") -> bytes:
    """A sealed package of one tensor that begins with `head`."""
    return sealed(bytes([0, 1, head]) + b"".join(parts), magic)


def one_in_8_bits(scale: bytes, values: bytes, tag: int = 0x29) -> bytes:
    return one(bytes([tag, len(values), 4]), scale, values, magic=b"FRQ3")


HALF = bytes(2)


def nesting(*parts: bytes) -> bytes:
    """A sealed package of one tensor in two capacities."""
    return sealed(bytes([0, 1, 2, 0]) + b"".join(parts), b"FRQ4")


HUGE = b"\0\x21\x01" + b"\x80\x80\x80\x80\x04" + HALF
"""A tensor of 2^30 elements that keeps one."""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "ends inside its magic"),
        (b"FRQ1" + bytes(20), "not a .frq package"),
        (b"FRQ5" + bytes(20), r"not a .frq package of format 2 to 4 \(FRQ2 … FRQ4\): it is of format '5'"),
        (b"PNG2" + bytes(20), "it starts otherwise"),
        (one(b"\x29\x01\x01", b"\x00\x34\x7f"), "tag without meaning"),  # 8 bits in format 2
        (one_in_8_bits(b"\x00\x34", b"\x01", tag=0x2D), "tag without meaning"),  # and 32 of them
        (one_in_8_bits(b"\x00\x00", b"\x01"), "a scale or a value that 8 bits do not allow"),
        (one_in_8_bits(b"\x00\xb4", b"\x01"), "a scale or a value that 8 bits do not allow"),
        (one_in_8_bits(b"\x00\x7c", b"\x01"), "a scale or a value that 8 bits do not allow"),
        (one_in_8_bits(b"\x00\x7e", b"\x01"), "a scale or a value that 8 bits do not allow"),
        (one_in_8_bits(b"\x00\x34", b"\x01\x80"), "a scale or a value that 8 bits do not allow"),
        (one_in_8_bits(b"\x00\x34", b"\x01\x81")[:-1], "check sum"),
        (one(b"\x29\x02\x04\x00\x34\x01", magic=b"FRQ3"), "ends inside its tensor 1 values"),
        (one(b"\x29\x02\x04\x00", magic=b"FRQ3"), "ends inside its tensor 1 scale"),
        (one(b"\x21\x01\x04", HALF, magic=b"FRQ3"), "of format 3 and has nothing in 8 bits"),
        (b"FRQ2" + bytes(20), "check sum"),
        (sealed(b"\0\1\1\0\x20\1" + HALF, b"FRQ4"), "has 1 capacities; 2 to 64"),
        (sealed(b"\0\1\x41\0\x20\1" + HALF, b"FRQ4"), "has 65 capacities; 2 to 64"),
        (sealed(b"\0\1", b"FRQ4"), "ends inside its number of capacities"),
        (nesting(b"\x21\0\1\4", HALF), "keeps 0 coefficients"),
        (nesting(b"\x21\1\4\4", HALF), "keeps 5 coefficients of 4"),
        (nesting(b"\x21\1\xff\xff\xff\xff\x0f\4", HALF), "coefficients of 4"),
        (nesting(b"\x21\1\1\4", HALF), "ends inside its tensor 1 values"),
        (nesting(b"\x23\1", HALF), "ends inside its tensor 1 values"),
        (nesting(b"\x23\1", HALF, HALF, b"x"), "1 bytes after its last tensor"),
        (sealed(b"\x02\xff\xfe\x01"), "not UTF-8"),
        (sealed(b"\x00\x00"), "no tensors"),
        (sealed(b"\x00\xff\xff\xff\xff\x0f"), "ends inside its tensor 1 head"),
        (sealed(b"\x00\x81\x00"), "longer than needed"),
        (sealed(b"\x00\xff\xff\xff\xff\x1f"), "larger than 32 bits"),
        (sealed(b"\x00\xff\xff\xff\xff\xff\x01"), "larger than 32 bits"),
        (one(), "ends inside its tensor 1 tag"),
        (one(b"\x00"), "tag without meaning"),
        (one(b"\xc0"), "tag without meaning"),
        (one(b"\x23"), "tag without meaning"),
        (one(b"\x29"), "tag without meaning"),
        (one(b"\x30"), "tag without meaning"),
        (one(b"\x20\x00"), "impossible shape"),
        (one(b"\x61\x00\x01\x01\x01", HALF), "impossible shape"),
        (one(b"\x40\x80\x80\x04\x80\x80\x04"), "impossible shape"),
        (one(b"\x21\x00\x04"), "keeps 0 coefficients"),
        (one(b"\x21\x05\x04"), "keeps 5 coefficients of 4"),
        (one(b"\x20\xff\xff\xff\xff\x07"), "ends inside its tensor 1 values"),
        (one(b"\x22\x02\x04\x01\x00", HALF, HALF), "same index twice"),
        (one(b"\x22\x02\x04\x01\x03", HALF, HALF), "beyond its 4 elements"),
        (one(b"\x22\xff\xff\xff\x07\xff\xff\xff\x07\x00"), "ends inside its tensor 1 indices"),
        (one(b"\x20\x01", HALF, b"x"), "1 bytes after its last tensor"),
        (one(b"\x21\x01\x01", HALF, head=1), "form of a tensor before the first"),
        (one(b"\x21\x01\x01", HALF, head=0x10), "one axis and says more of its inputs"),
        (one(b"\x21\x01\x01", HALF, head=0xC0), "half of 1 channels"),
        (sealed(b"\x00\x02" + HUGE + b"\x81" + HALF), "tensor 2 .* impossible shape"),
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
        Tensor((4,), np.zeros(4, np.int8), "raw", scale=np.float16(1)),
        Tensor((4,), np.zeros(2, np.int8), "prefix"),
        Tensor((4,), np.zeros(2, np.float16), "prefix", scale=np.float16(1)),
        Tensor((4,), np.zeros(2, np.int8), "prefix", scale=np.float16(0)),
        Tensor((4,), np.zeros(2, np.int8), "prefix", scale=np.float16(np.inf)),
        Tensor((4,), np.full(2, -128, np.int8), "prefix", scale=np.float16(1)),
    ],
)
def test_the_writer_refuses_what_the_format_cannot_hold(tensor: Tensor) -> None:
    with pytest.raises(ValueError, match=r"tensor|values|position"):
        package.write(Package("x", (tensor,)))


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor((4,), np.zeros(2, np.float16), "prefix"),
        Tensor((4,), np.zeros(2, np.float16), "prefix", parts=(1, 1)),
        Tensor((4,), np.zeros(2, np.float16), "prefix", parts=(0, 2)),
        Tensor((4,), np.zeros(2, np.float16), "prefix", parts=(3, 2)),
        Tensor((4,), np.zeros(2, np.float16), "prefix", parts=(1, 2, 2)),
        Tensor((4,), np.zeros(4, np.float16), "raw", parts=(4, 4)),
        Tensor((4,), np.zeros(4, np.float16), "each"),
        Tensor((4,), np.zeros(8, np.int8), "each", scale=np.float16(1)),
    ],
)
def test_the_writer_refuses_capacities_that_the_format_cannot_hold(tensor: Tensor) -> None:
    with pytest.raises(ValueError, match=r"tensor|values|capacities"):
        package.write(Package("x", (tensor,), 2))
    for wrong in (0, 65):
        with pytest.raises(ValueError, match="at most 64 capacities"):
            package.write(replace(SMALL, capacities=wrong))


@given(tensors())
def test_a_weight_is_the_inverse_dct_of_its_coefficients(tensor: Tensor) -> None:
    if tensor.kind == "raw":
        expected = tensor.values.astype(np.float32).reshape(tensor.shape)
    else:
        full = np.zeros(tensor.shape)
        places = np.arange(len(tensor.values)) if tensor.positions is None else tensor.positions
        full[tuple(order.coordinates(tensor.shape, places).T)] = tensor.values * float(tensor.scale or 1)
        expected = scipy.fft.idctn(full, norm="ortho")
    np.testing.assert_allclose(tensor.weight(), expected, atol=1e-5, rtol=1e-5)
    dense = package.blob(tensor)
    assert dense.shape == (tensor.weight().swapaxes(0, 1) if tensor.transposed else tensor.weight()).shape


@given(st.floats(1e-9, 1e7))
def test_the_scale_of_8_bits_cuts_nothing_and_is_the_least(largest: float) -> None:
    scale = package.scale_of(largest)
    wanted = largest / 127
    if not scale:
        assert not 2**-14 <= wanted <= 65472
    else:
        assert wanted <= float(scale) <= wanted * (1 + 2**-9)
