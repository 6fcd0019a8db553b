"""The one ncnn that every runner is built from: its source distribution on PyPI, pinned by content."""

from __future__ import annotations

import tarfile
from pathlib import Path

from bench.cache import Cache, content_key
from bench.errors import BuildFailed
from bench.records import Progress
from bench.runtimes.index import Pinned, download

VERSION = "1.0.20261020"
SHA256 = "ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200"
_ARCHIVE = Pinned("ncnn", f"ncnn-{VERSION}.tar.gz", SHA256, f"the source of ncnn {VERSION}")

CORRECTIONS = (
    (
        "src/layer/x86/convolutiondepthwise_x86.cpp",
        "_mm_rcp_ps(_mm_mul_ps(",
        "_mm_div_ps(_mm_set1_ps(1.f), _mm_mul_ps(",
    ),
)
"""What is changed of it before it is compiled: a file, what it says, and what it says then.

The int8 kernel of depthwise convolutions on x86 estimates 1/x to 12 bits, Intel's and AMD's processors each in their
own way, where ncnn's plain C++ and all its ARM kernels divide.
"""


def fetch(cache: Cache, progress: Progress | None = None) -> Path:
    """The folder with ncnn's source, downloaded, unpacked and corrected once.

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
        for name, before, after in CORRECTIONS:
            file = draft / f"ncnn-{VERSION}" / name
            text = file.read_text(encoding="utf-8")
            if before not in text:
                raise BuildFailed(f"ncnn {VERSION} has nothing to correct in {name}", "Compare CORRECTIONS with it.")
            file.write_text(text.replace(before, after), encoding="utf-8")

    return cache.build("ncnn-source", content_key(SHA256, repr(CORRECTIONS)), make) / f"ncnn-{VERSION}"


def stb(folder: Path) -> Path:
    """Where stb_image.h is in what `fetch` gave: the decoder of pictures on a device."""
    return folder / "src"


def corrections(architecture: str) -> tuple[tuple[str, str, str], ...]:
    """Those of CORRECTIONS that concern what is compiled for `x86`, `arm64` or `arm`."""
    return tuple(one for one in CORRECTIONS if f"/{architecture}/" in one[0])


def key(architecture: str) -> str:
    """Of the source as it is compiled for that."""
    own = corrections(architecture)
    return content_key(SHA256, repr(own)) if own else SHA256
