"""ncnn on the GPU, before anything is built: where it runs, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import runtimes
from bench.cache import Cache
from bench.errors import ToolMissing, WrongAbi
from bench.runtimes.ncnn import options

MEMBER = runtimes.runtime("ncnn-vulkan")


def silent(fraction: float, words: str) -> None:
    pass


def test_it_runs_on_phones_only_where_an_ndk_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ANDROID_NDK_HOME", raising=False)
    assert MEMBER.places == {"desktop"}
    assert "ncnn-vulkan" not in runtimes.on("phone")
    with pytest.raises(ToolMissing, match="no NDK is given") as refused:
        MEMBER.program(("arm64-v8a",), False, Cache(tmp_path), silent)
    assert refused.value.fix == "Set ANDROID_NDK_HOME to an Android NDK."
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    assert MEMBER.places == {"desktop", "phone"}
    with pytest.raises(ToolMissing, match="which is not an Android NDK"):
        MEMBER.program(("arm64-v8a",), False, Cache(tmp_path), silent)


def test_what_has_no_vulkan_is_refused_by_the_abis_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(WrongAbi, match="it runs macos-arm64") as refused:
        MEMBER.program(("macos-arm64",), True, Cache(tmp_path), silent)
    assert "on Linux" in refused.value.fix


def test_its_networks_are_ncnns_own_ones() -> None:
    ncnn = runtimes.runtime("ncnn")
    assert MEMBER.key() == ncnn.key()
    assert (MEMBER.roles, MEMBER.graphs) == (ncnn.roles, ncnn.graphs)
    assert MEMBER.packages == {"runtime"}


def test_a_build_for_gpus_differs_from_the_ordinary_one_by_vulkan_alone() -> None:
    both = options.COMMON | options.GPU
    assert {name for name in options.COMMON if both[name] != options.COMMON[name]} == {"NCNN_VULKAN"}
