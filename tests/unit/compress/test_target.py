"""How small a network should become, as people say it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compress.target import Target
from bench.errors import UsageError

FORMS = "Say it as 1110x, 776 or 1.6kB."


def parsed(text: str) -> Target:
    return Target.parse(text, FORMS, ("ratio", "count", "bytes", "macs", "mac ratio"))


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("1110x", "ratio", 1110),
        (" 37.5 × ", "ratio", 37.5),
        ("776", "count", 776),
        ("7,668", "count", 7_668),
        ("12_058", "count", 12_058),
        ("1.6kB", "bytes", 1_600),
        ("2 KB", "bytes", 2_000),
        ("2764B", "bytes", 2_764),
        ("1.5 MiB", "bytes", 1_572_864),
        ("4.35MB", "bytes", 4_350_000),
        ("30 MMAC", "macs", 30_000_000),
        ("4xMAC", "mac ratio", 4),
    ],
)
def test_targets_are_read_as_people_write_them(text: str, kind: str, amount: float) -> None:
    assert parsed(text) == Target(kind, amount)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "small",
        "-5",
        "0",
        "0x",
        "0.0kB",
        "7.5",
        "1e3",
        "10 parsecs",
        "5%",
        "0.5B",
        "1.2.3kB",
        "1,6kB",
        "0,5x",
        "1234,567",
        "4 x MAC x",
    ],
)
def test_what_is_no_target_is_refused_with_the_three_forms(text: str) -> None:
    with pytest.raises(UsageError, match=r"1110x.*776.*1\.6kB"):
        parsed(text)


@given(st.text(max_size=12))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    try:
        target = parsed(text)
    except UsageError:
        return
    assert target.amount >= 0
    assert math.isfinite(target.amount)


@pytest.mark.parametrize("text", ["30MMAC", "4xMAC"])
def test_a_kind_that_a_method_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"1\.6kB"):
        Target.parse(text, FORMS)
