"""Files that a runtime has written, as records."""

from __future__ import annotations

from pathlib import Path

from bench.cache import sha256_file
from bench.records import ArtifactFile


def file_of(path: Path, role: str) -> ArtifactFile:
    """A finished file with its hash; its path in the record is its name alone, within the folder of its artifact."""
    return ArtifactFile(role=role, path=Path(path.name), sha256=sha256_file(path), bytes=path.stat().st_size)
