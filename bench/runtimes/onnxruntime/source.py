"""The one ONNX Runtime that is measured: the shared libraries in its wheels on PyPI, pinned by content."""

from __future__ import annotations

from pathlib import Path

from bench.cache import Cache
from bench.records import Progress
from bench.runtimes.index import Pinned
from bench.runtimes.loaded.wheel import PROCESSORS, extracted

VERSION = "1.32.0"
_SHA256 = {
    "aarch64": "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
    "x86_64": "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
}
_INSIDE = f"onnxruntime/capi/libonnxruntime.so.{VERSION}"


def wheel(abi: str) -> Pinned:
    """The wheel for an ABI. Which Python it is for does not matter: only its library is used."""
    processor = PROCESSORS[abi]
    name = f"onnxruntime-{VERSION}-cp312-cp312-manylinux_2_28_{processor}.whl"
    return Pinned("onnxruntime", name, _SHA256[processor], f"ONNX Runtime {VERSION} for {abi}")


def fetch(abi: str, cache: Cache, progress: Progress) -> Path:
    """The shared library for one of `loaded.libc.ABIS`, downloaded once.

    Raises BuildFailed when no index gives its wheel, or what it gives has another check sum.
    """
    return extracted(wheel(abi), (_INSIDE,), cache, progress)[0]
