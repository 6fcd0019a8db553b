"""What is stored: artifacts, devices, trials, and the raw measurement of each trial.

Derived figures (medians, ratios, verdicts) are other types, in `bench.findings`.

Schema history
    1  first format (2026-11)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

Progress = Callable[[float, str], None]
"""How a long piece of work tells how far it is: a fraction in 0..1 and a few words."""

Pass = Literal["size", "accuracy", "memory", "latency"]
Runtime = Literal["native", "torch"]
Precision = Literal["fp32", "fp16s", "fp16a", "bf16", "int8"]
Execution = Literal["stock", "dense", "factored", "resident"]
WeightsFormat = Literal["ncnn", "frq"]
Task = Literal["classification", "segmentation", "reconstruction", "other"]
"""What a network answers: a class for the input, one for each pixel, the input itself, or anything else."""
Status = Literal["ok", "tagged", "failed"]


class Metric(NamedTuple):
    """One kind of figure: its unit (see `bench.units.quantity`), what it is, which way is better, and the pass that
    measures it (a launch of another pass may report it too; those figures are not kept)."""

    unit: str
    text: str
    better: Literal["lower", "higher", "equal"]
    pass_: Pass


METRICS: dict[str, Metric] = {
    "latency": Metric("ns", "one inference, after warm-up", "lower", "latency"),
    "load": Metric("ns", "graph and weights read, decoded and made ready", "lower", "latency"),
    "decode": Metric("ns", "the part of load that turns coefficients into weights", "lower", "latency"),
    "first_inference": Metric("ns", "the first inference of a fresh process", "lower", "latency"),
    "vm_hwm": Metric("B", "peak resident memory of the process (VmHWM)", "lower", "memory"),
    "pss": Metric("B", "proportional set size after inference (smaps_rollup)", "lower", "memory"),
    "anonymous": Metric("B", "anonymous memory after inference (smaps_rollup)", "lower", "memory"),
    "deployed": Metric("B", "files the variant needs on the device: graph and weights", "lower", "size"),
    "accuracy": Metric("fraction", "top-1, of masks mean Dice, over the test samples", "higher", "accuracy"),
    "agreement": Metric("fraction", "same answer as the desktop torch reference", "equal", "accuracy"),
    "max_abs_delta": Metric("1", "largest |output - reference output|", "lower", "accuracy"),
    "max_abs_reference": Metric("1", "largest |reference output|", "equal", "accuracy"),
}


class Record(BaseModel):
    """Frozen, strict about names, stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tensor(Record):
    """One input or output of a network for one sample: no batch axis, rank 1 to 4."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int32"] = "float32"


class Preprocess(Record):
    """How a picture becomes an input: resize, centre crop, channels, then (value · scale − mean) ÷ deviation.

    `resize` brings the shorter side (`shorter`), or height and width (`exact`), to the input's size or to `size`; pixel
    values are 0 to 255. `mean` and `deviation` have one value, or one a channel.
    """

    resize: Literal["shorter", "exact", "none"] = "shorter"
    size: tuple[int, int] | None = None
    filter: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    channels: Literal["rgb", "bgr", "grey"] | None = None
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)


class ArtifactFile(Record):
    """One file of an artifact. `sha256` is of its bytes; `path` is on this host."""

    role: Literal["graph", "weights", "torchscript"]
    path: Path
    sha256: str
    bytes: int


class Artifact(Record):
    """A variant of a network that a runtime can load, already checked against the torch network.

    Shapes are (C, H, W) for one sample; a flat output is (N,). `deployed` files are graph and weights: what a
    device needs beside the runner. `torchscript` is the traced network, the desktop reference.
    """

    model: str
    variant: str
    files: tuple[ArtifactFile, ...]
    weights_format: WeightsFormat
    execution: Execution
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    task: Task
    parameters: int
    coefficients: int | None = None
    trained: bool = True
    notes: tuple[str, ...] = ()
    verified_max_abs_delta: float
    verified_max_abs_reference: float
    tolerance: float

    def file(self, role: str) -> ArtifactFile:
        """The file with that role. Raises StopIteration when the artifact has none."""
        return next(f for f in self.files if f.role == role)

    @property
    def deployed_bytes(self) -> int:
        return sum(f.bytes for f in self.files if f.role in ("graph", "weights"))


class Cpu(Record):
    """One core as the kernel describes it. Frequencies in kHz; None where the phone does not say."""

    index: int
    name: str
    online: bool = True
    max_khz: int | None = None
    min_khz: int | None = None
    cluster: tuple[int, ...] = ()
    """`related_cpus`: the cores that share this core's clock."""


class Device(Record):
    """A machine that runs trials. Everything measured on a `virtual` one is labelled so everywhere it is shown;
    with `translated` set (machine code emulated, e.g. by qemu-user) its timings mean nothing."""

    serial: str
    kind: Literal["phone", "desktop"]
    name: str
    os: str
    abis: tuple[str, ...]
    virtual: bool = False
    translated: bool = False
    cpus: tuple[Cpu, ...] = ()
    ram_bytes: int | None = None
    facts: dict[str, str] = {}
    """Further facts in the device's own words, e.g. `ro.soc.model`."""


class Trial(Record):
    """One launch of one variant on one device under one setting. `order` is its place in the run."""

    model: str
    variant: str
    device: str
    runtime: Runtime
    pass_: Pass
    threads: int = 1
    precision: Precision = "fp32"
    launch: int = 0
    order: int = 0

    @property
    def id(self) -> str:
        """Unique in a run, e.g. `0007-latency-lenet5-baseline-emulator-5554-native-t1-fp32-l0`."""
        return (
            f"{self.order:04d}-{self.pass_}-{self.model}-{self.variant}-{self.device}-{self.runtime}"
            f"-t{self.threads}-{self.precision}-l{self.launch}"
        )


class Sample(NamedTuple):
    """One raw figure; its unit is `METRICS[metric].unit`. `iteration` counts within the launch."""

    metric: str
    iteration: int
    value: float


class Measurement(Record):
    """All that one trial gave. A failed trial has no samples but a reason; a tagged one has both.

    `runner_s` is the time spent inside the measured process, `wall_s` the whole trial, in seconds.
    """

    trial: Trial
    status: Status
    reason: str = ""
    samples: tuple[Sample, ...] = ()
    conditions: dict[str, Any] = {}
    started: str
    wall_s: float
    runner_s: float = 0.0


class RunRecord(Record):
    """`run.json`: everything about a run except its samples."""

    schema_version: int = SCHEMA_VERSION
    id: str
    name: str
    started: str
    finished: str | None = None
    bench_version: str
    plan: dict[str, Any]
    versions: dict[str, str]
    samples: dict[str, str] = {}
    """Per model: where its input comes from."""
    toolchain: dict[str, dict[str, Any]]
    """Per ABI: how the native runner was built."""
    devices: tuple[Device, ...]
    artifacts: tuple[Artifact, ...]
    transferred_bytes: dict[str, int] = {}
    """Per device: bytes really pushed in this run; 0 when everything was there already."""
    wall_s: float = 0.0
    runner_s: float = 0.0
    preparation_s: float = 0.0
    """Seconds of `wall_s` that went into builds, training and export (0 when cached)."""
    warnings: tuple[str, ...] = ()
