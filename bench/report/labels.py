"""How the report names things: places, settings, models. Every label of something virtual says so."""

from __future__ import annotations

from bench.findings import Findings, Interval, Subject
from bench.records import Device, RunRecord
from bench.units import quantity

UNTRAINED = "untrained: speed and fidelity only"
SHORT = {
    "latency": "latency",
    "vm_hwm": "peak RSS",
    "deployed": "bytes deployed",
    "load": "load",
    "first_inference": "first inference",
    "accuracy": "accuracy",
    "agreement": "agreement",
    "max_abs_delta": "max |Δ|",
}
"""The metrics that tables show, in their order."""


class Labels:
    """The names of one run's subjects, as short as they can be without being mistaken for each other."""

    def __init__(self, run: RunRecord, findings: Findings) -> None:
        self._devices: dict[str, Device] = {d.serial: d for d in run.devices}
        self._trained = {(a.model, a.variant): a.trained for a in run.artifacts}
        self._masks = {a.model for a in run.artifacts if a.task == "segmentation"}
        self._threads = {s.threads for s in findings.subjects}
        self._precisions = {s.precision for s in findings.subjects}

    def is_phone(self, serial: str) -> bool:
        return serial in self._devices and self._devices[serial].kind == "phone"

    def untrained(self, model: str, variant: str) -> bool:
        return not self._trained.get((model, variant), True)

    def model(self, name: str) -> str:
        """The network, with the word of warning an untrained one always carries: all of it, or some variants."""
        mine = {variant: trained for (model, variant), trained in self._trained.items() if model == name}
        without = [variant for variant, trained in mine.items() if not trained]
        if not without:
            return name
        return f"{name} ({UNTRAINED})" if len(without) == len(mine) else f"{name} ({', '.join(without)} {UNTRAINED})"

    def accuracy(self, model: str) -> str:
        """What the accuracy of a network is called: masks are judged by their Dice."""
        return "Dice" if model in self._masks else "accuracy"

    def place(self, subject: Subject) -> str:
        """Where it ran: `desktop torch`, `R58M123`, `emulator-5554 (virtual)`."""
        if not self.is_phone(subject.device):
            return f"{subject.device} {subject.runtime}"
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


def interval(found: Interval, unit: str) -> str:
    """An interval as text, the unit once where it is the same: `12.1–12.6 ms`, `3.90–4.30×`."""
    low, high = quantity(found.low, unit), quantity(found.high, unit)
    if unit == "ratio":
        return f"{low.removesuffix('×')}–{high}"
    number, _, suffix = low.rpartition(" ")
    return f"{number}–{high}" if high.endswith(f" {suffix}") else f"{low}–{high}"
