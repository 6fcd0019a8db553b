"""Pictures of some samples in the folder of a run: PNG files in `pictures/`, and a line for each in `pictures.jsonl`.

They are small, and nothing but a page's illustrations: no figure is computed from them. A folder without them is whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from pydantic import ValidationError

from bench.files import read_bounded, replace
from bench.records import SCHEMA_VERSION, Record, Subject

SIDE = 256
"""Pixels that a stored picture is wide and high at most."""
_MOST_BYTES, _MOST_LINE_BYTES = 2**20, 2**24
_SIGNATURE = b"\x89PNG\r\n\x1a\n"

Kind = Literal["input", "truth", "reference", "answer", "corrupted"]
"""What the network was shown; what is right; what the eager network answers; what a subject answered; what a corruption
makes of an input."""


class PictureRecord(Record):
    """One stored picture: of sample `index` of a network. `variant` where it is of an answer, and `subject` where that
    came from a launch. `worst` says that the sample was chosen for bad answers, and not by lot. A corrupted one names
    its `corruption` and `severity`."""

    schema_version: int = SCHEMA_VERSION
    model: str
    index: int
    kind: Kind
    variant: str = ""
    subject: Subject | None = None
    worst: bool = False
    corruption: str = ""
    severity: int = 0
    file: str


class Stored(NamedTuple):
    record: PictureRecord
    png: bytes


class Pictures:
    """The pictures of the run in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(
        self, picture: Image.Image, model: str, index: int, kind: Kind, *, subject: Subject | None = None,
        variant: str = "", worst: bool = False, corruption: str = "", severity: int = 0,
    ) -> None:  # fmt: skip
        """Store a picture, made no larger than SIDE. One with a palette, or of classes (mode L), keeps its values."""
        variant = subject.variant if subject else variant
        name = "-".join(filter(None, (model, variant, kind, corruption, str(index))))
        of = [corruption, severity] if kind == "corrupted" else []
        place = json.dumps([model, variant, subject.model_dump() if subject else None, kind, index, *of])
        stem = f"{re.sub(r'[^A-Za-z0-9._]+', '-', name)[:80]}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
        (self._folder / "pictures").mkdir(exist_ok=True)
        record = PictureRecord(
            model=model, index=index, kind=kind, variant=variant, subject=subject, worst=worst,
            corruption=corruption, severity=severity,
            file=f"pictures/{stem}.png",
        )  # fmt: skip
        out = io.BytesIO()
        picture.save(out, format="PNG", optimize=True)
        replace(self._folder / record.file, out.getvalue())
        with (self._folder / "pictures.jsonl").open("a", encoding="utf-8") as lines:
            # A process that was killed may have left half a line.
            lines.write(("\n" if _is_open(self._folder / "pictures.jsonl") else "") + record.model_dump_json() + "\n")

    def read(self) -> tuple[Stored, ...]:
        """All pictures that are there and whole; what is damaged or gone is left out, for it illustrates and proves
        nothing."""
        return tuple({one.record.file: one for one in self._read()}.values())  # a resumed run adds some again

    def _read(self) -> Iterator[Stored]:
        try:
            lines = read_bounded(self._folder / "pictures.jsonl", _MOST_LINE_BYTES).splitlines()
        except OSError:
            return
        for line in lines:
            try:
                record = PictureRecord.model_validate_json(line)
                if not re.fullmatch(r"pictures/[A-Za-z0-9._-]+\.png", record.file):
                    continue
                png = read_bounded(self._folder / record.file, _MOST_BYTES)
            except (ValidationError, OSError):
                continue
            if png.startswith(_SIGNATURE) and _is_small(png):
                yield Stored(record, png)


def _is_open(path: Path) -> bool:
    """Whether the last line of a file has no end."""
    with path.open("rb") as file:
        if not file.seek(0, io.SEEK_END):
            return False
        file.seek(-1, io.SEEK_END)
        return file.read() != b"\n"


def _is_small(png: bytes) -> bool:
    """Whether it can be decoded and is no larger than ours are."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            if max(picture.size) > SIDE:
                return False
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
