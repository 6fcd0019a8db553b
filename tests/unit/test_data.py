"""The packed sample file that the runner reads."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data import packed
from bench.errors import CorruptData


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(*[st.integers(1, 5)] * 4), st.integers(0, 2**32 - 1))
def test_packed_round_trip(tmp_path: Path, shape: tuple[int, ...], seed: int) -> None:
    inputs = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    path = tmp_path / "samples.bin"
    packed.write(path, inputs)
    assert np.array_equal(packed.read(path), inputs)
    assert path.read_bytes()[:24] == struct.pack("<4s5I", b"BSMP", 1, *shape)
    assert path.stat().st_size == 24 + 4 * inputs.size


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_packed_files_are_refused(tmp_path: Path, draw: st.DataObject) -> None:
    path = tmp_path / "samples.bin"
    packed.write(path, np.zeros((2, 1, 3, 3), np.float32))
    whole = path.read_bytes()
    place = draw.draw(st.integers(0, 23))
    changed = bytearray(whole)
    changed[place] ^= draw.draw(st.integers(1, 255))
    for damaged in (bytes(changed), whole[: draw.draw(st.integers(0, len(whole) - 1))], whole + b"x"):
        path.write_bytes(damaged)
        # Exchanged dimensions are the one lie that a header can tell.
        if len(damaged) != len(whole) or np.prod(np.frombuffer(damaged[8:24], "<u4").astype(float)) != 18:
            with pytest.raises(CorruptData, match=r"samples\.bin"):
                packed.read(path)
