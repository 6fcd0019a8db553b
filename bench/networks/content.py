"""What a file holds, recognised by its first bytes and never by its name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from bench.errors import UsageError
from bench.networks import onnx

Kind = Literal[
    "frq",
    "frq8",
    "frqn",
    "chain",
    "cascade",
    "nested",
    "elm",
    "safetensors",
    "state dict",
    "torchscript",
    "pt2",
    "onnx",
    "ncnn",
    "binary ncnn",
    "damaged archive",
    "unknown",
]
_WORDS: dict[Kind, str] = {
    "frq": "a .frq package",
    "frq8": "a .frq package with coefficients in 8 bits",
    "frqn": "a .frq package with several capacities",
    "chain": "the package of a chain of methods",
    "cascade": "the package of a cascade",
    "nested": "a package of nested capacities",
    "elm": "the package of an extreme learning machine",
    "safetensors": "a safetensors file",
    "state dict": "a file of torch.save, most likely a state dict",
    "torchscript": "a TorchScript network",
    "pt2": "a network of torch.export",
    "onnx": "an ONNX network",
    "ncnn": "an ncnn graph (.param)",
    "binary ncnn": "a binary ncnn graph (.param.bin)",
    "damaged archive": "a damaged or incomplete archive",
    "unknown": "neither a network nor weights",
}
FREQUENCY: tuple[Kind, ...] = ("frq", "frq8", "frqn")
"""Packages of Frequency Regularization, which name their network."""
OF_VARIANTS: tuple[Kind, ...] = ("chain", "cascade", "nested", "elm")
"""Packages that hold what a variant is, and not the weights of the network."""
_NCNN = 7767517
"""The number that an ncnn graph begins with, in text or in four bytes."""


def kind(path: Path) -> Kind:
    """What the file holds. Raises UsageError when it cannot be read."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file", "Name a file in it.")
    if not path.is_file():
        raise UsageError(f"{path} is not a file" if path.exists() else f"there is no file {path}", "Check the path.")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "Check the path and its permissions.") from None
    if head.startswith(b"FRQ"):
        return "frq8" if head[3:4] == b"3" else "frqn" if head[3:4] == b"4" else "frq"
    if head.startswith(b"BCH"):
        return "chain"
    if head.startswith(b"BCA"):
        return "cascade"
    if head.startswith(b"NST"):
        return "nested"
    if head.startswith(b"ELM1"):
        return "elm"
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    if head.startswith(b"\x80\x02"):
        return "state dict"  # of torch before 1.6
    if head[:4] == _NCNN.to_bytes(4, "little"):
        return "binary ncnn"
    if head.split(None, 1)[:1] == [str(_NCNN).encode()]:
        return "ncnn"
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= path.stat().st_size - 8:
        return "safetensors"
    return "onnx" if onnx.looks_like(head) else "unknown"


def _archive(path: Path) -> Kind:
    """torch's three kinds of zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "damaged archive"
    inner = {name.partition("/")[2] for name in names} | set(names)
    if any(name.startswith("code/") for name in inner):
        return "torchscript"
    if "serialized_exported_program.json" in inner or any(
        name.startswith("models/") and name.endswith(".json") for name in inner
    ):
        return "pt2"
    return "state dict" if "data.pkl" in inner else "unknown"


def words(kind: Kind) -> str:
    """The kind in words, after "is"."""
    return _WORDS[kind]
