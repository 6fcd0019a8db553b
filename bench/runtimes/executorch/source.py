"""The one ExecuTorch that is measured: libraries and headers in its wheels on PyPI, pinned by content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.cache import Cache, content_key
from bench.records import Progress
from bench.runtimes.index import Pinned
from bench.runtimes.loaded.build import Backend
from bench.runtimes.loaded.headers import GLIBC, headers
from bench.runtimes.loaded.wheel import unpacked

VERSION = "1.5.1"
_WHEELS = {
    "arm64-v8a": (
        "cp312-cp312-manylinux_2_28_aarch64", "2c177f7922354a8a0d6111628c954519b87549598640e5e0042bef137b4cb83c",
    ),
    "x86_64": (
        "cp311-cp311-manylinux_2_28_x86_64", "274c28c2fe2b76acb03f9fa381537425c40e0098dcf886baf6d97a1a55ffe300",
    ),
}  # fmt: skip
_LIBRARIES = tuple(
    f"executorch/lib/lib{name}.so"
    for name in ("executorch", "executorch_threadpool", "executorch_kernels_optimized", "executorch_backend_xnnpack")
)
"""Each after those that it asks for."""
_INCLUDE = "executorch/include/"


@dataclass(frozen=True)
class Library:
    """The shared libraries in an order in which they can be loaded, and what calls them."""

    files: tuple[Path, ...]
    backend: Backend


def wheel(abi: str) -> Pinned:
    """The wheel for an ABI. Which Python it is for does not matter: only its libraries and headers are used."""
    tags, sha256 = _WHEELS[abi]
    return Pinned("executorch", f"executorch-{VERSION}-{tags}.whl", sha256, f"ExecuTorch {VERSION} for {abi}")


def fetch(abi: str, cache: Cache, progress: Progress) -> Library:
    """Those for one of `loaded.libc.ABIS`, downloaded once.

    Raises BuildFailed when no index gives the wheel, or what it gives has another check sum, and ToolMissing where this
    computer cannot have the headers of GNU's C++ library.
    """
    pinned = wheel(abi)
    folder = unpacked(pinned, (*_LIBRARIES, _INCLUDE), cache, progress)
    files = tuple(folder / path for path in _LIBRARIES)
    gnu = headers(abi, cache, progress)
    include = folder / _INCLUDE
    backend = Backend(
        "executorch",
        glibc=GLIBC,
        options=(
            *gnu.options, "-DC10_USING_CUSTOM_GENERATED_MACROS", f"-DBENCH_EXECUTORCH={VERSION}",
            "--system-header-prefix=executorch/", "--system-header-prefix=c10/", "--system-header-prefix=torch/",
        ),
        includes=(*gnu.includes, include, include / "executorch/runtime/core/portable_type/c10"),
        libraries=(*files[:2], *gnu.libraries),
        key=content_key(gnu.key, pinned.sha256),
    )  # fmt: skip
    return Library(files, backend)
