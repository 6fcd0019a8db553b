"""Widths as a person writes them."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import width
from bench.errors import UsageError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1/4", "1/4"),
        ("2/8", "1/4"),
        (0.25, "1/4"),
        ("0.25", "1/4"),
        (".5", "1/2"),
        (1, "1"),
        (1.0, "1"),
        ("auto", "auto"),
    ],
)
def test_one_width_has_one_form(written: object, meant: str) -> None:
    assert width.canonical(written) == meant


@pytest.mark.parametrize(
    "written",
    ["", "0", "0/4", "5/4", "1/0", "1/00", "-1/4", "1/-4", "2", "nan", "inf", "1e-999999", "automatic", "1/4/2", True,
     None, [0.5], "1" * 50, "1 /4", "١/٤"],
)  # fmt: skip
def test_what_is_no_part_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a width"):
        width.canonical(written)
    with pytest.raises(UsageError):
        width.of(written)


@given(st.fractions(min_value=0, max_value=1, max_denominator=4096).filter(bool))
def test_every_part_is_read_back(part: Fraction) -> None:
    assert width.fraction(str(width.canonical(str(part)))) == part


@given(st.text(max_size=60))
def test_any_text_is_a_part_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 < width.fraction(text) <= 1


def test_layers_have_widths_of_their_own() -> None:
    table = width.canonical({"inc.0": 0.5, "outc": "1/8"})
    assert table == {"inc.0": "1/2", "outc": "1/8"}
    assert (width.shown(table), width.shown("1/4")) == ("1/2 of inc.0, 1/8 of outc", "1/4")
    assert [width.short(one) for one in (table, "1/4", "1/3", "auto")] == ["layers", "0.25", "0.3333", "auto"]
    assert width.shown(dict.fromkeys("abcde", "1/2")) == "1/2 of a, 1/2 of b, 1/2 of c and of 2 others"
    assert not width.is_whole(table)
    assert width.is_whole({"a": "1"})
    with pytest.raises(ValueError, match="at least one layer"):
        width.canonical({})
