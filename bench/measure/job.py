"""The job file: what one launch is told, in the form of device_scripts/runner/contract.h."""

from __future__ import annotations

from dataclasses import dataclass

from bench.plan import Protocol
from bench.records import Execution, Trial, WeightsFormat

CONTRACT = 1


@dataclass(frozen=True)
class Files:
    """Where a launch finds its files, as paths on its machine. `graph` is the TorchScript file for torch."""

    graph: str
    weights: str
    samples: str
    outputs: str


def job_text(
    trial: Trial,
    weights_format: WeightsFormat,
    execution: Execution,
    protocol: Protocol,
    files: Files,
    affinity: int = 0,
) -> str:
    """The job file of one launch. `affinity` is a CPU mask, 0 to leave the scheduler alone."""
    keys: dict[str, object] = {
        "contract": CONTRACT,
        "mode": trial.pass_,
        "graph": files.graph,
        "weights": files.weights,
        "weights_format": weights_format,
        "execution": execution,
        "input": "in0",
        "output": "out0",
        "samples": files.samples,
        "threads": trial.threads,
        "affinity": f"0x{affinity:x}",
        "precision": trial.precision,
    }
    if trial.pass_ == "accuracy":
        keys["outputs"] = files.outputs
    if trial.pass_ == "latency":
        keys |= {
            "warmup_iterations": protocol.warmup_iterations,
            "warmup_ms": round(protocol.warmup_seconds * 1000),
            "min_iterations": protocol.min_iterations,
            "min_ms": round(protocol.min_seconds * 1000),
            "max_iterations": protocol.max_iterations,
        }
    return "".join(f"{key} = {value}\n" for key, value in keys.items())
