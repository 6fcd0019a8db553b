"""A command of the user's own at the end of a night, e.g. one that tells a chat."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.files import reason
from bench.report.nightly import Nightly

SECONDS = 120.0
"""What it may take; then it is ended, with all that it started."""
_STDERR = 2


def command(text: str) -> tuple[str, ...]:
    """The words of a command line, which no shell will see. Raises UsageError for one that cannot be run: better now
    than at the end of a night."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--on-end {text[:80]!r} is not a command: {error}", "Look at its quotes.") from error
    if not words or shutil.which(words[0]) is None:
        raise UsageError(
            f"--on-end {text[:80]!r}: there is no such program", "Name one on PATH, or the path of one that may be run."
        )
    return words


def call(words: Sequence[str], night: Nightly, files: Mapping[str, Path], seconds: float = SECONDS) -> str:
    """Run the command with the path of nightly.json as its last argument; returns why it failed, or nothing.

    What it prints goes to stderr. It knows the night by BENCH_STATUS, BENCH_EXIT, BENCH_PLAN, BENCH_SENTENCE,
    BENCH_RUN, BENCH_JSON, BENCH_MARKDOWN and BENCH_JUNIT.
    """
    facts = {
        "BENCH_STATUS": night.status, "BENCH_EXIT": str(night.exit), "BENCH_PLAN": night.plan,
        "BENCH_SENTENCE": night.sentence, "BENCH_RUN": str(night.folder or ""),
        **{f"BENCH_{kind.upper()}": str(path) for kind, path in files.items()},
    }  # fmt: skip
    environment = os.environ | {name: value.replace("\0", "") for name, value in facts.items()}
    try:
        process = subprocess.Popen(
            [*words, str(files["json"])], env=environment, stdin=subprocess.DEVNULL, stdout=_STDERR,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return f"it could not be started: {reason(error)}"
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return f"it took more than {seconds:g} s and was ended"
    except KeyboardInterrupt:
        return "it was interrupted"
    finally:
        _end(process)
    return f"it left with status {status}" if status else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of it: also on an interrupt, and what it left in the background."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
