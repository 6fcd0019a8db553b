"""How the report names things: places, settings, models, figures. Every label of something virtual says so."""

from __future__ import annotations

from bench.findings import Comparison, Findings, Interval
from bench.records import METRICS, Device, RunRecord, Subject, Task
from bench.units import quantity

UNTRAINED = "untrained: speed and fidelity only"
SHORT = {
    "latency": "latency",
    "vm_hwm": "peak RSS",
    "deployed": "bytes deployed",
    "load": "load",
    "first_inference": "first inference",
    "accuracy": "accuracy",
    "top5": "top-5",
    "iou": "IoU",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "confidence": "confidence",
    "ece": "calibration error",
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
        self._on_phones = {s.runtime for s in findings.subjects if self.is_phone(s.device)}

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

    def accuracy(self, model: str) -> str:
        """What the accuracy of a network is called: masks are judged by their Dice."""
        return "Dice" if self.task(model) == "segmentation" else SHORT["accuracy"]

    def metric(self, name: str, model: str) -> str:
        """The name of a metric as a heading."""
        short = self.accuracy(model) if name == "accuracy" else SHORT[name]
        return short[0].upper() + short[1:]

    def place(self, subject: Subject) -> str:
        """Where it ran: `desktop torch`, `R58M123`, `emulator-5554 (virtual)`; with its runtime where phones have several."""
        if not self.is_phone(subject.device):
            return f"{subject.device} {subject.runtime}"
        device = self._devices[subject.device]
        marks = [word for word, is_so in (("virtual", device.virtual), ("translated", device.translated)) if is_so]
        name = f"{subject.device} ({', '.join(marks)})" if marks else subject.device
        return f"{name} {subject.runtime}" if len(self._on_phones) > 1 else name

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


def interval(found: Interval, unit: str) -> str:
    """An interval as text, the unit once where it is the same: `12.1–12.6 ms`, `3.90–4.30×`."""
    low, high = quantity(found.low, unit), quantity(found.high, unit)
    if unit == "ratio":
        return f"{low.removesuffix('×')}–{high}"
    number, _, suffix = low.rpartition(" ")
    return f"{number}–{high}" if number and high.endswith(f" {suffix}") else f"{low}–{high}"


def difference(found: Comparison) -> str:
    """How a score differs, right − left, with its interval: `−1.30 points [−2.10, −0.50], p = 0.0004`.

    Empty where it was not computed. A point is a hundredth of a score that is a fraction.
    """
    if found.difference is None:
        return ""
    unit = METRICS[found.metric].unit
    scale, suffix = {"fraction": (100, " points"), "dB": (1, " dB")}.get(unit, (1, ""))
    text = f"{_signed(scale * found.difference)}{suffix}"
    if found.interval:
        text += f" [{_signed(scale * found.interval.low)}, {_signed(scale * found.interval.high)}]"
    return text if found.p_value is None else f"{text}, p {_p(found.p_value)}"


def _signed(value: float) -> str:
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"= {value:.2g}" if value < 0.1 else f"= {value:.2f}"
