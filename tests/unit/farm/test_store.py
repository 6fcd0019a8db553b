"""Files that come to a host by their SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench.errors import CorruptData, DiskFull
from bench.farm.messages import FILE_MAX
from bench.farm.store import Store

DATA = bytes(range(256)) * 8
NAME = hashlib.sha256(DATA).hexdigest()


def send(store: Store, data: bytes = DATA, name: str = NAME, part: int = 500, who: str = "me") -> None:
    for offset in range(0, len(data), part):
        store.add(name, len(data), offset, data[offset : offset + part], who)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_comes_in_parts_is_there_when_it_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(NAME, len(DATA), 0, DATA[:1000], "me")
    assert store.find(NAME, len(DATA)) is None
    store.add(NAME, len(DATA), 1000, DATA[1000:], "me")
    found = store.find(NAME, len(DATA))
    assert found
    assert found.read_bytes() == DATA
    assert files(tmp_path) == [NAME]


def test_another_content_than_was_said_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(CorruptData, match="another SHA-256"):
        send(store, DATA[:-1] + b"x")
    assert files(tmp_path) == []


def test_parts_that_do_not_follow_or_are_too_much_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for offset, data in ((1, DATA[1:]), (0, DATA + b"x")):
        with pytest.raises(CorruptData, match="is not what follows"):
            store.add(NAME, len(DATA), offset, data, "me")
    with pytest.raises(CorruptData):
        store.add(NAME, FILE_MAX + 1, 0, DATA, "me")
    assert files(tmp_path) == []


def test_two_senders_of_one_file_do_not_mix_their_parts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(NAME, len(DATA), 0, DATA[:1000], "one")
    send(store, who="two")
    store.add(NAME, len(DATA), 1000, DATA[1000:], "one")
    assert store.find(NAME, len(DATA))


def test_a_file_that_was_damaged_is_not_there_any_more(tmp_path: Path) -> None:
    store = Store(tmp_path)
    send(store)
    (tmp_path / NAME).write_bytes(DATA[:-1] + b"x")
    assert store.find(NAME, len(DATA)) is None
    send(store)
    assert store.find(NAME, len(DATA))


def test_what_was_not_used_for_longest_goes_when_room_is_needed(tmp_path: Path) -> None:
    store = Store(tmp_path, room=2 * len(DATA))
    names = []
    for number in range(3):
        data = bytes([number]) * len(DATA)
        names.append(hashlib.sha256(data).hexdigest())
        send(store, data, names[-1])
        store.find(names[0], len(DATA))  # the first is used all the time
    assert files(tmp_path) == sorted([names[0], names[2]])
    with pytest.raises(DiskFull):
        store.add(NAME, 3 * len(DATA), 0, DATA, "me")
