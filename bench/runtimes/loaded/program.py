"""The program of a library that is loaded by name: its files for a machine, and how they are started there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.cache import Cache, content_key, sha256_file
from bench.errors import WrongAbi
from bench.records import ArtifactFile, Progress
from bench.runtimes.loaded import build, libc
from bench.runtimes.loaded.build import Backend
from bench.runtimes.runtime import Program


def program(
    title: str,
    backend: Callable[[str], Backend],
    abis: Sequence[str],
    of_abi: Callable[[str], tuple[Path, ...]],
    cache: Cache,
    progress: Progress,
) -> Program:
    """For the first of a machine's `abis` that is a 64-bit one. `of_abi` gives the library's own files: the last of
    them is the one that the backend is told to open, and those that it asks for come before it.

    Files are called by their content where they are brought, so nothing can be found by name: glibc's loader is given
    each by its path, and takes an already loaded library for the one that another asks for.
    Raises WrongAbi, BuildFailed, ToolMissing.
    """
    abi = next((abi for abi in abis if abi in libc.ABIS), None)
    if abi is None:
        raise WrongAbi(
            f"it runs {', '.join(abis) or 'an ABI that it does not report'}",
            f"{title} is there for {', '.join(libc.ABIS)}.",
        )
    base = libc.base(abi, cache, progress)
    *others, library = of_abi(abi)
    built = build.build(abi, backend(abi), cache, progress)
    paths = {
        "loader": (base.loader,), "C and C++ libraries": base.libraries, "runner": (built.runner,),
        "backend": (built.backend,), title: (*others, library),
    }  # fmt: skip
    files = tuple(_file(role, path) for role, given in paths.items() for path in given)
    first = 1 + len(base.libraries)
    asked_for = range(first + 2, len(files) - 1)
    preloaded = ":".join(f"{{{number}}}" for number in (*range(1, first), *asked_for))
    command = (
        "env", "-u", "LD_PRELOAD", "-u", "LD_LIBRARY_PATH", "{0}", "--inhibit-cache", "--preload", preloaded,
        f"{{{first}}}", "--backend", f"{{{first + 1}}}", f"{{{len(files) - 1}}}",
    )  # fmt: skip
    sizes = {role: sum(file.bytes for file in files if file.role == role) for role in paths}
    whole = content_key(*(file.sha256 for file in files))
    facts = {**built.facts, "loader": base.origin, "bytes": sizes, "sha256": whole}
    return Program(files, command, facts, tuple(file for file in files if file.role == title))


def _file(role: str, path: Path) -> ArtifactFile:
    return ArtifactFile(role=role, path=path, sha256=sha256_file(path), bytes=path.stat().st_size)
