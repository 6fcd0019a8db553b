"""Headers of GNU's C++ library for backends in C++."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench import runtimes
from bench.cache import Cache
from bench.errors import ToolMissing
from bench.runtimes.loaded import headers, libc


def silent(fraction: float, words: str) -> None:
    pass


def test_without_debians_tools_the_headers_are_named_as_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"headers of GNU's C\+\+ library for .*no apt-get") as refused:
        headers.headers(runtimes.host_abi(), Cache(tmp_path / "cache"), silent)
    assert "Debian" in refused.value.fix


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="they come from Debian's packages")
@pytest.mark.parametrize("abi", libc.ABIS)
def test_they_are_for_the_abi_and_come_with_the_library_that_is_pushed(abi: str) -> None:
    found = headers.headers(abi, Cache(), silent)
    assert (found.includes[0] / "vector").is_file()
    assert (found.includes[1] / "bits" / "c++config.h").is_file()
    assert found.libraries[0] in libc.base(abi, Cache(), silent).libraries
