"""How many bytes of a file are sent where it is packed on the way, as a shop for apps packs what it delivers."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from bench.cache import Cache, content_key
from bench.compress.learner import Stage
from bench.records import Artifact, ArtifactFile
from bench.runtimes.runtime import Program

LEVEL = 19
_CHUNK = 2**20
_SILENT = 4 * 2**20
"""Bytes that are packed in a second or two, without a word."""


def with_downloads(artifact: Artifact, cache: Cache, stage: Stage) -> Artifact:
    """The artifact, each file that a device needs with its size by zstd at level 19. Files are packed once, by their
    content; 3 MB take about a second of a core."""
    packed = {file.sha256: packed_bytes(file, cache, stage) for file in artifact.needed}
    files = tuple(file.model_copy(update={"zstd": packed.get(file.sha256)}) for file in artifact.files)
    return artifact.model_copy(update={"files": files})


def library_bytes(program: Program, cache: Cache, stage: Stage) -> tuple[int, int]:
    """Of what an application would bring of a runtime's program: on the device, and packed likewise."""
    files = program.files if program.library is None else program.library
    return sum(file.bytes for file in files), sum(packed_bytes(file, cache, stage) for file in files)


def packed_bytes(file: ArtifactFile, cache: Cache, stage: Stage) -> int:
    """Its bytes packed by zstd at level 19."""

    def make(folder: Path) -> None:
        import zstandard

        progress = None
        if file.bytes > _SILENT:
            progress = stage(f"pack {file.path.name} as for a download")
        # The frame does not depend on how many threads work at it, from one on.
        packer = zstandard.ZstdCompressor(level=LEVEL, threads=os.cpu_count() or 1).compressobj(size=file.bytes)
        read = size = 0
        with file.path.open("rb") as source:
            while chunk := source.read(_CHUNK):
                size, read = size + len(packer.compress(chunk)), read + len(chunk)
                if progress:
                    progress(read / file.bytes, "")
        (folder / "size").write_text(str(size + len(packer.flush())), encoding="ascii")

    key = content_key(file.sha256, str(LEVEL), metadata.version("zstandard"))
    return int((cache.build("downloads", key, make) / "size").read_text(encoding="ascii"))
