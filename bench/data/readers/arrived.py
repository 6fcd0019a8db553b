"""Files from a phone that may be pictures: told by their content alone, and named after it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from PIL import Image

from bench.data.readers.pictures import decoded
from bench.errors import CorruptData

MOST_PIXELS = 2**26
"""Of a picture that is decoded: what the native runner takes, too."""
_ENDINGS = {
    "JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "GIF": ".gif", "TIFF": ".tif",
    "PPM": ".ppm",
}  # fmt: skip
_DIGITS = 20


def ending(path: Path) -> str:
    """The ending that suits what is in the file, e.g. `.jpg`, after it was decoded whole. Raises CorruptData, whose
    words are of the content alone, for what is no picture, is damaged or has more than MOST_PIXELS."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.init()
            with Image.open(path, formats=[kind for kind in _ENDINGS if kind in Image.OPEN]) as picture:
                kind, (width, height) = picture.format or "", picture.size
    except Exception:  # decoders raise whatever their parsers meet
        raise CorruptData(f"it is not a picture ({_looks(path)})") from None
    if width * height > MOST_PIXELS:
        raise CorruptData(f"it has {width:,}×{height:,} pixels, more than {MOST_PIXELS:,}")
    if kind not in _ENDINGS:
        raise CorruptData(f"it is not a picture ({_looks(path)})")
    try:
        decoded(path)
    except CorruptData as error:
        why = error.what.partition("cannot be read as a picture: ")[2]
        raise CorruptData(f"it is a damaged picture: {why}" if why else "it is a damaged picture") from None
    return _ENDINGS[kind]


def named(sha256: str, end: str) -> str:
    """The name of a picture with that digest."""
    return f"{sha256[:_DIGITS]}{end}"


def digest_in(name: str) -> str | None:
    """The first digits of the digest that a name by `named` tells of; None for another name."""
    found = re.fullmatch(rf"([0-9a-f]{{{_DIGITS}}})\.[a-z]{{3,4}}", name)
    return found[1] if found else None


_KINDS = (
    (b"ftypheic", "HEIC, which bench does not decode: let the camera save JPEG"),
    (b"ftypmif1", "HEIF, which bench does not decode: let the camera save JPEG"),
    (b"ftypavif", "AVIF, which bench does not decode"),
    (b"ftyp", "a film"),
    (b"\x7fELF", "a program"),
    (b"PK\x03\x04", "an archive"),
    (b"%PDF", "a PDF"),
    (b"\xff\xd8\xff", "a damaged JPEG"),
    (b"\x89PNG", "a damaged PNG"),
    (b"<svg", "SVG, which bench does not decode"),
)


def _looks(path: Path) -> str:
    """What a file's first bytes say that it is."""
    with path.open("rb") as file:
        head = file.read(64)
    return next((words for mark, words in _KINDS if mark in head), "its content is of no known kind")
