"""Debian's packages of a phone's ABI, from the sources that this computer's own apt has; no multiarch is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.debian import Packages

_ARCHITECTURES = {"arm64-v8a": ("arm64", "aarch64-linux-gnu"), "x86_64": ("amd64", "x86_64-linux-gnu")}


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
    purpose = f"{what} for {abi}, which a loaded library needs,"
    found = Packages(work, purpose, architecture, instead="measure with ncnn, which needs nothing")
    return Unpacked(work / "unpacked", triple, found.unpack(packages, work / "unpacked"))
