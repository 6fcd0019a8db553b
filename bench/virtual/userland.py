"""The shell and the tools of a virtual phone: Android's own, mksh and toybox, where this computer has them.

They are Debian's packages: installed (`make system` does), or fetched once into the cache, which needs no rights. What
cannot be had is replaced by this computer's own tools, and the phone says so.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.cache import Cache, content_key
from bench.debian import Packages
from bench.errors import ToolMissing
from bench.records import Progress

HOST_FOLDERS = "/usr/bin:/bin:/usr/sbin:/sbin"
"""Where this computer has its own tools."""
_PACKAGES = ("mksh", "toybox")
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "i686": "i386"}
_DEADLINE_S = 60
_AGAIN_S = 24 * 3600
"""After a try that failed, so long nothing is fetched: a phone must not start slowly every time."""


@dataclass(frozen=True)
class Userland:
    """`shell` is the host's path of the phone's shell, `toybox` that of most tools; None for this computer's own."""

    shell: Path
    toybox: Path | None
    toybox_names: frozenset[str]
    """What that toybox can be called by."""
    name: str
    """What they are, e.g. "mksh R59 2023/04/29, toybox 0.8.9"."""
    missing: str = ""
    """Why they are not Android's; empty when they are."""


def host_shell() -> Path:
    """The shell of this computer that scripts of ours are written for."""
    return Path(os.path.realpath(shutil.which("dash", path=HOST_FOLDERS) or "/bin/sh"))


def find(cache: Cache) -> Userland:
    """The best that is here, in no time: what is installed, else what was fetched, else this computer's own."""
    for mksh, toybox in ((_installed_mksh(), shutil.which("toybox", path=HOST_FOLDERS)), _fetched(cache)):
        if mksh and toybox and (found := _tried(Path(mksh), Path(toybox))):
            return found
    if sys.platform != "linux":
        why = "Android's shell and tools are packages for Linux"
    else:
        why = "mksh and toybox are not here; to have them: apt-get install mksh toybox"
    return Userland(host_shell(), None, frozenset(), "this computer's own shell and tools", why)


def ensure(cache: Cache, progress: Progress) -> None:
    """Fetch them when they are not here and can be had; a try that failed is not repeated for a day. Raises nothing:
    a phone starts without them."""
    note = cache.root / "android-shell" / "failed"
    if find(cache).toybox or sys.platform != "linux" or platform.machine() not in _DEBIAN:
        return
    try:
        if time.time() - note.stat().st_mtime < _AGAIN_S:
            return
    except OSError:
        pass  # it did not fail yet
    progress(0.0, "fetching Android's shell and tools (mksh and toybox of Debian), once")
    try:
        cache.build("android-shell", _key(), _fetch)
    except (ToolMissing, OSError) as error:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(error), encoding="utf-8")


def _key() -> str:
    return content_key(platform.machine(), *_PACKAGES, Path(__file__))


def _fetch(draft: Path) -> None:
    work = draft / "apt"
    work.mkdir()
    packages = Packages(work, "Android's shell", _DEBIAN[platform.machine()], deadline_s=_DEADLINE_S)
    origin = packages.unpack(_PACKAGES, work / "unpacked")
    static = _static_mksh(work / "unpacked")
    toybox = next((path for name in ("bin", "usr/bin") if (path := work / "unpacked" / name / "toybox").exists()), None)
    if static is None or toybox is None:
        raise ToolMissing("Debian's mksh has no static build here, or its toybox no program", "")
    for path, name in ((static, "mksh"), (toybox, "toybox")):
        shutil.copyfile(path, draft / name)
        (draft / name).chmod(0o755)
    (draft / "origin").write_text(origin, encoding="utf-8")
    shutil.rmtree(work)


def _fetched(cache: Cache) -> tuple[Path | None, Path | None]:
    folder = cache.path("android-shell", _key())
    return (folder / "mksh", folder / "toybox") if folder.is_dir() else (None, None)


def _static_mksh(root: Path) -> Path | None:
    """The build with musl of Debian's package: it needs no library, and starts in half the time of the ordinary one."""
    return next(iter(sorted(root.glob("usr/lib/*-linux-musl*/bin/mksh"))), None)


def _installed_mksh() -> Path | str | None:
    return _static_mksh(Path("/")) or shutil.which("mksh", path=HOST_FOLDERS)


def _tried(mksh: Path, toybox: Path) -> Userland | None:
    """Them, if they run here: toybox needs this computer's libraries."""
    try:
        asked = (
            [str(mksh), "-c", 'echo "$KSH_VERSION"'], [str(toybox), "--version"], [str(toybox)],
        )  # fmt: skip
        version, number, names = (
            subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout for command in asked
        )
    except (OSError, subprocess.SubprocessError):
        return None
    words = version.split()
    if "KSH" not in words:
        return None
    name = f"mksh {' '.join(word for word in words if word[:1].isdigit() or word.startswith('R'))}, {number.strip()}"
    return Userland(mksh.resolve(), toybox.resolve(), frozenset(names.split()), name)
