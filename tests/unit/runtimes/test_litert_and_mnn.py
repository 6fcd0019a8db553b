"""What LiteRT and MNN need here, and what is said where it is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench import runtimes
from bench.cache import Cache
from bench.errors import BuildFailed, ExportRefused, ToolMissing, WrongAbi
from bench.runtimes.litert import exporter as litert
from bench.runtimes.mnn import exporter as mnn
from bench.runtimes.mnn import loadable


def silent(fraction: float, words: str) -> None:
    pass


@pytest.mark.parametrize("name", ["litert", "mnn"])
def test_a_32_bit_phone_is_refused_by_the_abis_that_there_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(WrongAbi, match="armeabi-v7a") as refused:
        runtimes.runtime(name).program(("armeabi-v7a",), False, Cache(tmp_path), silent)
    assert "arm64-v8a, x86_64" in refused.value.fix


def test_without_mnns_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "MNN", None)
    with pytest.raises(ToolMissing, match="MNN, which cannot be found") as refused:
        mnn.convert(tmp_path / "network.onnx", tmp_path / "network.mnn")
    assert refused.value.fix == "pip install 'fr-bench[mnn]'"


def test_packages_that_pip_does_not_find_are_named_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(litert, "PACKAGES", ("bench-has-no-such-package==1.0",))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ToolMissing, match=r"litert-torch, which pip cannot install: .*bench-has-no-such-package"):
        litert._convert([], tmp_path / "error")
    assert not litert.is_there()


def test_a_network_of_another_framework_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match=r"net\.onnx has no torch module"):
        runtimes.runtime("litert").export_given(Path("net.onnx"), (), tmp_path)


def test_what_is_loaded_of_a_library_is_all_that_is_kept(tmp_path: Path) -> None:
    """Of Python's own library or program: it can still be loaded, and is smaller by its symbols."""
    whole = Path(sys.executable).resolve()
    loadable.write(whole, tmp_path / "python")
    assert (tmp_path / "python").stat().st_size <= whole.stat().st_size
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(
        [tmp_path / "python", "-S", "-c", "print(6 * 7)"], env={"PYTHONHOME": sys.base_prefix}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "42\n", done.stderr


def test_a_file_that_is_not_a_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"#!/bin/sh\n" * 20)
    with pytest.raises(BuildFailed, match="text is not a 64-bit ELF file"):
        loadable.write(tmp_path / "text", tmp_path / "made")
