"""The job file: what one launch has to do, in the form of device_scripts/runner/contract/contract.h."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import UsageError
from bench.plan import Protocol
from bench.records import Pass

CONTRACT = 3

Mode = Literal["latency", "memory", "accuracy", "sustained", "largest", "layers", "switch", "serve"]
MODES: dict[Pass, Mode] = {
    "accuracy": "accuracy", "memory": "memory", "latency": "latency", "contended": "latency",
    "energy": "sustained", "largest": "largest", "sustained": "sustained", "profile": "layers",
    "switch": "switch",
    "drift": "accuracy",
}  # fmt: skip
"""The mode that a launch of each pass has."""


@dataclass(frozen=True)
class Files:
    """Where a launch finds its files, as paths on its machine. `graph` is the TorchScript file for torch, which has no
    `weights` beside it ("-"); `answers` is written by the accuracy mode, and by that of layers where it is asked to."""

    graph: str
    weights: str
    samples: str
    answers: str


@dataclass(frozen=True)
class Job:
    """One launch. `inputs` and `outputs` are blob names in the network's order; `affinity` is a CPU mask, 0 to leave
    the scheduler alone.

    Each of the next six is for one mode: `beside` copies of the network and `load` threads of other work for latency,
    `seconds` of load for sustained, `extents` (height, width) in pixels of the picture for largest, `layer_answers` for
    layers: whether the values of every layer's outputs are written, `walks` through all capacities for switch.

    With `preprocess` (`Preprocess.instructions`) the samples are a file of pictures, which the runner makes inputs
    itself: of the accuracy mode alone. `stages` is then written, where it is named: what became of the first of them.

    `further` are keys that the artifact adds.
    """

    mode: Mode
    files: Files
    inputs: Sequence[str]
    outputs: Sequence[str]
    weights_format: str
    execution: str
    threads: int = 1
    precision: str = "fp32"
    affinity: int = 0
    beside: int = 0
    load: int = 0
    seconds: int = 0
    extents: tuple[int, int] = (0, 0)
    layer_answers: bool = False
    walks: int = 0
    preprocess: str = ""
    stages: str = ""
    further: Mapping[str, str] = field(default_factory=dict)

    def text(self, protocol: Protocol) -> str:
        """The job file. Raises UsageError for a path that such a file cannot hold."""
        keys: dict[str, object] = {
            "contract": CONTRACT,
            "mode": self.mode,
            "graph": self.files.graph,
            "weights": self.files.weights,
            "weights_format": self.weights_format,
            "execution": self.execution,
            "inputs": _listed(self.inputs),
            "outputs": _listed(self.outputs),
            **self._shown(),
            "threads": self.threads,
            "affinity": f"0x{self.affinity:x}",
            "precision": self.precision,
        }
        if self.mode == "accuracy" or self.layer_answers:
            keys["answers"] = self.files.answers
        if self.mode in ("latency", "layers"):
            keys |= {
                "warmup_iterations": protocol.warmup_iterations,
                "warmup_ms": round(protocol.warmup_seconds * 1000),
                "min_iterations": protocol.min_iterations,
                "min_ms": round(protocol.min_seconds * 1000),
                "max_iterations": protocol.max_iterations,
            }
        if self.mode == "latency":
            keys |= {"beside": self.beside, "load": self.load}
        if self.mode == "sustained":
            keys["seconds"] = self.seconds
        if self.mode == "largest":
            keys["extents"] = "{}x{}".format(*self.extents)
        if self.mode == "switch":
            keys["walks"] = self.walks
        keys |= self.further
        return written(keys)

    def _shown(self) -> dict[str, object]:
        if not self.preprocess:
            return {"samples": self.files.samples}
        stages = {"stages": self.stages} if self.stages else {}
        return {"pictures": self.files.samples, "preprocess": self.preprocess, **stages}


@dataclass(frozen=True)
class Service:
    """One launch that serves several networks at once. `candidates` are the paths of job files of the mode memory on
    the machine; `rates` of each network, in requests a second; `phases` are milliseconds, and for each network which of
    the candidates it is and its share of the processor in thousandths."""

    candidates: Sequence[str]
    rates: Sequence[float]
    period_ms: float
    phases: Sequence[tuple[int, Sequence[tuple[int, int]]]]

    def text(self) -> str:
        """The job file. Raises UsageError for a path that such a file cannot hold."""
        keys: dict[str, object] = {"contract": CONTRACT, "mode": "serve", "candidates": _listed(self.candidates)}
        keys["networks"] = len(self.rates)
        keys |= {f"rate{number}": max(1, round(1000 * rate)) for number, rate in enumerate(self.rates, 1)}
        keys |= {"period_us": round(1000 * self.period_ms), "phases": len(self.phases)}
        for number, (ms, shares) in enumerate(self.phases, 1):
            keys[f"phase{number}"] = ",".join((str(ms), *(f"{candidate}@{share}" for candidate, share in shares)))
        return written(keys)


def written(keys: Mapping[str, object]) -> str:
    """A job file with these keys. Raises UsageError for a value that such a file cannot hold."""
    return "".join(f"{key} = {_checked(str(value))}\n" for key, value in keys.items())


def _listed(names: Sequence[str]) -> str:
    if odd := next((name for name in names if not name or "," in name or name != name.strip()), None):
        raise UsageError(
            f"the name {odd!r} cannot be in a job file's list", "Rename that input or output of the graph."
        )
    return ",".join(names)


def _checked(value: str) -> str:
    """Anything else would be read as another value: blanks at the ends, a comment, a second line."""
    comment = value.startswith("#") or " #" in value or "\t#" in value
    if not value or value != value.strip() or comment or any(ord(character) < 0x20 for character in value):
        raise UsageError(
            f"the name {value!r} cannot be in a job file", "Use a folder without ` #` or control characters."
        )
    return value
