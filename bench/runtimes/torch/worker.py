"""`python -m bench.runtimes.torch.worker JOB`: torch as a runtime, under the contract of the native runner.

It takes the same job file and prints the same events (device_scripts/runner/contract/contract.h), with a TorchScript
file as the graph, so that the desktop reference is measured in fresh processes just as a phone is. A network's outputs
are those of its tuple, list or dict, nested ones too, in order. It has the modes latency (with nothing beside), memory,
accuracy and sustained (without clocks); of any other job it says that it is unsupported.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

STARTED = time.monotonic_ns()

import numpy as np  # noqa: E402 - imports are part of what a launch costs
import torch  # noqa: E402

CONTRACT = 3
EVENTS = sys.stdout
VALUE_TYPES = ("<f4", "<i4")
UNSUPPORTED = 8
SECOND = 1_000_000_000


def emit(event: str, **fields: Any) -> None:
    EVENTS.write(json.dumps({"event": event, **fields}) + "\n")


def read_job(path: Path) -> dict[str, str]:
    """The job's keys; bench itself wrote the file."""
    lines = (re.sub(r"(?:^|[ \t])#.*", "", line) for line in path.read_text(encoding="utf-8").splitlines())
    return {k.strip(): v.strip() for k, _, v in (line.partition("=") for line in lines if line.strip())}


class Samples:
    """The packed sample file. Not `bench.data.packed`: what that imports would count as memory of the network."""

    def __init__(self, path: str) -> None:
        data = np.memmap(path, np.uint8, "r")
        words = data[: data.size // 4 * 4].view("<u4")
        fields, at = [], 4
        for number in range(int(words[3])):
            dtype, rank = int(words[at]), int(words[at + 1])
            fields.append((str(number), VALUE_TYPES[dtype], tuple(int(n) for n in words[at + 2 : at + 2 + rank])))
            at += 2 + rank
        self._values = data[4 * at :].view(np.dtype(fields))

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, ...]:
        """The inputs of one sample, each with a batch axis of 1; whole numbers as torch wants indices."""
        row = self._values[number : number + 1]
        tensors = [torch.from_numpy(row[name].copy()) for name in row.dtype.names or ()]
        return tuple(one if one.is_floating_point() else one.long() for one in tensors)


def flat(answer: Any) -> list[torch.Tensor]:
    """The tensors of a network's answer, in order."""
    if isinstance(answer, torch.Tensor):
        return [answer]
    parts = answer.values() if isinstance(answer, dict) else answer
    return [tensor for part in parts for tensor in flat(part)]


class Cascade:
    """Two networks as one, as contract.h says: what a phone does, which asks the second only where it has to."""

    def __init__(self, small: Any, robust: Any, threshold: float, temperature: float) -> None:
        self.small, self.robust, self.threshold, self.temperature = small, robust, threshold, temperature
        self.asked = 0

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        answer = flat(self.small(*inputs))
        scores = answer[0].double().flatten() / self.temperature
        self.asked = int(not float(torch.softmax(scores, 0).max()) >= self.threshold)
        return (*(flat(self.robust(*inputs)) if self.asked else answer), torch.tensor([float(self.asked)]))


def cycled(samples: Samples, job: dict[str, str]) -> Iterator[tuple[torch.Tensor, ...]]:
    """The first sample for ever; all of them in turn, spread as the native runner does, where the job cycles."""
    first = samples[0]
    stride = max(1, int(0.618 * len(samples))) if "cycle" in job else 0
    while stride and math.gcd(stride, len(samples)) != 1:
        stride += 1
    at = 0
    while True:
        yield samples[at] if stride else first
        at = (at + stride) % len(samples)


def memory() -> dict[str, int]:
    """Bytes: peak and present resident size, proportional and anonymous; -1 where the system does not report it."""

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


def timed(network: Any, sample: tuple[torch.Tensor, ...]) -> int:
    """The nanoseconds of one inference."""
    before = time.monotonic_ns()
    network(*sample)
    return time.monotonic_ns() - before


def accuracy(network: Any, samples: Samples, path: str) -> None:
    """Write the answers to all samples."""
    counts: list[int] = []
    with Path(path).open("wb") as file:
        for number in range(len(samples)):
            answers = flat(network(*samples[number]))
            counts = [answer.numel() for answer in answers]
            for answer in answers:
                file.write(answer.contiguous().numpy().astype("<f4").tobytes())
        size = file.tell()
    emit("answers", path=path, samples=len(samples), bytes=size, counts=counts)


def latency(network: Any, shown: Iterator[tuple[torch.Tensor, ...]], job: dict[str, str]) -> None:
    """Warm up, measure, then print."""
    begun, count = time.monotonic_ns(), 0
    while count < int(job["warmup_iterations"]) or time.monotonic_ns() - begun < int(job["warmup_ms"]) * 1_000_000:
        timed(network, next(shown))
        count += 1
    emit("warmup", iterations=count, ns=time.monotonic_ns() - begun)
    begun, times, asked = time.monotonic_ns(), list[int](), list[int]()
    while len(times) < int(job["max_iterations"]) and (
        len(times) < int(job["min_iterations"]) or time.monotonic_ns() - begun < int(job["min_ms"]) * 1_000_000
    ):
        times.append(timed(network, next(shown)))
        if isinstance(network, Cascade):
            asked.append(network.asked)
    for i, ns in enumerate(times):
        emit("iteration", i=i, ns=ns, **({"asked": asked[i]} if asked else {}))


def sustained(network: Any, shown: Iterator[tuple[torch.Tensor, ...]], job: dict[str, str]) -> None:
    """Infer without a pause, and print each second as it ends."""
    middle, seconds = statistics.mean if "cycle" in job else statistics.median, int(job["seconds"])
    begun, number, offset = time.monotonic_ns(), 0, 0
    while offset < seconds * SECOND:
        first, times, until = offset, list[int](), (offset // SECOND + 1) * SECOND
        while (offset := time.monotonic_ns() - begun) < until:
            times.append(timed(network, next(shown)))
        median = round(middle(times))
        emit("window", i=number, ns=first, iterations=len(times), median=median, khz=-1)
        EVENTS.flush()
        number += 1


def refusal(job: dict[str, str]) -> str:
    """Why this worker cannot do a job; empty when it can."""
    if job["mode"] not in ("latency", "memory", "accuracy", "sustained"):
        return f"torch has no mode {job['mode']}"
    if job.get("beside", "0") != "0" or job.get("load", "0") != "0":
        return "torch is not measured with others at work beside it"
    return ""


def leave(status: int) -> NoReturn:
    """Taking torch down tidily costs half a second and frees nothing that the system does not."""
    emit("end", status="error" if status else "ok", exit=status, ns=time.monotonic_ns() - STARTED)
    EVENTS.flush()
    os._exit(status)


def main(path: str) -> None:
    sys.stdout = sys.stderr  # where what the network prints does not mix with events
    job = read_job(Path(path))
    if why := refusal(job):
        emit("error", kind="unsupported", message=why)
        leave(UNSUPPORTED)
    torch.set_num_threads(int(job["threads"]))
    if mask := int(job["affinity"], 16):
        os.sched_setaffinity(0, {i for i in range(mask.bit_length()) if mask >> i & 1})
    emit(
        "environment", contract=CONTRACT, runner=f"torch {torch.__version__}", pid=os.getpid(),
        threads=torch.get_num_threads(), precision=job["precision"],
        cpus_allowed=",".join(map(str, sorted(os.sched_getaffinity(0)))) if hasattr(os, "sched_getaffinity") else "",
    )  # fmt: skip
    samples = Samples(job["samples"])
    before = time.monotonic_ns()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is what pnnx reads; both see one file.
        network: Any = torch.jit.load(job["graph"]).eval()  # type: ignore[no-untyped-call]
        if "small_graph" in job:
            small = torch.jit.load(job["small_graph"]).eval()  # type: ignore[no-untyped-call]
            network = Cascade(small, network, float(job["threshold"]), float(job["temperature"]))
    emit("load", ns=time.monotonic_ns() - before)
    with torch.inference_mode():
        first = samples[0]
        emit("first_inference", ns=timed(network, first))
        if job["mode"] == "latency":
            latency(network, cycled(samples, job), job)
        if job["mode"] == "accuracy":
            accuracy(network, samples, job["answers"])
        if job["mode"] == "sustained":
            sustained(network, cycled(samples, job), job)
    emit("memory", **memory())
    leave(0)


if __name__ == "__main__":
    main(sys.argv[1])
