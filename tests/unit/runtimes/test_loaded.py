"""Libraries that are loaded by name: where they are from, and what is refused before anything is pushed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import runtimes
from bench.cache import Cache
from bench.errors import BuildFailed, ToolMissing, WrongAbi
from bench.runtimes.loaded import libc
from bench.runtimes.onnxruntime import source


def silent(fraction: float, words: str) -> None:
    pass


@pytest.mark.usefixtures("no_other_index")
def test_a_library_with_another_check_sum_is_refused_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: tuple[str, Path]
) -> None:
    address, root = served
    name = source.wheel("x86_64").file
    (root / "onnxruntime").mkdir()
    page = f'<!DOCTYPE html><html><body><a href="{name}">{name}</a></body></html>'
    (root / "onnxruntime" / "index.html").write_text(page)
    (root / "onnxruntime" / name).write_bytes(b"not what was published")
    monkeypatch.setenv("PIP_INDEX_URL", address)
    with pytest.raises(BuildFailed, match=r"ONNX Runtime .*its file has SHA-256 .*, not 99e1074c"):
        source.fetch("x86_64", Cache(tmp_path / "cache"), silent)
    assert not [path for path in (tmp_path / "cache" / "onnxruntime").iterdir() if path.is_dir()]


def test_a_32_bit_phone_is_refused_by_the_abis_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(WrongAbi, match="armeabi-v7a") as refused:
        runtimes.runtime("onnxruntime").program(("armeabi-v7a",), False, Cache(tmp_path), silent)
    assert "arm64-v8a, x86_64" in refused.value.fix


def test_another_processors_glibc_without_debians_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    other = next(abi for abi in libc.ABIS if abi != runtimes.host_abi())
    with pytest.raises(ToolMissing, match=f"glibc for {other}") as refused:
        libc.base(other, Cache(tmp_path / "cache"), silent)
    assert "ncnn" in refused.value.fix


def test_this_computers_own_glibc_is_its_loader_and_libraries(tmp_path: Path) -> None:
    found = libc.base(runtimes.host_abi(), Cache(tmp_path), silent)
    assert all(path.is_file() and not path.is_symlink() for path in (found.loader, *found.libraries))
    assert found.origin.startswith("glibc 2.")
    assert list(tmp_path.iterdir()) == []
