"""Networks as .tflite files: by litert-torch, in a process and with packages of its own.

litert-torch holds typing-extensions below a version that pydantic asks for, so no environment can have both. Its
packages are therefore installed beside this one, into the cache, each pinned and without what they ask for but do not
need to convert; torch and numpy are those of this environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cache import Cache, content_key
from bench.errors import ExportRefused, ToolMissing
from bench.records import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

PACKAGES = (
    "absl-py==2.5.1", "ai-edge-litert==2.3.0", "ai-edge-quantizer==0.10.0", "backports.strenum==1.2.8",
    "flatbuffers==25.12.19", "immutabledict==4.2.1", "jax==0.10.2", "jaxlib==0.10.2", "lark==1.3.1",
    "litert-converter==0.5.0", "litert-torch==0.10.0", "ml_dtypes==0.6.0", "multipledispatch==1.0.0",
    "opt_einsum==3.4.0", "ordered-set==4.1.0", "torchao==0.18.0", "tqdm==4.70.1", "xdsl==0.28.0",
)  # fmt: skip
KEY = content_key(*PACKAGES, f"{sys.implementation.cache_tag}")
_KIND = "litert-exporter"
_INSTALL_S, _CONVERT_S = 1800, 1800
_FIX = "Replace that operator, or use another runtime."


def is_there() -> bool:
    """Whether the packages have been fetched."""
    return Cache().path(_KIND, KEY).is_dir()


def export(
    network: nn.Module, inputs: Sequence[Tensor], samples: Sequence[NDArray[np.generic]], outputs: int, path: Path, *,
    half: bool,
) -> None:  # fmt: skip
    """Write a network that answers with so many `outputs` to samples (N, *shape) of its inputs, as it computes one.

    Inputs are called as `inputs` are, outputs out0, out1, …; the first axis of each is a batch of 1, and the others are
    in torch's order. `half` stores weights as float16 that lose nothing by it. Raises ToolMissing, and ExportRefused
    where torch cannot record the network or litert-torch cannot convert it.
    """
    import torch

    from bench.export import exported

    with (
        exported.recorded(network, samples, ".tflite file", ()) as (program, _),
        tempfile.TemporaryDirectory(prefix="bench-export-") as scratch,
    ):
        stored = Path(scratch, "program.pt2")
        torch.export.save(program, stored)
        names = [",".join(one.name for one in inputs), ",".join(f"out{number}" for number in range(outputs))]
        _convert([stored, path, *names, "half" if half else "whole"], Path(scratch, "error"))


def _convert(arguments: Sequence[str | Path], error: Path) -> None:
    packages = Cache().build(_KIND, KEY, _install)
    worker = Path(__file__).with_name("worker.py")
    own = {"PYTHONPATH": os.fspath(packages), "PYTHONNOUSERSITE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment = os.environ | own
    done = _run([sys.executable, worker, *arguments, error], _CONVERT_S, environment)
    if done is None:
        raise ExportRefused(f"litert-torch has not converted the network after {_CONVERT_S // 60} minutes", _FIX)
    if error.exists():
        words = error.read_text(encoding="utf-8", errors="replace")[:400]
        raise ExportRefused(f"litert-torch refuses it: {words}", _FIX)
    if done.returncode:
        raise ExportRefused(f"litert-torch died while converting the network: {_last(done)}", _FIX)


def _install(draft: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    done = _run([*pip, "--no-compile", "--target", draft, *PACKAGES], _INSTALL_S, dict(os.environ))
    if done is None or done.returncode:
        words = f"no end after {_INSTALL_S} s" if done is None else _last(done)
        raise ToolMissing(
            f".tflite files are written with litert-torch, which pip cannot install: {words}",
            "Check the network, and that pip finds these packages for this Python; or use another runtime.",
        )


def _run(
    command: Sequence[str | Path], seconds: float, environment: dict[str, str]
) -> subprocess.CompletedProcess[str] | None:
    """None when it has not ended in time."""
    settings: dict[str, Any] = {"text": True, "errors": "replace", "stdin": subprocess.DEVNULL, "check": False}
    try:
        return subprocess.run(command, env=environment, capture_output=True, timeout=seconds, **settings)
    except subprocess.TimeoutExpired:
        return None


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return (lines or [f"exit status {done.returncode}"])[-1][:300]
