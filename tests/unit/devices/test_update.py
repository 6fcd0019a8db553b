"""Updates of files: made here, made whole again here and, by the same document, by the native runner (tests/e2e)."""

from __future__ import annotations

import hashlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.devices import update
from bench.errors import CorruptData


@given(st.binary(max_size=70), st.binary(max_size=70))
def test_an_update_gives_the_new_file_whatever_the_old_one_was(old: bytes, new: bytes) -> None:
    assert update.applied(update.smallest(new, old), old) == new


def test_fine_tuned_weights_come_in_fewer_bytes_than_they_have() -> None:
    random = np.random.default_rng(1)
    before = random.standard_normal(20_000).astype(np.float16)
    after = (before + 0.01 * random.standard_normal(20_000)).astype(np.float16)
    apart = update.smallest(after.tobytes(), before.tobytes())
    assert len(apart) < 0.6 * after.nbytes
    assert len(apart) < 0.7 * len(update.smallest(after.tobytes()))


def test_an_update_is_for_the_file_that_it_was_made_from_alone() -> None:
    made = update.smallest(b"new content", b"old content")
    with pytest.raises(CorruptData, match="another file"):
        update.applied(made, b"old c0ntent")
    with pytest.raises(CorruptData, match="another file"):
        update.applied(made)


@pytest.mark.parametrize(
    "damage",
    [
        lambda made: made[:50],
        lambda made: made[:-6],
        lambda made: b"BUPE" + made[4:],
        lambda made: made[:4] + b"\2" + made[5:],
        lambda made: made[:8] + b"\3" + made[9:],
        lambda made: made[:24] + struct.pack("<Q", 1 << 60) + made[32:],
        lambda made: made[:64] + hashlib.sha256(b"else").digest() + made[96:],
        lambda made: made[:96] + zlib.compress(b"x" * 11),
    ],
    ids=["cut in its head", "cut", "magic", "version", "word", "size", "digest", "content"],
)
def test_a_damaged_update_is_refused(damage: object) -> None:
    made = update.smallest(b"new content", b"old content")
    assert callable(damage)
    with pytest.raises(CorruptData):
        update.applied(damage(made), b"old content")
