"""Folders named after the content that made them: built once, shared by every run, safe between processes."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

from bench.records import ArtifactFile

_BENCH = Path(__file__).parent


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def file_of(path: Path, role: str) -> ArtifactFile:
    """A finished file of an artifact with its hash; the record's path is its name, within the artifact's folder."""
    return ArtifactFile(role=role, path=Path(path.name), sha256=sha256_file(path), bytes=path.stat().st_size)


def content_key(*parts: str | bytes | Path) -> str:
    """A short hex key of text, bytes and file contents, each with its length, in the order given."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:24]


def own_sources(*rooms: str) -> tuple[Path, ...]:
    """The Python files of these rooms of bench (folders whole, or single files), for the keys of what they make."""
    found: list[Path] = []
    for room in rooms:
        path = _BENCH / room
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return tuple(found)


class Cache:
    """A folder of finished things, `<root>/<kind>/<key>/`.

    The default root is the user's cache folder (`XDG_CACHE_HOME` is honoured on Linux).
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(platformdirs.user_cache_dir("fr-bench", appauthor=False))

    def path(self, kind: str, key: str) -> Path:
        """Where a thing is when it is finished; it need not exist."""
        return self.root / kind / key

    def build(self, kind: str, key: str, make: Callable[[Path], None]) -> Path:
        """The finished folder; when it is missing, `make` fills a new folder that is then renamed into place.

        One process at a time makes one thing; a `make` that raises leaves nothing behind.
        """
        final = self.path(kind, key)
        if final.is_dir():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{final}.lock"):
            if final.is_dir():
                return final
            draft = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=final.parent))
            try:
                make(draft)
                draft.chmod(0o755)
                draft.rename(final)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return final

    def clear(self) -> None:
        """Remove every finished thing. The storage of virtual phones is theirs and stays."""
        for kind in self.root.iterdir() if self.root.is_dir() else ():
            if kind.is_dir() and kind.name not in ("phones", "locks"):
                shutil.rmtree(kind)
