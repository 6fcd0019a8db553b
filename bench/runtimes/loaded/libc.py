"""glibc and what stands on it, brought along: Android has neither, and its loader starts a program on any kernel.

For the processor of this computer they are its own; for another one they are Debian's, fetched by the apt of this
computer if it has one, which checks Debian's signature. No package index carries them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.cache import Cache, content_key, own_sources
from bench.errors import ToolMissing
from bench.records import Progress
from bench.runtimes.loaded import debian
from bench.runtimes.ncnn import toolchain

_LOADERS = {"arm64-v8a": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}
_LIBRARIES = (
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6",
)  # fmt: skip
_PACKAGES = ("libc6", "libgcc-s1", "libstdc++6")
_OLDEST = (2, 30)

ABIS = tuple(_LOADERS)
"""What glibc can be had for. 32-bit phones have no wheels."""


@dataclass(frozen=True)
class Base:
    """The loader, the libraries in an order in which all can be loaded, and where they are from."""

    loader: Path
    libraries: tuple[Path, ...]
    origin: str


def base(abi: str, cache: Cache, progress: Progress) -> Base:
    """Those for one of ABIS. Raises ToolMissing where this computer cannot have them."""
    if toolchain.is_host(toolchain.target(abi)):
        return _own(abi)
    key = content_key(abi, *_PACKAGES, *own_sources("runtimes/loaded/libc.py", "runtimes/loaded/debian.py"))
    folder = cache.build("glibc", key, lambda draft: _fetch(abi, draft, progress))
    origin = (folder / "origin").read_text(encoding="utf-8")
    return Base(folder / _LOADERS[abi], tuple(folder / name for name in _LIBRARIES), origin)


class _LinkMap(ctypes.Structure):
    """The public head of what a handle of glibc's dlopen points to (link.h)."""

    _fields_ = [("address", ctypes.c_void_p), ("name", ctypes.c_char_p)]


def _own(abi: str) -> Base:
    """The files that a program of this computer is given."""
    libc, version = platform.libc_ver()
    if libc != "glibc":
        raise ToolMissing(
            f"this computer has no glibc, which a program for {abi} with a loaded library is started with",
            "Use a Linux with glibc, or measure with ncnn, which needs nothing.",
        )
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _OLDEST:
        raise ToolMissing(
            f"this computer has glibc {version}; a loader that can be given libraries by path came with "
            f"{_OLDEST[0]}.{_OLDEST[1]}",
            "Use a newer Linux, or measure with ncnn, which needs nothing.",
        )
    found = []
    for name in (_LOADERS[abi], *_LIBRARIES):
        try:
            handle = ctypes.CDLL(name)._handle
        except OSError as error:
            raise ToolMissing(
                f"this computer has no {name}", "On Debian: apt-get install libstdc++6 libgcc-s1"
            ) from error
        path = Path(os.fsdecode(_LinkMap.from_address(handle).name or b"")).resolve()
        if not path.is_file():
            raise ToolMissing(
                f"this computer does not say where its {name} is", "Measure with ncnn, which needs nothing."
            )
        found.append(path)
    return Base(found[0], tuple(found[1:]), f"glibc {version} of this computer")


def _fetch(abi: str, draft: Path, progress: Progress) -> None:
    progress(0.0, f"fetching glibc for {abi} from Debian")
    work = draft / "apt"
    found = debian.unpacked(abi, _PACKAGES, "glibc", work)
    for name in (_LOADERS[abi], *_LIBRARIES):
        places = [found.folder / root / found.triple / name for root in ("lib", "usr/lib")]
        path = next((path for path in places if path.exists()), None)
        if path is None:
            raise ToolMissing(f"{name} is not in Debian's packages {', '.join(_PACKAGES)}", "Report this.")
        shutil.copyfile(path, draft / name)
    (draft / _LOADERS[abi]).chmod(0o755)
    (draft / "origin").write_text(found.origin, encoding="utf-8")
    shutil.rmtree(work)
