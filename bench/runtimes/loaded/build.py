"""Builds the runner for libraries that are loaded by name, and the backends, which are small libraries of ours that
call one of them.

Always with zig: an NDK has no glibc. Cached by content. Of ncnn nothing is needed but the decoder of pictures that
comes with its source.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from bench.cache import Cache, content_key
from bench.errors import BuildFailed
from bench.records import Progress
from bench.runtimes.ncnn import source, toolchain
from bench.runtimes.ncnn.build import Work, cores, source_folder
from bench.runtimes.ncnn.executable import read_elf

_RUNNER = "bench-loaded-runner"
_CORE = ("main.cpp", "contract", "measure", "picture", "update")
_TABLE = ("loaded/backend.h", "loaded/statuses.h")
_GLIBC = "2.28"
"""The oldest glibc that any of the wheels in question is built for."""


@dataclass(frozen=True)
class Backend:
    """What a backend is compiled with. `name` is that of its one source file in device_scripts/runner/loaded/.

    `glibc`, where given, replaces the oldest version that the runner is built for. A C++ backend has `options`
    (-nostdinc++), `includes` in which the compiler looks in that order, and `libraries` that are linked; their content
    is part of `key`, which stands for everything that is not in this repository.
    """

    name: str
    glibc: str = _GLIBC
    options: tuple[str, ...] = ()
    includes: tuple[Path, ...] = ()
    libraries: tuple[Path, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Built:
    """The finished files and how they were built."""

    runner: Path
    backend: Path
    facts: dict[str, str]


def build(abi: str, backend: Backend, cache: Cache, progress: Progress) -> Built:
    """The runner for `abi`, and the backend for it. Raises ToolMissing or BuildFailed."""
    runner = source_folder() / "runner"
    sources = [
        path
        for room in (*_CORE, "loaded/library.cpp", *_TABLE)
        for path in ([runner / room] if (runner / room).is_file() else (runner / room).iterdir())
    ]
    own = [path for ending in ("h", "c", "cpp") if (path := runner / "loaded" / f"{backend.name}.{ending}").is_file()]
    stb = source.stb(source.fetch(cache, progress))
    core = _made(abi, _RUNNER, Backend("", includes=(stb,), key=source.SHA256), sources, cache, progress)
    called = [path for path in sources if path.suffix == ".h" and path.parent.name != "picture"]
    made = _made(abi, f"libbackend-{backend.name}.so", backend, [*own, *called], cache, progress)
    return Built(core.file, made.file, core.facts)


class _Made(NamedTuple):
    file: Path
    facts: dict[str, str]


def _made(abi: str, name: str, what: Backend, sources: list[Path], cache: Cache, progress: Progress) -> _Made:
    """One file of the CMake project, compiled or from the cache."""
    target = toolchain.target(abi)
    triple = target.triple.replace("linux-musl", f"linux-gnu.{what.glibc}")
    scripts = source_folder()
    kit = toolchain.zig(replace(target, triple=triple), scripts / "toolchain", cache.root / "zig")
    project = scripts / "runner" / "loaded"
    read = sorted([*sources, project / "CMakeLists.txt"])
    names = "\n".join(path.relative_to(scripts).as_posix() for path in read)
    recipe = json.dumps([kit.versions, kit.arguments[1:], what.options, what.key], sort_keys=True)
    files = sorted(path for path in (scripts / "toolchain").iterdir() if path.is_file())
    key = content_key(abi, recipe, name, names, *read, *files)
    logs = cache.root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    work = Work(target, kit, logs / f"loaded-{what.name or 'runner'}-{abi}.log", cores())
    definitions = {
        "CMAKE_BUILD_TYPE": "Release",
        "BENCH_ABI": work.target.abi,
        "BENCH_COMPILER": work.kit.compiler,
        "BENCH_RUNNER_VERSION": key[:12],
    }
    if not what.name:
        definitions["BENCH_STB"] = str(what.includes[0])
    if what.name:
        definitions |= {
            "BENCH_BACKEND": what.name,
            "BENCH_OPTIONS": ";".join(what.options),
            "BENCH_INCLUDES": ";".join(map(str, what.includes)),
            "BENCH_LIBRARIES": ";".join(map(str, what.libraries)),
        }
    folder = cache.build("loaded", key, lambda draft: _make(work, project, definitions, name, draft, progress))
    return _Made(folder / name, {**kit.versions, "runner": key[:12], "target": triple})


def _make(work: Work, project: Path, definitions: dict[str, str], name: str, draft: Path, progress: Progress) -> None:
    folder = draft / "build"
    folder.mkdir()
    work.configure(project, folder, definitions, progress)
    work.compile(folder, "all", progress)
    machine = read_elf(folder / name).machine
    if machine != work.target.machine:
        raise BuildFailed(f"{name}, built for {work.target.abi}, is for ELF machine {machine}", "Check the toolchain.")
    shutil.copy2(folder / name, draft / name)
    shutil.rmtree(folder)
