"""How the report names things: places, settings, models, figures. Every label of something virtual says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.contest import MAIN_SCORES
from bench.findings import Comparison, Findings, Interval
from bench.plan import Plan
from bench.records import METRICS, Device, RunRecord, Subject, Task
from bench.units import quantity

UNTRAINED = "untrained: speed and fidelity only"
SHORT = {
    "latency": "latency",
    "contended": "latency beside others",
    "vm_hwm": "peak RSS",
    "deployed": "bytes deployed",
    "downloaded": "bytes downloaded",
    "load": "load",
    "first_inference": "first inference",
    "top1": "accuracy",
    "top5": "top-5",
    "dice": "Dice",
    "iou": "IoU",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "confidence": "confidence",
    "ece": "calibration error",
    "calibrated_ece": "calibration error, scaled",
    "asked": "asked",
    "agreement": "agreement",
    "max_abs_delta": "max |Δ|",
}
"""The metrics that tables show, in their order."""


class Labels:
    """The names of one run's subjects, as short as they can be without being mistaken for each other."""

    def __init__(self, run: RunRecord, findings: Findings) -> None:
        self._devices: dict[str, Device] = {d.serial: d for d in run.devices}
        self._reference = run.reference
        self._trained = {(a.model, a.variant): a.trained for a in run.artifacts}
        self._ordinary = {(a.model, a.variant) for a in run.artifacts if a.ordinary}
        self._tasks: dict[str, Task] = {a.model: a.task for a in run.artifacts}
        self._threads = {s.threads for s in findings.subjects}
        self._precisions = {s.precision for s in findings.subjects}
        on_phones = {s.runtime for s in findings.subjects if self.is_phone(s.device)}
        self._runtime_named = len(on_phones) > 1 or not on_phones <= {Plan.model_fields["runtime"].default}

    def is_phone(self, serial: str) -> bool:
        return serial in self._devices and self._devices[serial].kind == "phone"

    def is_reference(self, subject: Subject) -> bool:
        """Whether the runtime that stands for the network as its author runs it has computed it."""
        return subject.runtime == self._reference

    def is_ordinary(self, subject: Subject) -> bool:
        """Whether it is the variant that others are compared with."""
        return (subject.model, subject.variant) in self._ordinary

    def untrained(self, model: str, variant: str) -> bool:
        return not self._trained.get((model, variant), True)

    def model(self, name: str) -> str:
        """The network, with the word of warning an untrained one always carries: all of it, or some variants."""
        mine = {variant: trained for (model, variant), trained in self._trained.items() if model == name}
        without = [variant for variant, trained in mine.items() if not trained]
        if not without:
            return name
        return f"{name} ({UNTRAINED})" if len(without) == len(mine) else f"{name} ({', '.join(without)} {UNTRAINED})"

    def task(self, model: str) -> Task:
        return self._tasks.get(model, "other")

    def score(self, model: str) -> str | None:
        """The metric that tells how good the network's answers are."""
        return MAIN_SCORES.get(self.task(model))

    def place(self, subject: Subject) -> str:
        """Where it ran: `desktop torch`, `R58M123`, `emulator-5554 (virtual)`; and with what, if phones have several or
        another than plans name by themselves."""
        named = self._runtime_named or not self.is_phone(subject.device)
        return f"{self.machine(subject)} {subject.runtime}" if named else self.machine(subject)

    def machine(self, subject: Subject) -> str:
        """Where it ran, whatever executed it: `desktop`, `R58M123`, `emulator-5554 (virtual)`."""
        if not self.is_phone(subject.device):
            return subject.device
        device = self._devices[subject.device]
        marks = [word for word, is_so in (("virtual", device.virtual), ("translated", device.translated)) if is_so]
        return f"{subject.device} ({', '.join(marks)})" if marks else subject.device

    def setting(self, subject: Subject) -> str:
        """What tells settings of this run apart: `2 threads, fp16s`; empty when there is only one."""
        words = []
        if len(self._threads) > 1:
            words.append(f"{subject.threads} thread{'s' * (subject.threads > 1)}")
        if len(self._precisions) > 1:
            words.append(subject.precision)
        return ", ".join(words)

    def where(self, subject: Subject) -> str:
        """Place and setting."""
        return ", ".join(filter(None, (self.place(subject), self.setting(subject))))


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def heading(metric: str) -> str:
    return SHORT[metric][0].upper() + SHORT[metric][1:]


def interval(found: Interval, unit: str) -> str:
    """An interval as text, the unit once where it is the same: `12.1–12.6 ms`, `3.90–4.30×`."""
    low, high = quantity(found.low, unit), quantity(found.high, unit)
    if unit == "ratio":
        return f"{low.removesuffix('×')}–{high}"
    number, _, suffix = low.rpartition(" ")
    return f"{number}–{high}" if number and high.endswith(f" {suffix}") else f"{low}–{high}"


def bounds(found: tuple[float, float] | None) -> str:
    """The bounds of a ratio as text."""
    return interval(Interval(*found, "bootstrap"), "ratio") if found else "no interval"


def score_interval(found: Interval, unit: str) -> str:
    """An interval of a score to a decimal less than the score itself has: `95.9–98.0 %`, `31.2–32.0 dB`."""
    scale, suffix = (100, " %") if unit == "fraction" else (1, f" {unit}".removesuffix(" 1"))
    return f"{scale * found.low:.1f}–{scale * found.high:.1f}{suffix}"


class Difference(NamedTuple):
    """How a score differs, right − left, e.g. `−1.30 points`, `−2.1`, `−0.5` and `p = 0.0004`; empty where unknown."""

    value: str
    low: str
    high: str
    p: str

    @property
    def text(self) -> str:
        return ", ".join(filter(None, (f"{self.value}{f' [{self.low}, {self.high}]' if self.low else ''}", self.p)))

    @property
    def detail(self) -> str:
        """All but the value."""
        return ", ".join(filter(None, (f"{self.low} to {self.high}" if self.low else "", self.p)))


def difference(found: Comparison) -> Difference | None:
    """The difference of a comparison that has one. A point is a hundredth of a score that is a fraction."""
    if found.difference is None:
        return None
    unit = METRICS[found.metric].unit
    scale, suffix = (100, " points") if unit == "fraction" else (1, f" {unit}".removesuffix(" 1"))
    low, high = (found.interval.low, found.interval.high) if found.interval else (None, None)
    return Difference(
        f"{_signed(scale * found.difference, 2)}{suffix}",
        "" if low is None else _signed(scale * low, 1),
        "" if high is None else _signed(scale * high, 1),
        "" if found.p_value is None else f"p {_p(found.p_value)}",
    )


def _signed(value: float, decimals: int) -> str:
    text = f"{value:+.{decimals}f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"= {value:.2g}" if value < 0.1 else f"= {value:.2f}"
