"""`python -m bench.runtimes.torch_worker JOB`: torch as a runtime, under the contract of the native runner.

It takes the same job file and prints the same events (device_scripts/runner/contract.h), with a TorchScript file as the
graph, so that the desktop reference is measured in fresh processes just as a phone is.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

STARTED = time.monotonic_ns()

import numpy as np  # noqa: E402 - imports are part of what a launch costs
import torch  # noqa: E402

_HEADER = np.dtype([("magic", "S4"), ("version", "<u4"), ("shape", "<u4", (4,))])


def emit(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")


def read_job(path: Path) -> dict[str, str]:
    """The job's keys; bench itself wrote the file."""
    lines = (line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines())
    return {k.strip(): v.strip() for k, _, v in (line.partition("=") for line in lines if line.strip())}


def read_samples(path: str) -> torch.Tensor:
    """The packed sample file as (count, C, H, W) float32."""
    data = np.memmap(path, np.uint8, "r")
    header = data[: _HEADER.itemsize].view(_HEADER)[0]
    return torch.from_numpy(data[_HEADER.itemsize :].view("<f4").reshape(header["shape"]).copy())


def memory() -> dict[str, int]:
    """Bytes: peak and present resident size, proportional and anonymous; -1 where the system does not tell."""

    def kilobytes(path: str, key: str) -> int:
        try:
            found = re.search(rf"^{key}:\s*(\d+) kB", Path(path).read_text(), re.MULTILINE)
        except OSError:
            found = None
        return int(found[1]) * 1024 if found else -1

    status, rollup = "/proc/self/status", "/proc/self/smaps_rollup"
    return {
        "vm_hwm": kilobytes(status, "VmHWM"), "rss": kilobytes(status, "VmRSS"),
        "pss": kilobytes(rollup, "Pss"), "anonymous": kilobytes(rollup, "Anonymous"),
    }  # fmt: skip


def timed(network: torch.nn.Module, sample: torch.Tensor) -> tuple[torch.Tensor, int]:
    """One inference and its nanoseconds."""
    before = time.monotonic_ns()
    result = network(sample)
    return result, time.monotonic_ns() - before


def latency(network: torch.nn.Module, sample: torch.Tensor, job: dict[str, str]) -> None:
    """Warm up, measure, then print."""
    begun, count = time.monotonic_ns(), 0
    while count < int(job["warmup_iterations"]) or time.monotonic_ns() - begun < int(job["warmup_ms"]) * 1_000_000:
        timed(network, sample)
        count += 1
    emit("warmup", iterations=count, ns=time.monotonic_ns() - begun)
    begun, times = time.monotonic_ns(), list[int]()
    while len(times) < int(job["max_iterations"]) and (
        len(times) < int(job["min_iterations"]) or time.monotonic_ns() - begun < int(job["min_ms"]) * 1_000_000
    ):
        times.append(timed(network, sample)[1])
    for i, ns in enumerate(times):
        emit("iteration", i=i, ns=ns)


def main(path: str) -> None:
    job = read_job(Path(path))
    torch.set_num_threads(int(job["threads"]))
    if mask := int(job["affinity"], 16):
        os.sched_setaffinity(0, {i for i in range(mask.bit_length()) if mask >> i & 1})
    emit(
        "environment", contract=1, runner=f"torch {torch.__version__}", pid=os.getpid(),
        threads=torch.get_num_threads(), precision=job["precision"],
        cpus_allowed=",".join(map(str, sorted(os.sched_getaffinity(0)))) if hasattr(os, "sched_getaffinity") else "",
    )  # fmt: skip
    samples = read_samples(job["samples"])
    before = time.monotonic_ns()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is what pnnx reads; both see one file.
        network = torch.jit.load(job["graph"]).eval()  # type: ignore[no-untyped-call]
    emit("load", ns=time.monotonic_ns() - before)
    with torch.inference_mode():
        emit("first_inference", ns=timed(network, samples[:1])[1])
        if job["mode"] == "latency":
            latency(network, samples[:1], job)
        if job["mode"] == "accuracy":
            outputs = torch.cat([network(samples[i : i + 1]) for i in range(len(samples))]).numpy().astype("<f4")
            outputs.tofile(job["outputs"])
            emit("outputs", path=job["outputs"], samples=len(samples), bytes=outputs.nbytes)
    emit("memory", **memory())
    emit("end", status="ok", exit=0, ns=time.monotonic_ns() - STARTED)
    sys.stdout.flush()
    os._exit(0)  # Taking torch down tidily costs half a second and frees nothing that the system does not.


if __name__ == "__main__":
    main(sys.argv[1])
