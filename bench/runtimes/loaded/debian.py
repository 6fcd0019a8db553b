"""Debian's packages for any architecture, fetched by the apt of this computer, which checks Debian's signature. No
multiarch is needed, and nothing of this computer's own packages is touched.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cache import sha256_file
from bench.errors import ToolMissing

_ARCHITECTURES = {"arm64-v8a": ("arm64", "aarch64-linux-gnu"), "x86_64": ("amd64", "x86_64-linux-gnu")}
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Unpacked:
    """The packages' files under one folder, Debian's triple for their architecture, and which packages they were."""

    folder: Path
    triple: str
    origin: str


def unpacked(abi: str, packages: Sequence[str], what: str, work: Path) -> Unpacked:
    """Fetch and unpack `packages` for `abi` within the new folder `work`; `what` they are, in words for errors.

    Raises ToolMissing where this computer has no apt, or its apt cannot.
    """
    architecture, triple = _ARCHITECTURES[abi]
    if not all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb")):
        raise ToolMissing(
            f"a loaded library on {abi} needs {what} for it, from Debian's packages; this computer has no apt-get",
            "Run bench on Debian, or measure with ncnn, which needs nothing.",
        )
    for folder in ("lists/partial", "cache/archives/partial", "unpacked"):
        (work / folder).mkdir(parents=True)
    settings = {
        "APT::Architecture": architecture, "APT::Architectures": architecture, "APT::Sandbox::User": "root",
        "Dir::State::lists": work / "lists", "Dir::Cache": work / "cache", "Dir::State::status": "/dev/null",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    about = f"{what} for {abi}"
    for command in (("update",), ("download", *packages)):
        _run(["apt-get", "-q", *options, *command], work, about)
    archives = sorted(work.glob("*.deb"))
    for archive in archives:
        _run(["dpkg-deb", "-x", str(archive), str(work / "unpacked")], work, about)
    origin = ", ".join(f"{archive.name} {sha256_file(archive)[:12]}" for archive in archives)
    return Unpacked(work / "unpacked", triple, origin.replace("%3a", ":"))


def _run(command: list[str], folder: Path, about: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
        words = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1] if done.returncode else ""
    except subprocess.TimeoutExpired:
        words = f"no end after {_TIMEOUT_S} s"
    if words:
        raise ToolMissing(
            f"{about} cannot be had from Debian's packages: {command[0]} says {words[:200]}",
            "Check the network, and that this computer's sources have that architecture; or measure with ncnn.",
        )
