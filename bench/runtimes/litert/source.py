"""The one LiteRT that is measured: the shared libraries in its wheels on PyPI, pinned by content."""

from __future__ import annotations

from pathlib import Path

from bench.cache import Cache
from bench.records import Progress
from bench.runtimes.index import Pinned
from bench.runtimes.loaded.wheel import PROCESSORS, extracted

VERSION = "2.3.0"
_SHA256 = {
    "aarch64": "9891611b23a87cc2ace60e4b5ee9a2ee6f0fb7f395f009470961ae6e6310e1b8",
    "x86_64": "dc9f56c23e0dcf182b6c35f23fbb102ed048296588882b806d5eff7654c04c88",
}
_INSIDE = "ai_edge_litert/libLiteRt.so"


def wheel(abi: str) -> Pinned:
    """The wheel for an ABI. Which Python it is for does not matter: only its library is used."""
    processor = PROCESSORS[abi]
    name = f"ai_edge_litert-{VERSION}-cp312-cp312-manylinux_2_27_{processor}.whl"
    return Pinned("ai-edge-litert", name, _SHA256[processor], f"LiteRT {VERSION} for {abi}")


def fetch(abi: str, cache: Cache, progress: Progress) -> Path:
    """The shared library for one of `loaded.libc.ABIS`, downloaded once.

    Raises BuildFailed when no index gives its wheel, or what it gives has another check sum.
    """
    return extracted(wheel(abi), (_INSIDE,), cache, progress)[0]
