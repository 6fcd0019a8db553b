"""Opening picture files that may be damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from bench.errors import CorruptData


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture in a file; whatever is wrong with it, even while it is decoded, is CorruptData that names it."""
    try:
        with Image.open(path) as picture:
            yield picture
    # Decoders raise more than their base class: SyntaxError for PNG, ValueError and EOFError for sizes and ends.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise CorruptData(
            f"{path} cannot be read as a picture: {error}", "Get the file again, or take it out of the data set."
        ) from error
