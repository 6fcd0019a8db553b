"""Fetching ncnn's source: which indexes are asked, and that nothing but the pinned file is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cache import Cache
from bench.errors import BuildFailed
from bench.runtimes import index
from bench.runtimes.ncnn import source

pytestmark = pytest.mark.usefixtures("no_other_index")


def test_pypi_unless_the_user_says_otherwise() -> None:
    assert index.index_urls() == ("https://pypi.org/simple/",)


def test_the_users_indexes_in_pips_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://one/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://two/simple http://one/simple")
    assert index.index_urls() == ("http://one/simple", "http://two/simple")


def test_the_users_pip_configuration_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = http://mirror/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    assert index.index_urls() == ("http://mirror/simple",)


def test_a_file_with_another_check_sum_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: tuple[str, Path]
) -> None:
    address, root = served
    name = f"ncnn-{source.VERSION}.tar.gz"
    (root / "ncnn").mkdir()
    (root / "ncnn" / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{name}">{name}</a></body></html>')
    (root / "ncnn" / name).write_bytes(b"not what was published")
    monkeypatch.setenv("PIP_INDEX_URL", address)
    with pytest.raises(BuildFailed, match=r"127\.0\.0\.1: its file has SHA-256 .*, not ad8cdd63"):
        source.fetch(Cache(tmp_path / "cache"))
    assert not [path for path in (tmp_path / "cache" / "ncnn-source").iterdir() if path.is_dir()]


@pytest.mark.parametrize("page", [None, "<!DOCTYPE html><html><body></body></html>"])
def test_an_index_without_the_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: tuple[str, Path], page: str | None
) -> None:
    address, root = served
    if page:
        (root / "ncnn").mkdir()
        (root / "ncnn" / "index.html").write_text(page)
    monkeypatch.setenv("PIP_INDEX_URL", address)
    with pytest.raises(BuildFailed, match="no package index gave the source of ncnn") as refused:
        source.fetch(Cache(tmp_path / "cache"))
    assert "PIP_INDEX_URL" in refused.value.fix


def test_no_password_in_the_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: tuple[str, Path]) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", served[0].replace("//", "//me:hunter2@"))
    with pytest.raises(BuildFailed) as refused:
        source.fetch(Cache(tmp_path / "cache"))
    assert "hunter2" not in str(refused.value)
