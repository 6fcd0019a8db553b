"""Choosing and calling the compilers, and reading what they made."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import CorruptData, ToolMissing, UnknownName
from bench.runtimes.ncnn import cpu, options, toolchain
from bench.runtimes.ncnn.build import ABIS, host_abi, source_folder
from bench.runtimes.ncnn.executable import Elf, read_elf

SCRIPTS = source_folder() / "toolchain"


def macros(kit: toolchain.Toolchain, *flags: str) -> set[str]:
    """What the wrapped compiler defines under these flags."""
    command = ["/bin/sh", SCRIPTS / "zig-compiler", "c++", "-E", "-dM", "-x", "c++", *flags, os.devnull]
    done = subprocess.run(command, env=os.environ | kit.environment, capture_output=True, text=True, check=True)
    return {line.split()[1] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("abi", "flags", "wanted"),
    [
        ("arm64-v8a", ["-march=armv8-a"], {"__ARM_NEON"}),
        ("arm64-v8a", ["-march=armv8.2-a+fp16"], {"__ARM_FEATURE_FP16_VECTOR_ARITHMETIC"}),
        (
            "arm64-v8a",
            ["-march=armv8.2-a+fp16+dotprod"],
            {"__ARM_FEATURE_FP16_VECTOR_ARITHMETIC", "__ARM_FEATURE_DOTPROD"},
        ),
        ("arm64-v8a", ["-march=armv8.2-a+fp16+fp16fml"], {"__ARM_FEATURE_FP16_FML"}),
        ("arm64-v8a", ["-march=armv8.4-a+fp16+dotprod+i8mm"], {"__ARM_FEATURE_MATMUL_INT8"}),
        ("armeabi-v7a", [], {"__ARM_NEON"}),
        ("armeabi-v7a", ["-mfpu=neon-vfpv4"], {"__ARM_NEON", "__ARM_FEATURE_FMA"}),
        ("x86_64", ["-mavx", "-mfma", "-mf16c"], {"__AVX__", "__FMA__", "__F16C__"}),
    ],
)
def test_zig_takes_the_flags_of_ordinary_clang(abi: str, flags: list[str], wanted: set[str], tmp_path: Path) -> None:
    kit = toolchain.find(toolchain.target(abi), SCRIPTS, tmp_path)
    assert wanted <= macros(kit, *flags)


def test_a_flag_without_translation_is_an_error_not_a_silence(tmp_path: Path) -> None:
    kit = toolchain.find(toolchain.target("arm64-v8a"), SCRIPTS, tmp_path)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        macros(kit, "-march=native")
    assert "no translation" in refused.value.stderr


def test_unknown_abi() -> None:
    with pytest.raises(UnknownName, match="arm64-v8"):
        toolchain.target("arm64-v8")


def test_the_host_has_an_abi() -> None:
    assert toolchain.target(host_abi()).system == ("Darwin" if sys.platform == "darwin" else "Linux")


def test_something_else_than_an_ndk_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    with pytest.raises(ToolMissing, match="ANDROID_NDK_HOME"):
        toolchain.find(toolchain.target("arm64-v8a"), SCRIPTS, tmp_path)


def test_an_ndk_is_preferred_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "build" / "cmake").mkdir(parents=True)
    (tmp_path / "build" / "cmake" / "android.toolchain.cmake").touch()
    (tmp_path / "source.properties").write_text("Pkg.Desc = Android NDK\nPkg.Revision = 27.2.12479018\n")
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    kit = toolchain.find(toolchain.target("armeabi-v7a"), SCRIPTS, tmp_path)
    assert kit.versions["compiler"] == "Android NDK 27.2.12479018 for armeabi-v7a"
    assert "-DANDROID_ABI=armeabi-v7a" in kit.arguments


def test_layers_left_out_are_among_those_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "CMakeLists.txt").write_text(
        "ncnn_add_layer(ReLU)\nncnn_add_layer(SPP OFF)\nncnn_add_layer(PriorBox)\n"
    )
    assert options.left_out_layers(tmp_path) == ("PriorBox", "SPP")


@pytest.mark.parametrize("architecture", sorted({toolchain.target(abi).architecture for abi in ABIS}))
def test_code_for_one_cpu_is_what_it_runs(architecture: str) -> None:
    """A CPU that has nothing beyond its architecture gets none of the kernels that a portable build has."""
    portable, least = options.kernels(architecture), options.kernels(architecture, frozenset())
    assert "NCNN_RUNTIME_CPU" not in portable
    assert least["NCNN_RUNTIME_CPU"] == "OFF"
    assert portable.keys() & options.KERNELS == {name for name, value in portable.items() if value == "ON"}
    assert set(least.values()) == {"OFF"}


def test_a_kernel_is_built_only_where_all_of_its_features_are() -> None:
    haswell = {"avx", "avx2", "fma", "f16c"}
    avx512 = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
    assert options.kernels("x86", haswell)["NCNN_AVX2"] == "ON"
    assert options.kernels("x86", haswell | (avx512 - {"avx512dq"}))["NCNN_AVX512"] == "OFF"
    assert options.kernels("x86", haswell | avx512)["NCNN_AVX512"] == "ON"
    assert options.kernels("arm64", {"asimdhp"}) == options.kernels("arm64", frozenset()) | {"NCNN_ARM82": "ON"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 fma\n\nprocessor : 1\nflags\t\t: fpu avx2\n", {"fpu", "avx2"}),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp \nCPU part\t: 0xd05\n", {"fp", "asimd", "asimddp"}),
        ("Hardware : Kirin\n", set()),
        ("", set()),
    ],
)
def test_features_are_those_of_all_cores(text: str, wanted: set[str]) -> None:
    assert cpu.features(text) == wanted


def elf(bits: int, machine: int, segments: list[tuple[int, bytes]]) -> bytes:
    """A file of an ELF header, program headers, and what they point to (System V ABI, chapters 4 and 5)."""
    wide = bits == 64
    header_size, entry_size = (64, 56) if wide else (52, 32)
    data_at = header_size + entry_size * len(segments)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    numbers = (2, machine, 1, 0, header_size, 0, 0, header_size, entry_size, len(segments), 0, 0, 0)
    out = ident + struct.pack("<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH", *numbers)
    place = data_at
    for kind, data in segments:
        size = len(data)
        if wide:
            out += struct.pack("<IIQQQQQQ", kind, 0, place, 0, 0, size, size, 1)
        else:
            out += struct.pack("<IIIIIIII", kind, place, 0, 0, size, size, 0, 1)
        place += size
    return out + b"".join(data for _, data in segments)


def dynamic(bits: int, *tags: int) -> bytes:
    return b"".join(struct.pack("<qQ" if bits == 64 else "<iI", tag, 0) for tag in tags)


@pytest.mark.parametrize("bits", [32, 64])
def test_elf_facts(tmp_path: Path, bits: int) -> None:
    cases: list[tuple[list[tuple[int, bytes]], bool]] = [
        ([], True),
        ([(1, b"code")], True),
        ([(1, b"code"), (3, b"/lib/ld.so\0")], False),
        ([(2, dynamic(bits, 5, 6, 0))], True),
        ([(2, dynamic(bits, 5, 1, 0))], False),
        ([(2, dynamic(bits, 0, 1))], True),
    ]
    for segments, static in cases:
        (tmp_path / "program").write_bytes(elf(bits, 183, segments))
        assert read_elf(tmp_path / "program") == Elf(bits, 183, static)


@given(st.integers(0, 200), st.binary(max_size=4))
def test_broken_elf_is_refused(tmp_path_factory: pytest.TempPathFactory, end: int, junk: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "broken"
    whole = elf(64, 62, [(3, b"/lib/ld.so\0"), (2, dynamic(64, 1, 0))])
    path.write_bytes(whole[:end] + junk)
    whole_headers = 64 + 56
    if end + len(junk) <= whole_headers:
        with pytest.raises(CorruptData, match="ELF"):
            read_elf(path)
    else:
        with contextlib.suppress(CorruptData):
            assert not read_elf(path).static


def test_this_python_is_no_static_file() -> None:
    if sys.platform == "linux":
        assert not read_elf(Path(sys.executable).resolve()).static
    else:
        with pytest.raises(CorruptData):
            read_elf(Path(sys.executable).resolve())


def required(names: Iterable[str]) -> set[str]:
    """Those packages and all that they need, in the normal form of their names."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for requirement in metadata.requires(name) or ():
            if "extra ==" not in requirement:
                waiting += re.findall(r"^[\w.-]+", requirement)
    return found


def test_make_installs_what_a_build_imports_before_it_starts_one() -> None:
    makefile = (source_folder().parent / "Makefile").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^BUILD_NEEDS := (.*)$", makefile)[0].split()
    code = (
        "import sys; before = set(sys.modules); import bench.runtimes.ncnn.build, bench.cache, pypi_simple;"
        "print(*{name.split('.')[0] for name in sys.modules.keys() - before})"
    )
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    owners = metadata.packages_distributions()
    needed = {owner.lower().replace("_", "-") for module in imported for owner in owners.get(module, ())}
    assert needed - {"fr-bench"} <= required(listed)
