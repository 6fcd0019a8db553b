"""The one ncnn that every runner is built from: its source distribution on PyPI, pinned by content."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import requests
from pypi_simple import PyPISimple

from bench.cache import Cache, sha256_file
from bench.errors import BuildFailed
from bench.records import Progress

VERSION = "1.0.20261020"
SHA256 = "ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200"
"""Of `ncnn-1.0.20261020.tar.gz` as published, so that the index that serves it need not be trusted."""

_DEFAULT_INDEX = "https://pypi.org/simple/"
_TIMEOUT = 60.0


def index_urls() -> tuple[str, ...]:
    """The package indexes that the user's pip would ask: its main index first, then the extra ones."""
    main = _pip_setting("index-url") or _DEFAULT_INDEX
    return tuple(dict.fromkeys([main, *_pip_setting("extra-index-url").split()]))


def _pip_setting(name: str) -> str:
    """A setting of the user's pip, from the environment or its configuration; empty when it is not set."""
    from_environment = os.environ.get(f"PIP_{name.replace('-', '_').upper()}")
    if from_environment:
        return from_environment
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "get", f"global.{name}"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""


def fetch(cache: Cache, progress: Progress | None = None) -> Path:
    """The folder with ncnn's source, downloaded and unpacked once.

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

    return cache.build("ncnn-source", SHA256[:24], make) / f"ncnn-{VERSION}"


def _download(archive: Path) -> None:
    refusals = []
    for url in index_urls():
        server = urlsplit(url).hostname or url  # the whole address may hold a password
        try:
            _download_from(url, archive)
        except (OSError, ValueError, LookupError) as why:
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


def _download_from(url: str, archive: Path) -> None:
    with requests.Session() as session:
        session.verify = _pip_setting("cert") or True
        client = PyPISimple(endpoint=url, session=session)
        for package in client.get_project_page("ncnn", timeout=_TIMEOUT).packages:
            if package.version == VERSION and package.package_type == "sdist":
                client.download_package(package, archive, verify=False, timeout=_TIMEOUT)
                return
    raise LookupError(f"no source distribution of ncnn {VERSION}")
