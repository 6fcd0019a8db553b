"""The cache: a thing is made once, and made again when its files are no longer what was made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cache import Cache

MADE = {"artifact.json": b"{}", "deep/weights.bin": b"weights" * 100}


class Maker:
    """Fills a folder, and counts how often."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.times = files, 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    """One bit, and the file looks as old as before."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name in (*MADE, ".manifest.json") for damage in (emptied, flipped, piped)]
    + [(name, Path.unlink) for name in MADE],
)
def test_a_damaged_thing_is_made_again_and_this_is_said(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    cache, make = Cache(tmp_path), Maker(MADE)
    folder = cache.build("artifacts", "key", make)
    damage(folder / name)
    again = Cache(tmp_path)
    assert again.build("artifacts", "key", make) == folder
    assert make.times == 2
    assert {name: (folder / name).read_bytes() for name in MADE} == MADE
    assert again.notes == [f"{folder} was damaged and was made again"]


def test_a_whole_thing_is_made_once(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path), Maker(MADE)
    folder = cache.build("artifacts", "key", make)
    (folder / "deep" / "weights.bin").touch()
    assert cache.build("artifacts", "key", make) == folder
    assert (make.times, cache.notes) == (1, [])


def test_of_a_tree_only_what_has_another_time_is_hashed(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path), Maker({f"{number}.h": b"text" for number in range(100)})
    folder = cache.build("source", "key", make)
    flipped(folder / "7.h")
    cache.build("source", "key", make)
    assert make.times == 1
    (folder / "7.h").touch()
    cache.build("source", "key", make)
    assert make.times == 2


def test_a_make_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Cache(tmp_path).build("artifacts", "key", fails)
    assert [path.name for path in (tmp_path / "artifacts").iterdir() if path.is_dir()] == []
