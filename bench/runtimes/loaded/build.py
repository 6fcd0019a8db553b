"""Builds the runner for libraries that are loaded by name, and the backends, which are small libraries of ours that
call one of them.

Always with zig: an NDK has no glibc. Cached by content, and nothing of ncnn is needed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cache import Cache, content_key
from bench.errors import BuildFailed
from bench.records import Progress
from bench.runtimes.ncnn import toolchain
from bench.runtimes.ncnn.build import Work, cores, source_folder
from bench.runtimes.ncnn.executable import read_elf

_RUNNER = "bench-loaded-runner"
_GLIBC = "2.28"
"""The oldest glibc that the wheels in question are built for."""


@dataclass(frozen=True)
class Built:
    """The finished files and how they were built."""

    runner: Path
    backend: Path
    facts: dict[str, str]


def build(abi: str, backend: str, cache: Cache, progress: Progress) -> Built:
    """The runner for `abi`, and the backend of that name. Raises ToolMissing or BuildFailed."""
    target = toolchain.target(abi)
    triple = target.triple.replace("linux-musl", f"linux-gnu.{_GLIBC}")
    scripts = source_folder()
    kit = toolchain.zig(replace(target, triple=triple), scripts / "toolchain", cache.root / "zig")
    runner = scripts / "runner"
    sources = sorted(
        path
        for room in ("main.cpp", "contract", "measure", "loaded")
        for path in ([runner / room] if (runner / room).is_file() else (runner / room).iterdir())
    )
    names = "\n".join(path.relative_to(scripts).as_posix() for path in sources)
    recipe = json.dumps([kit.versions, kit.arguments[1:]], sort_keys=True)
    key = content_key(
        abi, recipe, names, *sources, *sorted(p for p in (scripts / "toolchain").iterdir() if p.is_file())
    )
    logs = cache.root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    work = Work(target, kit, logs / f"loaded-{abi}.log", cores())
    folder = cache.build("loaded", key, lambda draft: _make(work, runner / "loaded", key[:12], draft, progress))
    facts = {**kit.versions, "runner": key[:12], "target": triple}
    return Built(folder / _RUNNER, folder / f"libbackend-{backend}.so", facts)


def _make(work: Work, source: Path, version: str, draft: Path, progress: Progress) -> None:
    folder = draft / "build"
    folder.mkdir()
    definitions = {
        "CMAKE_BUILD_TYPE": "Release",
        "BENCH_ABI": work.target.abi,
        "BENCH_COMPILER": work.kit.compiler,
        "BENCH_RUNNER_VERSION": version,
    }
    work.configure(source, folder, definitions, progress)
    work.compile(folder, "all", progress)
    for path in (folder / _RUNNER, *folder.glob("libbackend-*.so")):
        machine = read_elf(path).machine
        if machine != work.target.machine:
            raise BuildFailed(
                f"{path.name}, built for {work.target.abi}, is for ELF machine {machine}", "Check the toolchain."
            )
        shutil.copy2(path, draft / path.name)
    shutil.rmtree(folder)
