"""Networks as .mnn files: of an ONNX file, by the converter in MNN's own package, in a process of its own."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cache import content_key
from bench.errors import ExportRefused, ToolMissing
from bench.runtimes.mnn.source import VERSION

KEY = content_key(VERSION)
EXTRA = "fr-bench[mnn]"
_CONVERTER = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"
"""What the package's command does, less what that sends to its maker."""
_TIMEOUT_S = 900
_FIX = "Replace that operator, or use another runtime."


@contextmanager
def scratch() -> Iterator[Path]:
    """Where an ONNX file may be written that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-export-") as folder:
        yield Path(folder, "network.onnx")


def need_converter() -> None:
    """Raise ToolMissing where MNN's package is not installed."""
    if importlib.util.find_spec("MNN") is None:
        raise ToolMissing(
            ".mnn files are written with the package MNN, which cannot be found", f"pip install '{EXTRA}'"
        )


def convert(onnx: Path, path: Path) -> None:
    """Write the .mnn file of an ONNX file, with the names of its inputs and outputs.

    Raises ToolMissing, and ExportRefused where MNN's converter cannot.
    """
    need_converter()
    arguments = ["-f", "ONNX", "--modelFile", str(onnx), "--MNNModel", str(path), "--bizCode", "bench"]
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CONVERTER, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ExportRefused(f"MNN's converter has no file after {_TIMEOUT_S // 60} minutes", _FIX) from None
    if done.returncode or not path.is_file():
        raise ExportRefused(f"MNN's converter refuses it: {_reason(done)}", _FIX)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """The line that says most of what went wrong: the first with a word for it, else the last."""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    telling = [
        line for line in lines if any(word in line.lower() for word in ("error", "not support", "can't", "fail"))
    ]
    said = [*telling, *lines[-1:], f"exit status {done.returncode}"][0]
    return re.sub(r"^\[[\d:]+\] *:?\d*:? *", "", said)[:300]
