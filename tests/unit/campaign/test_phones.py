"""How a connected device is listed, and which ones a run takes."""

import pytest

from bench.campaign import phones
from bench.campaign.phones import Row
from bench.errors import NoDevice
from bench.records import Progress
from tests.unit.devices.test_adb_protocol import server


@pytest.mark.parametrize(
    ("virtual", "what"), [(True, "Pixel (virtual)"), (False, "Pixel"), (None, "Pixel (real or virtual: unknown)")]
)
def test_a_row_says_whether_a_device_is_real(virtual: bool | None, what: str) -> None:
    row = Row("abc", "device", "Pixel", ("arm64-v8a",), 4 << 30, virtual)
    assert row.cells()[:4] == ("abc", "device", what, "arm64-v8a")


def test_a_device_that_cannot_be_asked_has_its_state_alone() -> None:
    assert Row("abc", "unauthorized").cells() == ("abc", "unauthorized", "", "", "", "")


class Stages:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def stage(self, title: str) -> Progress:
        return lambda fraction, note: None

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def test_all_are_those_that_are_ready_and_the_others_are_named() -> None:
    stages = Stages()
    with server("abc\tdevice\ndef\toffline\nghi\tunauthorized\njkl\tdevice\n") as found:
        assert [one.serial for one in phones.chosen(found, ["all"], stages)] == ["abc", "jkl"]
    assert stages.notes == ["def is left out: offline", "ghi is left out: unauthorized"]


def test_all_of_none_that_is_ready_is_an_error() -> None:
    stages = Stages()
    with server("def\toffline\n") as found, pytest.raises(NoDevice, match="no phone is ready"):
        phones.chosen(found, ["all"], stages)
    assert stages.notes == ["def is left out: offline"]


def test_a_device_in_use_says_what_the_adb_server_knows_and_that_nothing_else_was_asked() -> None:
    row = Row("abc", "device", "Pixel 8", virtual=None, held="ann's `bench run` (process 7)")
    assert row.cells() == (
        "abc", "device", "Pixel 8 (real or virtual: unknown)", "not asked", "not asked",
        "in use by ann's `bench run` (process 7)",
    )  # fmt: skip
