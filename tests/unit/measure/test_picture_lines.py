"""What a launch says of its picture is believed only where it can be so."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import RunnerFailed
from bench.measure.picture_lines import picture

GOOD = {"event": "picture", "sha256": "a" * 64, "pixels": [4, 5, 3], "resized": [2, 2, 1]}


def test_a_picture_is_read() -> None:
    found = picture(GOOD)
    assert (found.sha256, found.pixels, found.resized, found.staged) == ("a" * 64, (4, 5, 3), (2, 2, 1), False)
    assert picture(GOOD | {"stages": "x"}).staged


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "A" * 64}, {"sha256": 5}, {"pixels": [4, 5]}, {"pixels": [4, 5, 2]}, {"pixels": [0, 5, 3]},
        {"resized": [1.5, 2, 3]}, {"resized": [2**20, 2**20, 3]}, {"resized": None},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RunnerFailed):
        picture(GOOD | change)
