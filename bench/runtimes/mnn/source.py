"""The one MNN that is measured: the engine in its wheels on PyPI, pinned by content, without debuggers' symbols."""

from __future__ import annotations

from pathlib import Path

from bench.cache import Cache, content_key
from bench.records import Progress
from bench.runtimes.index import Pinned
from bench.runtimes.loaded.wheel import PROCESSORS, extracted
from bench.runtimes.mnn import loadable

VERSION = "3.6.1"
_SHA256 = {
    "aarch64": "7f8fbf264047e81bf66f0b04ef95a8c83b8d5ca0a3670afcf3c0c3b6861de4a5",
    "x86_64": "abebaaa0c7b0af6dfd6e9f4bda46bb6a30bb95d2b88a5b441a65d1cd322311d0",
}
_OPENMP = {"aarch64": "libgomp-d22c30c5.so.1.0.0", "x86_64": "libgomp-a34b3233.so.1.0.0"}


def wheel(abi: str) -> Pinned:
    """The wheel for an ABI. Which Python it is for does not matter: nothing of Python is called."""
    processor = PROCESSORS[abi]
    name = f"mnn-{VERSION}-cp311-cp311-manylinux2014_{processor}.manylinux_2_17_{processor}.whl"
    return Pinned("mnn", name, _SHA256[processor], f"MNN {VERSION} for {abi}")


def fetch(abi: str, cache: Cache, progress: Progress) -> tuple[Path, Path]:
    """For one of `loaded.libc.ABIS`, downloaded once: the OpenMP library that the engine names, and the engine.

    Raises BuildFailed when no index gives the wheel, or what it gives has another check sum.
    """
    processor = PROCESSORS[abi]
    inside = (f"mnn.libs/{_OPENMP[processor]}", f"_mnncengine.cpython-311-{processor}-linux-gnu.so")
    openmp, engine = extracted(wheel(abi), inside, cache, progress)
    key = content_key(_SHA256[processor], Path(loadable.__file__))
    folder = cache.build("mnn-engine", key, lambda draft: loadable.write(engine, draft / engine.name))
    return openmp, folder / engine.name
