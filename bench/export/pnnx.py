"""torch or ONNX → ncnn, by the pnnx program that the `pnnx` package carries."""

from __future__ import annotations

import importlib.util
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ExportRefused, ToolMissing
from bench.records import Tensor

DEADLINE_S = 1200.0


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


def convert(source: Path, inputs: Sequence[Tensor], deadline_s: float = DEADLINE_S) -> Converted:
    """Convert a TorchScript or ONNX file for one sample of `inputs`. Raises ToolMissing and ExportRefused."""
    with tempfile.TemporaryDirectory(prefix="pnnx-") as folder:
        # pnnx writes half a dozen files beside its input.
        link = Path(folder, "network").with_suffix(".onnx" if source.suffix == ".onnx" else ".pt")
        link.symlink_to(source.resolve())
        shapes = ",".join(map(_shape, inputs))
        try:
            done = subprocess.run(
                [str(program()), link.name, f"inputshape={shapes}", "fp16=0"],
                cwd=folder, capture_output=True, timeout=deadline_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ExportRefused(
                f"pnnx did not convert {source.name} within {deadline_s:.0f} s",
                "It computes the network once: give it a smaller input, or try again on a quiet computer.",
            ) from None
        except OSError as error:
            raise ToolMissing(f"pnnx does not start: {error}", "pip install --force-reinstall pnnx") from error
        param, weights = Path(folder, "network.ncnn.param"), Path(folder, "network.ncnn.bin")
        # It leaves with 0 after many failures, and may leave files of an unfinished conversion.
        if done.returncode != 0 or not param.is_file() or not weights.is_file() or not param.stat().st_size:
            words = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
            raise ExportRefused(
                f"pnnx could not convert the network (exit {done.returncode}): {' | '.join(words[-3:])[:500]}",
                "The network uses an operation that pnnx or ncnn does not have.",
            )
        return Converted(param.read_text(), weights.read_bytes())


def _shape(tensor: Tensor) -> str:
    kind = "f32" if tensor.dtype == "float32" else "i64"
    return f"[{','.join(map(str, (1, *tensor.shape)))}]{kind}"
