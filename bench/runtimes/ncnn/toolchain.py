"""The compilers that runners are built with: zig from PyPI, or an Android NDK when `ANDROID_NDK_HOME` names one."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ToolMissing, UnknownName

ELF_X86_64, ELF_ARM, ELF_AARCH64 = 62, 40, 183


@dataclass(frozen=True)
class Target:
    """What to compile for. `machine` is the ELF machine number, None where executables are not ELF (macOS)."""

    abi: str
    triple: str
    processor: str
    architecture: str
    machine: int | None
    system: str = "Linux"


_PHONES = (
    Target("arm64-v8a", "aarch64-linux-musl", "aarch64", "arm64", ELF_AARCH64),
    Target("armeabi-v7a", "arm-linux-musleabihf", "armv7-a", "arm", ELF_ARM),
    Target("x86_64", "x86_64-linux-musl", "x86_64", "x86", ELF_X86_64),
)
_MACS = (
    Target("macos-arm64", "aarch64-macos", "arm64", "arm64", None, "Darwin"),
    Target("macos-x86_64", "x86_64-macos", "x86_64", "x86", None, "Darwin"),
)
_TARGETS = {target.abi: target for target in (*_PHONES, *_MACS)}

ABIS = tuple(target.abi for target in _PHONES)
"""What phones can be: Android's names."""


def target(abi: str) -> Target:
    """The target of that name. Raises UnknownName."""
    if abi not in _TARGETS:
        raise UnknownName.of("ABI", abi, _TARGETS)
    return _TARGETS[abi]


def is_host(target: Target) -> bool:
    """Whether this machine itself executes what is built for `target`."""
    names = {"amd64": "x86", "x86_64": "x86", "aarch64": "arm64", "arm64": "arm64"}
    return target.system == platform.system() and target.architecture == names.get(platform.machine().lower())


def host_abi() -> str:
    """The ABI whose runner this machine executes itself.

    On Linux it is the phone's: the same static file runs on both, which makes desktop and phone comparable.
    Raises ToolMissing on a machine for which there is none.
    """
    for one in _TARGETS.values():
        if is_host(one):
            return one.abi
    raise ToolMissing(
        f"no native runner for {platform.system()} on {platform.machine()}",
        "Use Linux or macOS on x86_64 or arm64, or measure only the phone.",
    )


@dataclass(frozen=True)
class Toolchain:
    """Programs, CMake arguments and environment variables that compile for one target; versions as text."""

    compiler: str
    cmake: Path
    ninja: Path
    arguments: tuple[str, ...]
    environment: dict[str, str]

    @property
    def versions(self) -> dict[str, str]:
        return {
            "compiler": self.compiler,
            "cmake": importlib.metadata.version("cmake"),
            "ninja": importlib.metadata.version("ninja"),
        }


def find(target: Target, scripts: Path, zig_cache: Path) -> Toolchain:
    """The toolchain for `target`.

    `scripts` is the folder of our CMake files, `zig_cache` where zig keeps the C libraries it compiles.
    Raises ToolMissing.
    """
    ndk = ndk_folder()
    if ndk and target.abi in ABIS:
        return _ndk(target, ndk)
    return zig(target, scripts, zig_cache)


def ndk_folder() -> Path | None:
    """What ANDROID_NDK_HOME names, if it names anything."""
    named = os.environ.get("ANDROID_NDK_HOME")
    return Path(named) if named else None


def ndk(target: Target) -> Toolchain:
    """The NDK for `target`, where Android's own libraries are needed, which zig does not have. Raises ToolMissing."""
    folder = ndk_folder()
    if folder is None:
        raise ToolMissing(
            "a program that opens a phone's drivers is linked with Android's own libraries, and no NDK is given",
            "Set ANDROID_NDK_HOME to an Android NDK.",
        )
    return _ndk(target, folder)


def zig(target: Target, scripts: Path, zig_cache: Path) -> Toolchain:
    """The toolchain for `target`, whatever ANDROID_NDK_HOME says; otherwise as `find`."""
    cmake, ninja = _program("cmake", "CMAKE_BIN_DIR"), _program("ninja", "BIN_DIR")
    program = _package_folder("ziglang") / "zig"
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.strip()
    return Toolchain(
        compiler=f"zig {version} for {target.triple}",
        cmake=cmake,
        ninja=ninja,
        arguments=(f"-DCMAKE_TOOLCHAIN_FILE={scripts / 'zig.cmake'}",),
        environment={
            "BENCH_ZIG": str(program),
            "BENCH_ZIG_TARGET": target.triple,
            "BENCH_SYSTEM": target.system,
            "BENCH_PROCESSOR": target.processor,
            "ZIG_GLOBAL_CACHE_DIR": str(zig_cache),
        },
    )


def _ndk(target: Target, ndk: Path) -> Toolchain:
    cmake, ninja = _program("cmake", "CMAKE_BIN_DIR"), _program("ninja", "BIN_DIR")
    toolchain_file = ndk / "build" / "cmake" / "android.toolchain.cmake"
    properties = ndk / "source.properties"
    if not toolchain_file.is_file() or not properties.is_file():
        raise ToolMissing(
            f"ANDROID_NDK_HOME is {ndk}, which is not an Android NDK",
            f"Point it at a folder that holds {toolchain_file.relative_to(ndk)}, or unset it to build with zig.",
        )
    pairs = (line.split("=", 1) for line in properties.read_text().splitlines() if "=" in line)
    revision = {key.strip(): value.strip() for key, value in pairs}.get("Pkg.Revision", "of unknown revision")
    return Toolchain(
        compiler=f"Android NDK {revision} for {target.abi}",
        cmake=cmake,
        ninja=ninja,
        arguments=(
            f"-DCMAKE_TOOLCHAIN_FILE={toolchain_file}",
            f"-DANDROID_ABI={target.abi}",
            "-DANDROID_PLATFORM=android-24",
            "-DANDROID_STL=c++_static",
        ),
        environment={},
    )


def _program(package: str, folder_attribute: str) -> Path:
    """The program that a PyPI package of the same name brings along."""
    _package_folder(package)
    return Path(getattr(importlib.import_module(package), folder_attribute)) / package


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ToolMissing(
            f"the native runner is compiled with {package}, which is not installed in this environment",
            f"Install it: pip install {package}",
        )
    return Path(spec.submodule_search_locations[0])
