"""How a connected device is listed."""

import pytest

from bench.campaign.phones import Row


@pytest.mark.parametrize(
    ("virtual", "what"), [(True, "Pixel (virtual)"), (False, "Pixel"), (None, "Pixel (real or virtual: unknown)")]
)
def test_a_row_says_whether_a_device_is_real(virtual: bool | None, what: str) -> None:
    row = Row("abc", "device", "Pixel", ("arm64-v8a",), 4 << 30, virtual)
    assert row.cells()[:4] == ("abc", "device", what, "arm64-v8a")


def test_a_device_that_cannot_be_asked_has_its_state_alone() -> None:
    assert Row("abc", "unauthorized").cells() == ("abc", "unauthorized", "", "", "", "")


def test_a_device_in_use_says_what_the_adb_server_knows_and_that_nothing_else_was_asked() -> None:
    row = Row("abc", "device", "Pixel 8", virtual=None, held="ann's `bench run` (process 7)")
    assert row.cells() == (
        "abc", "device", "Pixel 8 (real or virtual: unknown)", "not asked", "not asked",
        "in use by ann's `bench run` (process 7)",
    )  # fmt: skip
