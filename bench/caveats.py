"""Reasons to read a figure with care: how bad each kind is, what it is called, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Level = Literal["note", "care", "unusable"]
CaveatKind = Literal[
    "failed",
    "launches-failed",
    "tagged",
    "launches-left-out",
    "clock-differs",
    "translated",
    "virtual",
    "no-interval",
    "few-launches",
    "few-iterations",
    "short-warm-up",
    "noisy",
    "answers-vary",
    "answers-tagged",
    "at-least",
    "unit-by-size",
    "wrong-answers",
]


class Advice(NamedTuple):
    """How bad a kind of caveat is, a label for tables, and what to do about it."""

    level: Level
    label: str
    advice: str


ADVICE: dict[CaveatKind, Advice] = {
    "failed": Advice("unusable", "failed", "Read the reason below, fix it, and run the same plan again."),
    "launches-failed": Advice(
        "care", "some launches failed", "The rest is shown; look at the reasons before trusting it."
    ),
    "tagged": Advice(
        "unusable",
        "tagged: conditions were not met",
        "Let the device cool, charge it, close other apps, and run again.",
    ),
    "launches-left-out": Advice(
        "care",
        "tagged launches are left out",
        "The figures are of the rest. Let the device cool, charge it, close other apps, and run again.",
    ),
    "clock-differs": Advice(
        "care",
        "launches ran at different clocks",
        'Name the cores (cores = "big"), let the device cool between launches, and look at the single launches.',
    ),
    "translated": Advice(
        "unusable",
        "machine code was translated: times are meaningless, memory includes the translator",
        "Only answers, sizes and exit codes count here. Measure on a device of that architecture.",
    ),
    "virtual": Advice(
        "note",
        "virtual: measured on this machine's processor, not on a phone",
        "Use it to compare variants with each other; never quote it as a phone's figure.",
    ),
    "no-interval": Advice(
        "unusable",
        "fewer than 3 launches: no interval",
        "Set launches (for the reference: reference_launches) to 5 or more in the plan's protocol.",
    ),
    "few-launches": Advice(
        "care",
        "fewer launches than the protocol asks for",
        "Set launches (for the reference: reference_launches) to 5 or more in the plan's protocol.",
    ),
    "few-iterations": Advice(
        "care",
        "launches shorter than the protocol asks for",
        "Set min_iterations to 50 or more and min_seconds to 1 or more.",
    ),
    "short-warm-up": Advice(
        "care",
        "warm-up shorter than the protocol asks for",
        "Set warmup_iterations to 10 or more and warmup_seconds to 0.5 or more.",
    ),
    "noisy": Advice(
        "care",
        "noisy: launches differ by more than 5 % (CV)",
        "Quieten the device, use more launches, and look at the interval rather than the median.",
    ),
    "answers-vary": Advice(
        "care",
        "launches gave different answers",
        "The computation is not deterministic: use one thread, and look for uninitialised memory.",
    ),
    "answers-tagged": Advice(
        "care",
        "answers given under other conditions",
        "Read the reason among the trials that were tagged: a phone that preprocessed the pictures had other inputs.",
    ),
    "at-least": Advice(
        "care",
        "at least: memory did not end",
        "Allow larger pictures (--largest) or more time (deadline_seconds), to find where it does.",
    ),
    "unit-by-size": Advice(
        "care",
        "unit told by size alone",
        "Compare variants on this phone; take its joules as they are only if another meter agrees.",
    ),
    "wrong-answers": Advice(
        "unusable",
        "its answers were wrong or not checked",
        "Read the particulars and run again; the speed of another network says nothing about this one.",
    ),
}


@dataclass(frozen=True)
class Caveat:
    """One reason to read a figure with care. `text` has the particulars; the rest follows from the kind."""

    kind: CaveatKind
    text: str

    @property
    def level(self) -> Level:
        return ADVICE[self.kind].level

    @property
    def label(self) -> str:
        return ADVICE[self.kind].label

    @property
    def advice(self) -> str:
        return ADVICE[self.kind].advice

    @property
    def link(self) -> str:
        """The section that explains it, relative to the project's root."""
        return f"docs/measurement.md#{self.kind}"
