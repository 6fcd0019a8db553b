"""The one ncnn that every runner is built from: its source distribution on PyPI, pinned by content."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

from bench.cache import Cache, content_key, sha256_file
from bench.errors import BuildFailed
from bench.records import Progress

VERSION = "1.0.20261020"
SHA256 = "ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200"
"""Of `ncnn-1.0.20261020.tar.gz` as published, so that the index that serves it need not be trusted."""

CORRECTIONS = (
    (
        "src/layer/x86/convolutiondepthwise_x86.cpp",
        "_mm_rcp_ps(_mm_mul_ps(",
        "_mm_div_ps(_mm_set1_ps(1.f), _mm_mul_ps(",
    ),
)
"""What is changed of it before it is compiled: a file, what it says, and what it says then.

The int8 kernel of depthwise convolutions on x86 estimates 1/x to 12 bits, Intel's and AMD's processors each in their
own way, where ncnn's plain C++ and all its ARM kernels divide.
"""

_DEFAULT_INDEX = "https://pypi.org/simple/"
_TIMEOUT = 60.0


def index_urls() -> tuple[str, ...]:
    """The package indexes that the user's pip would ask: its main index first, then the extra ones."""
    return _index_urls(_pip_settings())


def _index_urls(settings: dict[str, str]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys([settings.get("index-url", _DEFAULT_INDEX), *settings.get("extra-index-url", "").split()])
    )


def _pip_settings() -> dict[str, str]:
    """Settings of the user's pip that hold for every command: its configuration files, and over them the environment.

    `pip config get` overlooks the file that PIP_CONFIG_FILE names, `pip config list` does not.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    settings = {
        key: ast.literal_eval(value) for key, value in re.findall(r"(?m)^global\.([a-z-]+)=('.*'|\".*\")$", listed)
    }
    environment = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and value
    }
    return settings | environment


def fetch(cache: Cache, progress: Progress | None = None) -> Path:
    """The folder with ncnn's source, downloaded, unpacked and corrected once.

    Raises BuildFailed when no index gives it, or what it gives has another check sum.
    """

    def make(draft: Path) -> None:
        if progress:
            progress(0.0, f"downloading the source of ncnn {VERSION}")
        archive = draft / "ncnn.tar.gz"
        _download(archive)
        with tarfile.open(archive) as opened:
            opened.extractall(draft, filter="data")
        archive.unlink()
        for name, before, after in CORRECTIONS:
            file = draft / f"ncnn-{VERSION}" / name
            text = file.read_text(encoding="utf-8")
            if before not in text:
                raise BuildFailed(f"ncnn {VERSION} has nothing to correct in {name}", "Compare CORRECTIONS with it.")
            file.write_text(text.replace(before, after), encoding="utf-8")

    return cache.build("ncnn-source", content_key(SHA256, repr(CORRECTIONS)), make) / f"ncnn-{VERSION}"


def corrections(architecture: str) -> tuple[tuple[str, str, str], ...]:
    """Those of CORRECTIONS that concern what is compiled for `x86`, `arm64` or `arm`."""
    return tuple(one for one in CORRECTIONS if f"/{architecture}/" in one[0])


def key(architecture: str) -> str:
    """Of the source as it is compiled for that."""
    own = corrections(architecture)
    return content_key(SHA256, repr(own)) if own else SHA256


def _download(archive: Path) -> None:
    from pypi_simple import NoSuchProjectError, UnsupportedRepoVersionError  # with requests: 0.1 s of every start

    refusals = []
    settings = _pip_settings()
    for url in _index_urls(settings):
        server = urlsplit(url).hostname or url  # the whole address may hold a password
        try:
            _download_from(url, archive, settings.get("cert"))
        except (OSError, ValueError, LookupError, NoSuchProjectError, UnsupportedRepoVersionError) as why:
            refusals.append(f"{server}: {type(why).__name__}")
            continue
        digest = sha256_file(archive)
        if digest == SHA256:
            return
        refusals.append(f"{server}: its file has SHA-256 {digest}, not {SHA256}")
    raise BuildFailed(
        f"no package index gave the source of ncnn {VERSION} ({'; '.join(refusals)})",
        "Check the network, or set PIP_INDEX_URL to a mirror of PyPI that carries source distributions.",
    )


def _download_from(url: str, archive: Path, certificates: str | None) -> None:
    import requests
    from pypi_simple import PyPISimple

    with requests.Session() as session:
        session.verify = certificates or True
        client = PyPISimple(endpoint=url, session=session)
        for package in client.get_project_page("ncnn", timeout=_TIMEOUT).packages:
            if package.version == VERSION and package.package_type == "sdist":
                client.download_package(package, archive, verify=False, timeout=_TIMEOUT)
                return
    raise LookupError(f"no source distribution of ncnn {VERSION}")
