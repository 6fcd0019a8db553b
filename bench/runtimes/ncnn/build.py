"""Builds the native runner: ncnn once per target and set of options, then our few files on top of it.

Both steps are cached by the content of everything that goes in, so a change to the runner does not compile ncnn again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bench.cache import Cache, content_key, sha256_file
from bench.errors import BuildFailed, ToolMissing
from bench.records import Progress
from bench.runtimes.ncnn import cpu, options, source, toolchain
from bench.runtimes.ncnn.executable import read_elf
from bench.runtimes.ncnn.toolchain import ABIS, Target, Toolchain, host_abi

__all__ = ["ABIS", "Gpu", "NativeBinary", "Work", "build", "cores", "host_abi", "source_folder"]

_RUNNER, _FRQ, _LOOP = "bench-runner", "bench-frq", "bench-loop"
_GLIBC = "2.28"
"""The oldest that a program which opens this computer's drivers starts on: Debian 10, Ubuntu 18.10."""
_NINJA_STEP = re.compile(r"^\[(\d+)/(\d+)\] ")
_LAST_LINES = 25

Gpu = Literal["glibc", "android"]
"""Whose dynamic loader opens a GPU's driver: this computer's, or a phone's."""


@dataclass(frozen=True)
class NativeBinary:
    """A finished runner. `toolchain` says how it was built: compiler, versions, options and what was left out."""

    abi: str
    path: Path
    sha256: str
    bytes: int
    toolchain: dict[str, Any]

    @property
    def frq(self) -> Path:
        """The program beside it that reads and times .frq packages alone; nothing for a phone."""
        return self.path.with_name(_FRQ)

    @property
    def loop(self) -> Path:
        """ncnn's own benchmark loop, built from the same library; nothing for a phone."""
        return self.path.with_name(_LOOP)


def source_folder() -> Path:
    """Where the runner's sources are: package data in an installation, `device_scripts` in a checkout.

    Raises ToolMissing when they are in neither place.
    """
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "_device_scripts", package.parent / "device_scripts"):
        if (folder / "runner" / "CMakeLists.txt").is_file():
            return folder
    raise ToolMissing(
        "the sources of the native runner are missing", "Install fr-bench again, or use a whole checkout."
    )


def build(
    abi: str,
    cache: Cache,
    progress: Progress | None = None,
    jobs: int | None = None,
    *,
    portable: bool = False,
    gpu: Gpu | None = None,
) -> NativeBinary:
    """The runner for `abi` (one of ABIS, or `host_abi()`), taken from the cache or compiled with `jobs` processes.

    For this machine's own ABI it has the code of this very CPU only, which compiles in a third of the time and refuses
    to run on a lesser one; a `portable` one runs on every CPU of the ABI, as does any for another ABI.

    One for `gpu` computes by Vulkan, and is not static: a driver is a library of the system that it runs on.

    Raises UnknownName, ToolMissing or BuildFailed; the latter quotes the end of the log and names the file.
    """
    report = progress or (lambda fraction, words: None)
    target, scripts = toolchain.target(abi), source_folder()
    if gpu == "glibc":
        target = replace(target, triple=target.triple.replace("linux-musl", f"linux-gnu.{_GLIBC}"))
        kit = toolchain.zig(target, scripts / "toolchain", cache.root / "zig")
    elif gpu == "android":
        kit = toolchain.ndk(target)
    else:
        kit = toolchain.find(target, scripts / "toolchain", cache.root / "zig")
    ncnn_source = source.fetch(cache, report)
    logs = cache.root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    name = f"-gpu-{gpu}" if gpu else ""
    work = Work(target, kit, logs / f"ncnn{name}-{abi}.log", jobs or cores())

    own = None if portable or not toolchain.is_host(target) else cpu.features() or None
    kernels = options.kernels(target.architecture, own)
    left_out = options.left_out_layers(ncnn_source)
    chosen = options.COMMON | kernels | (options.GPU if gpu else {})
    definitions = chosen | {f"WITH_LAYER_{name.lower()}": "OFF" for name in left_out}
    recipe = json.dumps([kit.versions, kit.arguments[1:], definitions], sort_keys=True)
    ncnn_key = content_key(source.key(target.architecture), abi, recipe, *_files(scripts / "toolchain"))
    ncnn = cache.build(
        "ncnn", ncnn_key, lambda draft: _build_ncnn(work, ncnn_source, definitions, draft, _part(report, 0.02, 0.9))
    )

    work = replace(work, log=logs / f"runner{name}-{abi}.log")
    sources = _runner_sources(scripts / "runner")
    names = "\n".join(path.relative_to(scripts).as_posix() for path in sources)
    key = content_key(ncnn_key, names, *sources)
    facts = {
        **kit.versions,
        "ncnn": source.VERSION,
        "ncnn_corrections": [name for name, _, _ in source.corrections(target.architecture)],
        "runner": key[:12],
        "target": target.triple,
        "options": chosen,
        "left_out_layers": list(left_out),
        "portable": own is None,
    } | ({"gpu": f"Vulkan, linked for {gpu}"} if gpu else {})
    folder = cache.build(
        "runner",
        key,
        lambda draft: _build_runner(
            work, scripts, (ncnn, ncnn_source), key[:12], facts, draft, _part(report, 0.9, 1.0), gpu
        ),
    )
    path = folder / _RUNNER
    report(1.0, f"native runner for {abi} is ready")
    stored = json.loads((folder / "toolchain.json").read_text())
    return NativeBinary(abi, path, sha256_file(path), path.stat().st_size, stored)


@dataclass(frozen=True)
class Work:
    """One build: what for, with what, where its log is, and how many processes it may use."""

    target: Target
    kit: Toolchain
    log: Path
    jobs: int

    def configure(self, source: Path, folder: Path, definitions: dict[str, str], progress: Progress) -> None:
        self.log.unlink(missing_ok=True)
        given = [f"-D{key}={value}" for key, value in sorted(definitions.items())]
        generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={self.kit.ninja}"]
        command = [str(self.kit.cmake), "-S", str(source), "-B", str(folder), *generator, *self.kit.arguments, *given]
        self.run(command, folder, lambda line: progress(0.0, f"asking the compiler: {line[3:60].strip()}"))

    def compile(self, folder: Path, goal: str, progress: Progress) -> None:
        def on_line(line: str) -> None:
            if step := _NINJA_STEP.match(line):
                done, total = int(step[1]), int(step[2])
                progress(done / total, f"compiling for {self.target.abi}: {done} of {total}")

        self.run([str(self.kit.ninja), "-C", str(folder), "-j", str(self.jobs), goal], folder, on_line)

    def run(self, command: Sequence[str], folder: Path, on_line: Callable[[str], None]) -> None:
        """Runs one step of the build, its output into the log. Raises BuildFailed."""
        environment = os.environ | self.kit.environment | {"ZIG_LOCAL_CACHE_DIR": str(folder / "zig")}
        last: deque[str] = deque(maxlen=_LAST_LINES)
        with (
            self.log.open("a") as log,
            subprocess.Popen(
                command,
                env={**environment, "NINJA_STATUS": "[%f/%t] "},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    log.write(line)
                    last.append(line)
                    on_line(line)
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            raise BuildFailed(
                f"building the native runner for {self.target.abi} failed:\n{''.join(last).rstrip()}",
                f"The whole log is {self.log}.",
            )


def _build_ncnn(work: Work, ncnn_source: Path, definitions: dict[str, str], draft: Path, progress: Progress) -> None:
    folder = draft / "build"
    folder.mkdir()
    place = {"CMAKE_INSTALL_PREFIX": str(draft), "NCNN_VERSION": source.VERSION.rpartition(".")[2]}
    place |= {"Python3_EXECUTABLE": sys.executable}  # that the compiler of shaders is configured with
    work.configure(ncnn_source, folder, definitions | place, _part(progress, 0.0, 0.1))
    if missing := _refused_kernels(folder, definitions):
        raise BuildFailed(
            f"{work.kit.compiler} does not compile ncnn's kernels {missing}, so everything measured would be too slow",
            f"See the checks named NCNN_COMPILER_SUPPORT_… in {work.log}.",
        )
    work.compile(folder, "install", _part(progress, 0.1, 1.0))
    shutil.rmtree(folder)


def _build_runner(
    work: Work, scripts: Path, ncnn: tuple[Path, Path], version: str, facts: dict[str, Any], draft: Path,
    progress: Progress, gpu: Gpu | None,
) -> None:  # fmt: skip
    """`ncnn` is where it is installed, and its source."""
    folder = draft / "build"
    folder.mkdir()
    definitions = {
        "BENCH_GPU": "ON" if gpu else "OFF",
        "CMAKE_BUILD_TYPE": "Release",
        "BENCH_ABI": work.target.abi,
        "BENCH_COMPILER": work.kit.compiler,
        "BENCH_NCNN": str(ncnn[0]),
        "BENCH_STB": str(source.stb(ncnn[1])),
        "BENCH_RUNNER_VERSION": version,
    }
    work.configure(scripts / "runner", folder, definitions, progress)
    work.compile(folder, "all", progress)
    for name in (_RUNNER,) if gpu else (_RUNNER, _FRQ, _LOOP):
        shutil.copy2(folder / name, draft / name)
    shutil.rmtree(folder)
    _check(work.target, draft / _RUNNER, version, gpu)
    (draft / "toolchain.json").write_text(json.dumps(facts, indent=1))


def _check(target: Target, path: Path, version: str, gpu: Gpu | None) -> None:
    """Raises BuildFailed unless the file is what a device can run."""
    if target.machine is not None:
        elf = read_elf(path)
        if elf.machine != target.machine or elf.static is (gpu is not None):
            raise BuildFailed(
                f"the runner built for {target.abi} is for ELF machine {elf.machine}, static: {elf.static}",
                f"Expected machine {target.machine}, static: {gpu is None}. Check the toolchain.",
            )
    if gpu == "android" or not toolchain.is_host(target):
        return
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode != 0 or json.loads(answer.stdout)["runner"] != version:
        raise BuildFailed(
            f"the new runner does not start: exit status {answer.returncode}, {answer.stdout}{answer.stderr}".rstrip(),
            "Run it with --version by hand.",
        )


def _refused_kernels(folder: Path, definitions: dict[str, str]) -> str:
    """The kernels that were asked for and that CMake found the compiler cannot do: ncnn only then gives them a type."""
    cached = (folder / "CMakeCache.txt").read_text(errors="replace")
    wanted = (name for name, value in definitions.items() if name in options.KERNELS and value == "ON")
    return ", ".join(name for name in wanted if f"\n{name}:BOOL=ON\n" not in cached)


def _part(progress: Progress, start: float, end: float) -> Progress:
    """Progress of a step that is the stretch from `start` to `end` of the whole."""
    return lambda fraction, words: progress(start + fraction * (end - start), words)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _runner_sources(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in (".cpp", ".h", ".txt") and not {"fuzz", "loaded"} & set(path.relative_to(folder).parts)
    )


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
