"""What the tests of the native runner share: the real binary, and writers of its files that know only the documents."""

from __future__ import annotations

import functools
import itertools
import json
import resource
import struct
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from bench.cache import Cache
from bench.runtimes.ncnn.build import build, host_abi

EXITS = {
    "ok": 0,
    "bad_job": 2,
    "missing_file": 3,
    "bad_graph": 4,
    "bad_weights": 5,
    "bad_samples": 6,
    "out_of_memory": 7,
    "unsupported": 8,
    "inference_failed": 9,
    "write_failed": 10,
}


@functools.cache
def runner() -> Path:
    """The runner for this machine; compiled when the cache does not hold it."""
    return build(host_abi(), Cache()).path


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def coefficient_order(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every multi-index, by level and then lexicographic: the definition, by sorting."""
    return sorted(itertools.product(*map(range, shape)), key=lambda index: (sum(index), index))


@dataclass(frozen=True)
class Tensor:
    """One tensor of a package. `positions` (ascending) makes it explicit, else `kind` says prefix or raw."""

    shape: tuple[int, ...]
    values: np.ndarray
    kind: str = "prefix"
    positions: tuple[int, ...] = ()
    half: bool = False
    vector: bool = False
    transposed: bool = False

    def encoded(self) -> bytes:
        """Everything written out: nothing refers to a tensor before."""
        code = {"raw": 0, "prefix": 1, "explicit": 2}[self.kind]
        tag = code | (not self.half) << 2 | self.vector << 3 | self.transposed << 4 | len(self.shape) << 5
        out = bytes([0, tag]) + b"".join(map(varint, self.shape[2:]))
        if self.kind != "raw":
            out += varint(len(self.values))
        channels = self.shape[:2] if self.transposed else self.shape[1::-1]
        out += b"".join(map(varint, channels if len(self.shape) > 1 else self.shape))
        if self.kind == "explicit":
            steps = [self.positions[0], *(b - a for a, b in itertools.pairwise(self.positions))]
            out += b"".join(map(varint, steps))
        return out + self.values.astype("<f2" if self.half else "<f4").tobytes()

    def weight(self) -> np.ndarray:
        """The spatial weight in PyTorch's shape, by scipy's inverse DCT in double precision."""
        values = self.values.astype(np.float16 if self.half else np.float32).astype(np.float64)
        if self.kind == "raw":
            return values.reshape(self.shape)
        full = np.zeros(self.shape)
        order = coefficient_order(self.shape)
        for position, value in zip(self.positions or range(len(values)), values, strict=True):
            full[order[position]] = value
        return scipy.fft.idctn(full, norm="ortho")

    def box(self) -> tuple[int, ...]:
        order = coefficient_order(self.shape)
        kept = [order[p] for p in (self.positions or range(len(self.values)))]
        return tuple(1 + max(index[axis] for index in kept) for axis in range(len(self.shape)))


def vector(values: np.ndarray) -> Tensor:
    return Tensor((len(values),), values, kind="raw", vector=True)


def seal(body: bytes, magic: bytes = b"FRQ2") -> bytes:
    """A package whose checksum is right, whatever its body says."""
    return magic + struct.pack("<I", zlib.crc32(body)) + body


def package(*tensors: Tensor, name: str = "net") -> bytes:
    encoded = name.encode()
    return seal(bytes([len(encoded)]) + encoded + varint(len(tensors)) + b"".join(t.encoded() for t in tensors))


def ncnn_weights(*blobs: tuple[bool, np.ndarray]) -> bytes:
    """An ncnn .bin file of (flagged, values) blobs."""
    return b"".join((b"\0\0\0\0" if flagged else b"") + v.astype("<f4").tobytes() for flagged, v in blobs)


def graph(*layers: str) -> str:
    """A param file; each layer is a line, and its Input layers are part of `layers`."""
    blobs = sum(int(line.split()[3]) for line in layers)
    return "\n".join(["7767517", f"{len(layers)} {blobs}", *layers, ""])


def packed(*inputs: np.ndarray) -> bytes:
    """Inputs of (count, …) each as a packed sample file; whole numbers as int32."""
    stored = [one.astype("<i4" if np.issubdtype(one.dtype, np.integer) else "<f4") for one in inputs]
    out = b"BSMP" + struct.pack("<3I", 2, len(stored[0]), len(stored))
    for one in stored:
        out += struct.pack(f"<{one.ndim + 1}I", one.dtype == "<i4", one.ndim - 1, *one.shape[1:])
    return out + b"".join(one[number].tobytes() for number in range(len(stored[0])) for one in stored)


@dataclass(frozen=True)
class Run:
    status: int
    events: list[dict[str, Any]]
    outputs: np.ndarray | None
    stderr: str

    def event(self, name: str) -> dict[str, Any]:
        return next(e for e in self.events if e["event"] == name)

    @property
    def names(self) -> list[str]:
        return [e["event"] for e in self.events]


def execute(job: Path, memory_limit: int | None = None) -> Run:
    """Runs the binary on a job file and checks what the contract promises of every run, good or bad."""

    def limit() -> None:
        if memory_limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))

    done = subprocess.run([runner(), job], capture_output=True, timeout=120, preexec_fn=limit, check=False)
    events = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert done.returncode in EXITS.values(), (done.returncode, done.stdout, done.stderr)
    assert events[-1]["event"] == "end"
    assert events[-1]["exit"] == done.returncode
    assert events[-1]["status"] == ("ok" if done.returncode == 0 else "error")
    errors = [e for e in events if e["event"] == "error"]
    assert len(errors) == (done.returncode != 0)
    assert all(EXITS[e["kind"]] == done.returncode and e["message"] for e in errors)
    answers = job.with_name("answers.f32")
    values = np.fromfile(answers, "<f4") if done.returncode == 0 and answers.exists() else None
    return Run(done.returncode, events, values, done.stderr.decode(errors="replace"))


def job_text(folder: Path, **changes: Any) -> str:
    """A complete job; `changes` replace keys, or drop them when None."""
    keys: dict[str, Any] = {
        "contract": 3,
        "mode": "accuracy",
        "graph": folder / "net.param",
        "weights": folder / "net.weights",
        "weights_format": "frq",
        "execution": "dense",
        "inputs": "in0",
        "outputs": "out0",
        "samples": folder / "samples.bsmp",
        "threads": 1,
        "affinity": 0,
        "precision": "fp32",
    } | changes
    if keys["mode"] == "accuracy":
        keys.setdefault("answers", folder / "answers.f32")
    if keys["mode"] == "latency":
        for key, value in {"warmup_iterations": 2, "warmup_ms": 1, "min_iterations": 5, "min_ms": 1}.items():
            keys.setdefault(key, value)
        keys.setdefault("beside", 0)
        keys.setdefault("load", 0)
        keys.setdefault("max_iterations", 100)
    return "".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None)


def measure(
    folder: Path,
    param: str,
    weights: bytes,
    samples: np.ndarray | Sequence[np.ndarray],
    memory_limit: int | None = None,
    /,
    **changes: Any,
) -> Run:
    """Writes all the files of a job into `folder` and runs it."""
    (folder / "net.param").write_text(param)
    (folder / "net.weights").write_bytes(weights)
    (folder / "samples.bsmp").write_bytes(packed(*([samples] if isinstance(samples, np.ndarray) else samples)))
    (folder / "job").write_text(job_text(folder, **changes))
    return execute(folder / "job", memory_limit)
