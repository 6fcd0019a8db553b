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
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.cache import Cache, content_key, sha256_file
from bench.errors import ToolMissing
from bench.records import Progress
from bench.runtimes.ncnn import toolchain

_LOADERS = {"arm64-v8a": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}
_DEBIAN = {"arm64-v8a": ("arm64", "aarch64-linux-gnu"), "x86_64": ("amd64", "x86_64-linux-gnu")}
_LIBRARIES = (
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6",
)  # fmt: skip
_PACKAGES = ("libc6", "libgcc-s1", "libstdc++6")
_OLDEST = (2, 30)
_TIMEOUT_S = 300

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
    key = content_key(abi, *_PACKAGES, Path(__file__))
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
    """Debian's packages of another architecture: no multiarch, and nothing of this computer's packages, is touched."""
    architecture, triple = _DEBIAN[abi]
    tools = [shutil.which(tool) for tool in ("apt-get", "dpkg-deb")]
    if not all(tools):
        raise ToolMissing(
            f"a loaded library on {abi} needs glibc for it, which comes from Debian's packages; this computer has no "
            "apt-get",
            "Run bench on Debian, or measure with ncnn, which needs nothing.",
        )
    progress(0.0, f"fetching glibc for {abi} from Debian")
    work = draft / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "unpacked"):
        (work / folder).mkdir(parents=True)
    settings = {
        "APT::Architecture": architecture, "APT::Architectures": architecture, "APT::Sandbox::User": "root",
        "Dir::State::lists": work / "lists", "Dir::Cache": work / "cache", "Dir::State::status": "/dev/null",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    for command in (("update",), ("download", *_PACKAGES)):
        _run(["apt-get", "-q", *options, *command], work, abi)
    packages = sorted(work.glob("*.deb"))
    for package in packages:
        _run(["dpkg-deb", "-x", str(package), str(work / "unpacked")], work, abi)
    for name in (_LOADERS[abi], *_LIBRARIES):
        places = [work / "unpacked" / root / triple / name for root in ("lib", "usr/lib")]
        found = next((path for path in places if path.exists()), None)
        if found is None:
            raise ToolMissing(f"{name} is not in Debian's packages {', '.join(_PACKAGES)}", "Report this.")
        shutil.copyfile(found, draft / name)
    (draft / _LOADERS[abi]).chmod(0o755)
    origin = ", ".join(f"{package.name} {sha256_file(package)[:12]}" for package in packages)
    (draft / "origin").write_text(origin.replace("%3a", ":"), encoding="utf-8")
    shutil.rmtree(work)


def _run(command: list[str], folder: Path, abi: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
        words = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1] if done.returncode else ""
    except subprocess.TimeoutExpired:
        words = f"no end after {_TIMEOUT_S} s"
    if words:
        raise ToolMissing(
            f"glibc for {abi} cannot be had from Debian's packages: {command[0]} says {words[:200]}",
            "Check the network, and that this computer's sources have that architecture; or measure with ncnn.",
        )
