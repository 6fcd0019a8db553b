"""What is below a folder of a phone, asked of this host, which has the same tools."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.campaign import listing
from bench.devices.host import HostTransport
from bench.errors import DeviceRefused, UsageError

ODD = (b"new\nline.png", b"a\ttab.png", b"caf\xe9.png", b"it's $(odd); *.png", b"two  blanks.png", b"\xe2\x80\xae.png")


@pytest.fixture
def host(tmp_path: Path) -> HostTransport:
    return HostTransport(tmp_path / "host")


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """A file of one byte under each odd name, the next a second older, and as many in a folder with such a name."""
    folder = tmp_path / "camera"
    for place in (folder, folder / "in\nside"):
        place.mkdir()
        for at, name in enumerate(ODD):
            path = os.fsencode(place) + b"/" + name
            with open(path, "wb") as file:
                file.write(b"x" * (at + 1))
            os.utime(path, (1_700_000_000 - at,) * 2)
    return folder


def found(host: HostTransport, folder: Path) -> tuple[list[listing.File], list[listing.Passed]]:
    return listing.files(host, str(folder), lambda share, words: None)


def test_every_name_that_a_file_system_takes_is_listed_with_its_own_size_and_time(
    host: HostTransport, camera: Path
) -> None:
    files, passed = found(host, camera)
    assert passed == []
    told = {os.fsencode(file.path): (file.size, file.time) for file in files}
    base = os.fsencode(camera)
    assert told == {
        base + inside + name: (at + 1, 1_700_000_000 - at)
        for inside in (b"/", b"/in\nside/")
        for at, name in enumerate(ODD)
    }
    shown = [listing.shown(file.path) for file in files]
    assert len(set(shown)) == len(ODD) * 2
    assert all(name.isprintable() for name in shown)


def test_a_phone_without_od_says_its_ordinary_names_and_of_the_others_that_it_cannot(
    host: HostTransport, camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "od").write_text("#!/bin/sh\necho od: not found\nexit 127\n")
    (tools / "od").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    files, passed = found(host, camera)
    names = {file.path.removeprefix(f"{camera}/") for file in files}
    assert names == {"a\ttab.png", "it's $(odd); *.png", "two  blanks.png", "\u202e.png"}
    assert "the phone cannot say its name" in {one.why for one in passed}


def test_many_long_names_are_asked_for_in_questions_that_old_phones_take(host: HostTransport, tmp_path: Path) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}{chr(39) * 200}.png").write_bytes(b"x" * number)
    files, passed = found(host, folder)
    assert passed == []
    assert {(file.path.rpartition("/")[2].partition("'")[0], file.size) for file in files} == {
        (str(number), number) for number in range(60)
    }


def test_hidden_files_are_passed_and_an_empty_folder_is_nothing_to_complain_of(
    host: HostTransport, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    assert found(host, folder) == ([], [])
    (folder / ".trash").mkdir()
    (folder / ".trash" / "a.png").touch()
    assert [one.why for one in found(host, folder)[1]] == ["it is hidden (thumbnails, the trash)"]


def test_what_is_no_folder_is_refused(host: HostTransport, tmp_path: Path) -> None:
    with pytest.raises((UsageError, DeviceRefused), match="is not a folder"):
        found(host, tmp_path / "none")
