"""The one ncnn that every runner is built from: its source distribution on PyPI, pinned by content."""

from __future__ import annotations

import tarfile
from pathlib import Path

from bench.cache import Cache
from bench.records import Progress
from bench.runtimes.index import Pinned, download

VERSION = "1.0.20261020"
SHA256 = "ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200"
_ARCHIVE = Pinned("ncnn", f"ncnn-{VERSION}.tar.gz", SHA256, f"the source of ncnn {VERSION}")


def fetch(cache: Cache, progress: Progress | None = None) -> Path:
    """The folder with ncnn's source, downloaded and unpacked once.

    Raises BuildFailed when no index gives it, or what it gives has another check sum.
    """

    def make(draft: Path) -> None:
        if progress:
            progress(0.0, f"downloading the source of ncnn {VERSION}")
        archive = draft / "ncnn.tar.gz"
        download(_ARCHIVE, archive)
        with tarfile.open(archive) as opened:
            opened.extractall(draft, filter="data")
        archive.unlink()

    return cache.build("ncnn-source", SHA256[:24], make) / f"ncnn-{VERSION}"
