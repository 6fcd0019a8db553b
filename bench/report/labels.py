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
        self._untrained = {a.model for a in run.artifacts if not a.trained}
        self._threads = {s.threads for s in findings.subjects}
        self._precisions = {s.precision for s in findings.subjects}

    def is_phone(self, serial: str) -> bool:
        return serial in self._devices and self._devices[serial].kind == "phone"

    def untrained(self, model: str) -> bool:
        return model in self._untrained

    def model(self, name: str) -> str:
        """The network, with the word of warning an untrained one always carries."""
        return f"{name} ({UNTRAINED})" if self.untrained(name) else name

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
