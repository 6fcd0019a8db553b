"""Words from outside: nothing in them commands a terminal, and no encoding is too small for them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.text import SPELLED, visible

ANY_TEXT = st.text(st.characters())
"""Surrogates and controls included."""


@given(ANY_TEXT)
def test_nothing_that_acts_is_left(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp")]
    shown.encode()


@given(ANY_TEXT)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert visible(visible(text)) == visible(text)


def test_line_ends_may_stay() -> None:
    assert visible("a\nb\x1b[2J", lines=True) == "a\nb\\x1b[2J"
    assert visible("a\nb") == "a\\nb"


@given(ANY_TEXT, st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8"]))
def test_every_text_can_be_written_in_every_encoding(text: str, encoding: str) -> None:
    text.encode(encoding, SPELLED)


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("4.02× [3.9–4.1×]", b"4.02x [3.9-4.1x]"),
        ("−1.30 points, 12 µs", b"-1.30 points, 12 us"),
        ("✓ max |Δ| ≥ 5 → …", b"ok max |delta| >= 5 -> ..."),
        ("Café 記", b"Cafe \\u8a18"),
    ],
)
def test_signs_are_spelled_by_what_they_mean(text: str, ascii_text: bytes) -> None:
    assert text.encode("ascii", SPELLED) == ascii_text


def test_what_an_encoding_has_is_kept() -> None:
    assert "12 µs × 3 – 4".encode("latin-1", SPELLED).decode("latin-1") == "12 µs × 3 - 4"


def test_it_is_of_no_use_for_reading() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", SPELLED)
