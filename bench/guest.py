"""The user's own code as a guest in this process: it may neither end it nor write among its results."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import NoReturn

from bench.errors import UsageError
from bench.text import visible


class Exited(UsageError):
    """Guest code called `sys.exit` or `os._exit`, which would have ended bench as if nothing were wrong."""


class Left(SystemExit):
    """Guest code called `os._exit`; `guest` makes an error of it."""


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
    """Run guest code. What it prints goes to stderr. A process that it forks ends where its code does, instead of going
    on as another bench. Raises Exited, with the place, when it exits."""
    own, leave = os.getpid(), os._exit

    def exits(status: int) -> NoReturn:
        if os.getpid() != own:
            leave(status)
        raise Left(status)

    os._exit = exits
    added = [folder for folder in FOLDERS if folder not in sys.path]
    sys.path.extend(added)
    try:
        with redirect_stdout(_Aside()):
            yield
    except SystemExit as error:
        call, depth = ("os._exit", -2) if isinstance(error, Left) else ("sys.exit", -1)
        place = traceback.extract_tb(error.__traceback__)[depth]
        raise Exited(
            f"the network's own code calls {call}({error.code!r:.40}) at {place.filename}:{place.lineno}",
            "Let it raise an error, or return.",
        ) from None
    finally:
        if os.getpid() != own:
            leave(0)
        os._exit = leave
        for folder in added:
            with suppress(ValueError):
                sys.path.remove(folder)
