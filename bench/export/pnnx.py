"""torch → ncnn, by the pnnx program that the `pnnx` package carries."""

from __future__ import annotations

import importlib.util
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from bench.errors import ExportRefused, ToolMissing

DEADLINE_S = 300


@dataclass(frozen=True)
class Converted:
    """ncnn's two files: the graph as text, and float32 weights in load order."""

    param: str
    weights: bytes


def program() -> Path:
    """The pnnx program of the installed package, whatever PATH says. Raises ToolMissing."""
    found = importlib.util.find_spec("pnnx")
    for folder in (found.submodule_search_locations or ()) if found else ():
        for name in ("pnnx", "pnnx.exe"):
            if (binary := Path(folder, name)).is_file():
                return binary
    raise ToolMissing("the program pnnx is not installed", "pip install pnnx")


def trace(network: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Record `network` for one input of `shape` (C, H, W), and write the TorchScript file."""
    with warnings.catch_warnings(), torch.no_grad():
        # TorchScript is old but what pnnx reads. The size is fixed on purpose: what follows from it becomes constant.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        traced = torch.jit.trace(network.eval(), torch.zeros(1, *shape), check_trace=False)  # type: ignore[no-untyped-call]
    traced.save(str(path))


def convert(torchscript: Path, shape: tuple[int, ...], deadline_s: float = DEADLINE_S) -> Converted:
    """Convert a TorchScript file for one input of `shape` (C, H, W). Raises ToolMissing and ExportRefused."""
    with tempfile.TemporaryDirectory(prefix="pnnx-") as folder:
        # pnnx writes half a dozen files beside its input.
        link = Path(folder, "network.pt")
        link.symlink_to(torchscript.resolve())
        size = ",".join(map(str, (1, *shape)))
        try:
            done = subprocess.run(
                [str(program()), link.name, f"inputshape=[{size}]", "fp16=0"],
                cwd=folder, capture_output=True, timeout=deadline_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ExportRefused(f"pnnx did not convert {torchscript.name} within {deadline_s:.0f} s") from None
        except OSError as error:
            raise ToolMissing(f"pnnx does not start: {error}", "pip install --force-reinstall pnnx") from error
        param, weights = Path(folder, "network.ncnn.param"), Path(folder, "network.ncnn.bin")
        # It leaves with 0 after many failures, and may leave files of an unfinished conversion.
        if done.returncode != 0 or not param.is_file() or not weights.is_file() or not param.stat().st_size:
            words = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
            raise ExportRefused(
                f"pnnx could not convert the network (exit {done.returncode}): {' | '.join(words[-3:])}",
                "The network uses an operation that pnnx or ncnn does not have.",
            )
        return Converted(param.read_text(), weights.read_bytes())
