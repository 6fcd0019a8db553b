"""What is stored: artifacts, devices, trials, and the raw measurement of each trial.

Derived figures (medians, ratios, verdicts) are other types, in `bench.findings`.

Schema history
    1  first format (2026-11)
    2  a trial holds its subject and has an id that does not depend on its place in the run; answers are stored per
       sample and scored by `analyse`; artifacts are per runtime, with any number of inputs and outputs (2026-11-26)
    3  four more passes (contended, sustained, energy, largest) and their metrics (2026-11-26)
    4  the pass profile: its metrics, and the layers of each of its launches (2026-11-26)
    5  artifacts with further files and job options: networks with capacities, and several networks as one (2026-11-27)

Older runs are migrated when they are read (`bench.results.migrate`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bench.confidence import Calibration, Cascade
from bench.corrupted import DriftRecord
from bench.preprocess import Preprocess

SCHEMA_VERSION = 5

Progress = Callable[[float, str], None]
"""How a long piece of work tells how far it is: a fraction in 0..1 and a few words."""

MATCHED = 0.02
"""Files whose bytes differ by no more than this part from those asked for match."""

Pass = Literal[
    "size", "accuracy", "memory", "latency", "contended", "energy", "largest", "sustained", "profile", "switch", "drift"
]
"""What a launch is for. The last seven are done where a plan asks for them: latency with others at work beside, energy
of an inference, the largest picture that memory allows, latency under load that goes on, the time of each layer, that
of a change of capacity, and answers to corrupted samples."""
Precision = Literal["fp32", "fp16s", "fp16a", "bf16", "int8"]
WeightsFormat = Literal["runtime", "frq", "nested", "elm"]
"""Whether weights are in the runtime's own format, or in a package (docs/formats/)."""
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
    "asked_inference": Metric(
        "count", "1 for an inference in which a cascade asked its second network", "equal", "latency"
    ),
    "clock": Metric("Hz", "mean clock of the cores that it ran on while it was timed", "equal", "latency"),
    "vm_hwm": Metric("B", "peak resident memory of the process (VmHWM)", "lower", "memory"),
    "pss": Metric("B", "proportional set size after inference (smaps_rollup)", "lower", "memory"),
    "anonymous": Metric("B", "anonymous memory after inference (smaps_rollup)", "lower", "memory"),
    "contended": Metric("ns", "one inference with others at work beside it", "lower", "contended"),
    "sustained": Metric("ns", "one inference under load that goes on: the median of each second", "lower", "sustained"),
    "sustained_clock": Metric("Hz", "clock of its core in each second of the load", "equal", "sustained"),
    "sustained_skin": Metric("°C", "skin temperature in seconds of the load", "equal", "sustained"),
    "sustained_status": Metric("count", "Android's thermal status in seconds of the load", "equal", "sustained"),
    "energy": Metric("J", "one inference, what the idle phone takes subtracted", "lower", "energy"),
    "largest_picture": Metric("px", "pixels of the largest square picture that memory allows", "higher", "largest"),
    "layers": Metric("ns", "one inference layer by layer: the sum of its layers' medians", "lower", "profile"),
    "layered": Metric("ns", "one inference, as a whole, whose layers are timed", "lower", "profile"),
    "plain": Metric("ns", "one ordinary inference between two that are timed layer by layer", "lower", "profile"),
    "switch": Metric("ns", "from a capacity beside this one to this one, until it can infer", "lower", "switch"),
    "switch_first": Metric("ns", "the first inference after such a change", "lower", "switch"),
    "paged": Metric("B", "weights that such a change brings in or drops", "lower", "switch"),
    "capacity_bytes": Metric("B", "weights in the package that this capacity is made of", "lower", "switch"),
    "deployed": Metric("B", "files the variant needs on the device: graph and weights", "lower", "size"),
    "downloaded": Metric("B", "the same files, each packed by zstd -19", "lower", "size"),
    "top1": Metric("fraction", "the right class is the largest output", "higher", "accuracy"),
    "top5": Metric("fraction", "the right class is among the five largest outputs", "higher", "accuracy"),
    "dice": Metric("fraction", "mean Dice of masks", "higher", "accuracy"),
    "iou": Metric("fraction", "intersection over union of masks, mean over classes", "higher", "accuracy"),
    "psnr": Metric("dB", "peak signal-to-noise ratio against the target picture", "higher", "accuracy"),
    "ssim": Metric("fraction", "structural similarity with the target picture", "higher", "accuracy"),
    "confidence": Metric("fraction", "mean probability that the network gives its answer", "equal", "accuracy"),
    "ece": Metric("fraction", "expected calibration error", "lower", "accuracy"),
    "calibrated_ece": Metric("fraction", "expected calibration error at its own temperature", "lower", "accuracy"),
    "asked": Metric("fraction", "samples for which a cascade asks its ordinary network", "equal", "accuracy"),
    "agreement": Metric("fraction", "same answer as the eager network on the desktop", "equal", "accuracy"),
    "max_abs_delta": Metric("1", "largest |output - reference output|", "lower", "accuracy"),
    "max_abs_reference": Metric("1", "largest |reference output|", "equal", "accuracy"),
    "drift_score": Metric("fraction", "mean score over all corruptions and severities", "higher", "drift"),
    "drift_agreement": Metric("fraction", "same answer to the corrupted sample as to the clean one", "higher", "drift"),
}

SIZES = tuple(name for name, metric in METRICS.items() if metric.pass_ == "size")
"""Metrics of files, which are the same whatever runs them with however many threads."""
ONE_LAUNCH = frozenset(name for name, metric in METRICS.items() if metric.pass_ in ("sustained", "drift"))
"""Metrics of launches that are not repeated: windows of one, or a set of samples each. What they tell is
`bench.analyse.sustained` and `bench.analyse.drift`."""


class Record(BaseModel):
    """Frozen, strict about names, stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tensor(Record):
    """One input or output of a network for one sample: no batch axis, rank 1 to 4."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int32"] = "float32"


class ArtifactFile(Record):
    """One file of an artifact. `role` is what its runtime calls it, `sha256` is of its bytes, `path` on this host.

    `zstd` are the bytes of the same file packed by zstd at level 19, as a shop for apps would send it; None where
    nobody packed it.
    """

    role: str
    path: Path
    sha256: str
    bytes: int
    zstd: int | None = None


class Verified(Record):
    """How one output of an artifact compared with the eager network's, over all samples, before anything was deployed.

    `max_abs_delta` is the largest difference, `max_abs_reference` the largest |output|. `headroom` is the largest
    difference as a share of what was allowed where it occurred: at most 1.
    """

    output: str
    max_abs_delta: float
    max_abs_reference: float
    headroom: float


class Made(Record):
    """How the package of a variant was made, which is what equal effort means: `epochs` of training or fine-tuning over
    `pictures`, with or without their `labels`, by `seed`.

    The training of the ordinary network, which all methods have in common, is in none of these figures. `seconds` are
    those that it took where it was made, trainings included, however often they were interrupted. `shipped` is how many
    bytes its files were asked to have on a device, which `target` of the package was fitted to.
    """

    method: str
    target: str | None = None
    seed: int
    epochs: int
    pictures: int
    labels: bool
    seconds: float | None = None
    shipped: int | None = None


class Artifact(Record):
    """A variant of a network in the form that one runtime loads, already checked against the eager network.

    `ordinary` marks the variant that others are compared with. `execution` and `weights_format` are for the runner's
    job; `deployed` are the roles of the files that a device needs beside the runner. `coefficients` are FR's.
    """

    model: str
    variant: str
    runtime: str
    ordinary: bool
    files: tuple[ArtifactFile, ...]
    deployed: tuple[str, ...]
    weights_format: WeightsFormat = "runtime"
    execution: str = "stock"
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    task: Task
    parameters: int | None = None
    macs: int | None = None
    coefficients: int | None = None
    trained: bool = True
    side_step: int | None = None
    """The same files take any picture whose sides differ from those of `inputs` by multiples of it; None where they are
    for that size alone."""
    width: str | None = None
    """What was asked for and what came of it, where it is computed at less than its whole width."""
    made: Made | None = None
    """None for the ordinary network, and for a finished package of which nobody says how it was made."""
    precision: Precision | None = None
    """What its runtime computes it in, where that follows from its form and not from the plan."""
    options: dict[str, str] = {}
    """Further keys of the runner's job; so are the roles in `deployed` that are not the runtime's own, with the path of
    their file."""
    calibration: Calibration | None = None
    """Temperatures of its confidence, where a part of its data was held out to fit them on."""
    cascade: Cascade | None = None
    """Its two networks, where it is a cascade; its last output is then 1 where the ordinary network was asked, else
    0."""
    notes: tuple[str, ...] = ()
    verified: tuple[Verified, ...] = ()

    def file(self, role: str) -> ArtifactFile:
        """The file with that role. Raises StopIteration when the artifact has none."""
        return next(f for f in self.files if f.role == role)

    @property
    def needed(self) -> tuple[ArtifactFile, ...]:
        """The files that a device needs beside the runner."""
        return tuple(f for f in self.files if f.role in self.deployed)

    @property
    def deployed_bytes(self) -> int:
        return sum(f.bytes for f in self.needed)

    @property
    def missed(self) -> float | None:
        """How much larger its files are than they were asked to be, as a part of that (0.05: 5 % larger, negative:
        smaller), where that is more than what counts as the same bytes; None where they match or nothing was asked."""
        if self.made is None or self.made.shipped is None:
            return None
        apart = self.deployed_bytes / self.made.shipped - 1
        return apart if abs(apart) > MATCHED else None

    @property
    def downloaded_bytes(self) -> int | None:
        """Of the same files, each packed as a download would be; None where one of them was not packed."""
        packed = [f.zstd for f in self.needed]
        return None if None in packed else sum(filter(None, packed))


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

    @property
    def memory_counts(self) -> bool:
        """Whether memory measured there is the measured program's own: not where a translator lives in its process. A
        whole emulated machine has memory of its own."""
        return not self.translated or self.facts.get("ro.bench.translation") == "qemu-system"


class Subject(Record):
    """What was measured, and where and how it ran. `model` and `variant` are labels that are unique in a run;
    `precision` is what the plan asks for, which an artifact may have its own of."""

    model: str
    variant: str
    device: str
    runtime: str
    threads: int = 1
    precision: Precision = "fp32"


class Trial(Record):
    """One launch of one subject. `order` is its place in the run, which its id does not depend on."""

    subject: Subject
    pass_: Pass
    launch: int = 0
    order: int = 0

    @property
    def id(self) -> str:
        """Unique in a run, the same in a resumed one, e.g. `latency/lenet5/baseline/emulator-5554/ncnn/t1/fp32/0`."""
        s = self.subject
        place = f"{s.model}/{s.variant}/{s.device}/{s.runtime}/t{s.threads}/{s.precision}"
        return f"{self.pass_}/{place}/{self.launch}"

    @property
    def file_stem(self) -> str:
        """The id as the name of a file: readable, and still unique."""
        words = re.sub(r"[^A-Za-z0-9._]+", "-", self.id)[:80]
        return f"{words}-{hashlib.sha256(self.id.encode()).hexdigest()[:12]}"


Answers = Mapping[str, NDArray[Any]]
"""What a network answered in one accuracy trial: for each fact (`bench.measure.answers`) a value a sample."""


@dataclass(frozen=True, eq=False)
class Expected:
    """What is known of the right answers to N samples: what the eager network answers, per output (N, *shape) float32;
    and the labels, where there are any (see `bench.data.SampleSet`)."""

    outputs: tuple[NDArray[Any], ...]
    labels: NDArray[Any] | None
    doubts: tuple[NDArray[Any], ...] = ()
    """How much further than rounding explains each sample's values of an output may be from it, (N,); see
    `bench.export.steps`."""


class Sample(NamedTuple):
    """One raw figure; its unit is `METRICS[metric].unit`. `iteration` counts within the launch."""

    metric: str
    iteration: int
    value: float


class Measurement(Record):
    """All that one trial gave. A failed trial has no samples but a reason, and in `fault` the kind of error, e.g.
    "TransportBroken"; a tagged one has samples and a reason.

    `runner_s` is the time spent inside the measured process, `wall_s` the whole trial, in seconds.
    """

    trial: Trial
    status: Status
    reason: str = ""
    fault: str = ""
    samples: tuple[Sample, ...] = ()
    conditions: dict[str, Any] = {}
    started: str
    wall_s: float
    runner_s: float = 0.0


GateState = Literal["ok", "warn", "unknown", "unfit", "bad"]
"""`warn` is worth knowing and refuses nobody; `unfit` tags what is measured, and a strict run refuses it, as it refuses
what is `unknown` of a real phone; with `bad` nothing can run."""


class Gate(Record):
    """One thing that has to hold of a phone before it is measured: what was `found`, and what to do about it.

    `waits`: it may pass by itself, so that waiting helps.
    """

    name: str
    state: GateState
    found: str
    advice: str = ""
    waits: bool = False


class SamplesRecord(Record):
    """What a network was shown in a run: `count` samples of `source`, made into inputs by `preprocess`."""

    source: str
    count: int
    labelled: bool
    classes: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    sha256: str = ""
    """Of the packed samples, where a run was measured."""
    unaltered: dict[str, tuple[float, ...]] = {}
    """Where an answer has the input's shape: the facts of each sample's input, were it the answer. It is what
    can be had without any network."""
    drift: DriftRecord | None = None
    """Where the run measured drift: the part of the samples that was corrupted, and how."""


class NoiseRecord(Record):
    """What was known of the noise of a place when a run began: `bench.findings.Noise`, for one metric."""

    device: str
    runtime: str
    metric: str
    launch: float
    launch_freedom: int
    run: float | None = None
    run_freedom: int = 0


class GoalRecord(Record):
    """What came of launches that went on until each ratio to the ordinary network was known closely enough, in one
    place (a device, a runtime and a setting).

    `wanted` and `reached` are half the width of the 95 % interval of a ratio over that ratio; `reached` is that of the
    `variant` whose ratio is known least, None where it never had an interval. A network without a variant to compare
    has its own median instead of a ratio (`of`). `launches` is how many that variant had that count, `seconds` the time
    spent beyond the planned ones. `ended` says why it went no further: the goal was reached, the budget was spent, no
    more launches are allowed, the latest launches were all tagged for the `reason`, all launches failed, or the run was
    interrupted.
    """

    model: str
    device: str
    runtime: str
    threads: int = 1
    precision: Precision = "fp32"
    variant: str
    of: Literal["ratio", "median"] = "ratio"
    wanted: float
    reached: float | None
    launches: int
    seconds: float
    ended: Literal["reached", "budget", "launches", "tagged", "failed", "interrupted"]
    reason: str = ""


class RunRecord(Record):
    """`run.json`: everything about a run except its samples.

    `reference` names the runtime that stands for the network as its author runs it. Bytes in `transferred_bytes` were
    really pushed in this run: 0 when everything was there already. Of `wall_s`, `preparation_s` went into builds,
    training and export, and `runner_s` was spent inside measured processes. `damaged` has, by device, the artifacts
    (`model/variant`) of which a file there was found changed at the end: what they took is not theirs. `commit` is that
    of the git repository that bench was started in, with `+` for uncommitted changes; empty outside of one. `noise` is
    what the history knew of these devices. `goals` are those of networks whose launches went on until ratios were
    known. `command` is the command line that started the run, word by word.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    name: str
    started: str
    finished: str | None = None
    bench_version: str
    plan: dict[str, Any]
    reference: str
    versions: dict[str, str]
    samples: dict[str, SamplesRecord] = {}
    toolchain: dict[str, dict[str, Any]]
    """How each runtime's program was built, per `runtime, device`."""
    absent: dict[str, str] = {}
    """Why a variant that was asked for could not be made, by `model/variant`; for one of its runtimes alone, with
    ` by runtime` behind that."""
    programs: dict[str, tuple[str, ...]] = {}
    """SHA-256 of the files of each runtime's program, per `runtime, device`."""
    libraries: dict[str, tuple[int, int]] = {}
    """Bytes of what an application would bring of each runtime's program, and those packed by zstd at level 19, per
    `runtime, device`."""
    devices: tuple[Device, ...]
    artifacts: tuple[Artifact, ...]
    transferred_bytes: dict[str, int] = {}
    wall_s: float = 0.0
    runner_s: float = 0.0
    preparation_s: float = 0.0
    notes: tuple[str, ...] = ()
    damaged: dict[str, tuple[str, ...]] = {}
    commit: str = ""
    noise: tuple[NoiseRecord, ...] = ()
    goals: tuple[GoalRecord, ...] = ()
    preflight: dict[str, tuple[Gate, ...]] = {}
    """By phone, what was looked at before anything was deployed."""
    command: tuple[str, ...] = ()
