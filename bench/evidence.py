"""What was measured, made small enough to be shown: the distribution of each launch, and pictures of some samples.

Derived like `bench.findings`, which holds them: computed again from what is stored, at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bench.records import Subject, Task


class Distribution(NamedTuple):
    """The samples of one launch of a subject: how many, five quantiles (5, 25, 50, 75, 95 %), and some of the samples
    themselves (the extremes among them), in the metric's unit. `reason` is why it was tagged; empty where it was not.
    """

    subject: Subject
    launch: int
    samples: int
    quantiles: tuple[float, float, float, float, float]
    some: tuple[float, ...]
    reason: str = ""


class Answered(NamedTuple):
    """What one subject answered to an example.

    `score` is that of this sample by the network's main score (of a class 1 or 0), None without labels. `agrees` is 1
    or the part of the pixels for which the eager network answers so. `picture` is a PNG of the answer (a class for each
    pixel, or a picture), `reference` one of the eager network's; empty where a sample has one class.
    """

    subject: Subject
    score: float | None
    agrees: float | None
    answer: str = ""
    confidence: float | None = None
    picture: bytes = b""
    reference: bytes = b""


@dataclass(frozen=True)
class Example:
    """One sample of a network as it was shown, with what is right and what was answered. `input` and `truth` are PNG
    files; `truth` is empty where that is a class, or not known."""

    model: str
    task: Task
    index: int
    input: bytes
    truth: bytes = b""
    label: str = ""
    answers: tuple[Answered, ...] = ()
    worst: bool = False
    """Whether it was chosen for bad answers, and not by lot."""


class Bin(NamedTuple):
    """Answers of about the same confidence: how many, how sure they are in the mean, and how many of them are right,
    both as fractions; zeros for none."""

    samples: int
    sure: float
    right: float


class Reliability(NamedTuple):
    """How far confidence can be relied on: the answers of a subject in equal bins of confidence from 0 to 1, as the
    network gives them and, where it has one, at its temperature (empty otherwise)."""

    subject: Subject
    plain: tuple[Bin, ...]
    scaled: tuple[Bin, ...] = ()
