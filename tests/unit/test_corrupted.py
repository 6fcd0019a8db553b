"""How drift is asked for."""

from __future__ import annotations

import pytest

from bench.corrupted import asked, words
from bench.errors import UnknownName, UsageError

KNOWN = ("noise", "blur", "fog")
EVERY = (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (["all"], {"noise": EVERY, "blur": EVERY, "fog": EVERY}),
        (["blur", "noise:3"], {"noise": (3,), "blur": EVERY}),
        (["fog:5", "fog:1", "fog:5"], {"fog": (1, 5)}),
        (["all:2", "blur"], {"noise": (2,), "blur": EVERY, "fog": (2,)}),
        ([], {}),
    ],
)
def test_names_severities_and_all_are_understood(text: list[str], found: dict[str, tuple[int, ...]]) -> None:
    assert asked(text, KNOWN) == found
    assert asked(words(found), KNOWN) == found


@pytest.mark.parametrize("text", ["noise:", "noise:0", "noise:6", "noise:x", "noise:1-3", "noise:３", "all:9"])
def test_a_severity_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no severity from 1 to 5"):
        asked([text], KNOWN)


def test_an_unknown_corruption_is_refused_with_its_neighbours() -> None:
    with pytest.raises(UnknownName) as refused:
        asked(["nois"], KNOWN)
    assert "noise" in f"{refused.value.what} {refused.value.fix}"
