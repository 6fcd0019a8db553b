"""The user's own code as a guest in this process: it may neither end it nor write among its results."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

from bench.errors import UsageError
from bench.text import visible


class Exited(UsageError):
    """Guest code called `sys.exit`, which would have ended bench as if nothing were wrong."""


class _Aside(io.TextIOBase):
    """Whatever is written goes to stderr, and none of it controls a terminal."""

    def write(self, text: str) -> int:
        sys.stderr.write(visible(text, lines=True))
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()


FOLDERS: list[str] = []
"""Where guest code lives, which may import what lies beside it only when it runs."""


@contextmanager
def guest() -> Iterator[None]:
    """Run guest code. What it prints goes to stderr. Raises Exited, with the place, when it exits."""
    added = [folder for folder in FOLDERS if folder not in sys.path]
    sys.path.extend(added)
    try:
        with redirect_stdout(_Aside()):
            yield
    except SystemExit as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise Exited(
            f"the network's own code calls sys.exit({error.code!r:.40}) at {place.filename}:{place.lineno}",
            "Let it raise an error, or return.",
        ) from None
    finally:
        for folder in added:
            with suppress(ValueError):
                sys.path.remove(folder)
