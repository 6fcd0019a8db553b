"""Folders named after the content that made them: built once, shared by every run, safe between processes."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

from bench.files import digest, ordinary, read_bounded
from bench.records import ArtifactFile

_BENCH = Path(__file__).parent


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    return digest(path)


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


_MANIFEST, _MANIFEST_BYTES = ".manifest.json", 2**26
_HASHED_BYTES, _HASHED_FILES = 64 * 2**20, 64
"""Of a finished thing that is hashed whenever it is used: about 0.1 s. Of a larger one, e.g. a source tree, only files
whose time has changed are."""


class Cache:
    """A folder of finished things, `<root>/<kind>/<key>/`, each with a manifest of its files.

    The default root is the user's cache folder (`XDG_CACHE_HOME` is honoured on Linux). `notes` says in sentences what
    was found damaged and was made again.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.notes: list[str] = []
        self.root = root or Path(platformdirs.user_cache_dir("fr-bench", appauthor=False))

    def path(self, kind: str, key: str) -> Path:
        """Where a thing is when it is finished; it need not exist."""
        return self.root / kind / key

    def build(self, kind: str, key: str, make: Callable[[Path], None]) -> Path:
        """The finished folder; where it is missing or damaged, `make` fills a new one that is then renamed into place.

        One process at a time makes one thing; a `make` that raises leaves nothing behind.
        """
        final = self.path(kind, key)
        if _is_whole(final):
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{final}.lock"):
            if _is_whole(final):
                return final
            if final.exists():
                self.notes.append(f"{final} was damaged and was made again")
                shutil.rmtree(final)
            draft = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=final.parent))
            try:
                make(draft)
                (draft / _MANIFEST).write_text(json.dumps(_manifest(draft)), encoding="utf-8")
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


def _manifest(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time of change in ns and SHA-256 of every file, by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): (*_stamp(path), sha256_file(path)) for path in files}


def _is_whole(folder: Path) -> bool:
    """Whether a finished folder holds what was put there. One that was made before there were manifests is trusted."""
    manifest = folder / _MANIFEST
    if not manifest.exists():
        return folder.is_dir()
    try:
        stored = json.loads(read_bounded(manifest, _MANIFEST_BYTES))
        small = sum(size for size, _, _ in stored.values()) <= _HASHED_BYTES and len(stored) <= _HASHED_FILES
        for name, (size, time, sha256) in stored.items():
            found = _stamp(folder / name)
            if found[0] != size or ((small or found[1] != time) and sha256_file(folder / name) != sha256):
                return False
    except (OSError, ValueError, TypeError, AttributeError):
        return False
    return True


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change of an ordinary file. Raises OSError."""
    found = ordinary(path)
    return found.st_size, found.st_mtime_ns
