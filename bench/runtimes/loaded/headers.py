"""Headers of GNU's C++ library, for backends in C++ whose inference library is built with it: classes, and so strings,
vectors and exceptions, may only pass between what was compiled with the same ones. zig has another C++ library.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.cache import Cache, content_key, own_sources
from bench.errors import ToolMissing
from bench.records import Progress
from bench.runtimes.loaded import debian, libc

VERSION = "12"
"""What they need of libstdc++.so.6 is in every version since; those of Debian 11 and later have been seen."""
GLIBC = "2.32"
"""The oldest version of whose headers they ask nothing that is not there; a backend in C++ is built for it."""

_PACKAGE = f"libstdc++-{VERSION}-dev"


@dataclass(frozen=True)
class Headers:
    """What a `bench.runtimes.loaded.build.Backend` is given: compiler options, folders in the order in which they are
    looked through, the library to link, and a key of their content."""

    options: tuple[str, ...]
    includes: tuple[Path, ...]
    libraries: tuple[Path, ...]
    key: str


def headers(abi: str, cache: Cache, progress: Progress) -> Headers:
    """Those for one of `libc.ABIS`, downloaded once. Raises ToolMissing where this computer cannot have them."""
    key = content_key(abi, _PACKAGE, *own_sources("runtimes/loaded/headers.py", "runtimes/loaded/debian.py"))
    folder = cache.build("headers", key, lambda draft: _fetch(abi, draft, progress))
    library = next(path for path in libc.base(abi, cache, progress).libraries if path.name.startswith("libstdc++.so"))
    origin = (folder / "origin").read_text(encoding="utf-8")
    return Headers(("-nostdinc++",), (folder / "any", folder / "abi"), (library,), content_key(origin, library))


def _fetch(abi: str, draft: Path, progress: Progress) -> None:
    progress(0.0, f"fetching headers of GNU's C++ library for {abi} from Debian")
    work = draft / "apt"
    found = debian.unpacked(abi, (_PACKAGE,), "headers of GNU's C++ library", work)
    places = {"any": Path("c++", VERSION), "abi": Path(found.triple, "c++", VERSION)}
    for name, place in places.items():
        path = found.folder / "usr/include" / place
        if not path.is_dir():
            raise ToolMissing(f"{place} is not in Debian's package {_PACKAGE}", "Report this.")
        shutil.copytree(path, draft / name)
    (draft / "origin").write_text(found.origin, encoding="utf-8")
    shutil.rmtree(work)
