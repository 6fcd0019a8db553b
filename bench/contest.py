"""Who competes with whom in a run, and how each stands by its answers and what it costs (`bench.analyse.contest`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bench.records import RunRecord, Subject, Task

MAIN_SCORES: dict[Task, str] = {"classification": "top1", "segmentation": "dice", "reconstruction": "psnr"}
"""The score that says how good a network's answers are."""
COSTS = ("deployed", "downloaded", "latency", "vm_hwm")
"""What answers are paid with: each is an axis of its own."""

Place = Literal["front", "beaten", "perhaps", "unusable"]


class Standing(NamedTuple):
    """Where a variant stands among the others by its score and one cost.

    `front`: by the medians none of the others is as good and as cheap, and better in one of both. `beaten`: another is,
    and neither is chance: its cost is called lower (bytes are exact, and one within MATCHED), and a paired test calls
    its score better, or both are right on the very same samples. `perhaps`: another is by the medians alone. `by` is
    the cheapest such other. `unusable`: one of both figures must not be used.
    """

    subject: Subject
    place: Place
    by: Subject | None = None


@dataclass(frozen=True)
class Contest:
    """All that does the same job in one place with as many threads: variants of one network, or of networks that were
    shown the same labelled samples for the same task. `score` is the metric that their answers are held to; `standings`
    are by cost, of those that have both figures."""

    models: tuple[str, ...]
    device: str
    runtime: str
    threads: int
    score: str
    subjects: tuple[Subject, ...]
    standings: Mapping[str, tuple[Standing, ...]]

    def standing(self, cost: str, subject: Subject) -> Standing | None:
        """How it stands by that cost; None where it has no such figure."""
        return next((one for one in self.standings.get(cost, ()) if one.subject == subject), None)

    def front(self, cost: str) -> tuple[Subject, ...]:
        """What is on the front by that cost, the cheapest first."""
        return tuple(one.subject for one in self.standings.get(cost, ()) if one.place == "front")


class WithoutNetwork(NamedTuple):
    """What a score is without any network, in the metric's unit: always the most frequent class, no pixel marked, or
    the input itself. A variant that is not above it has learnt nothing."""

    metric: str
    value: float
    words: str


def jobs(run: RunRecord, models: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Networks that do the same job, in their order: of one task, shown the same labelled samples. One alone is a job
    too."""
    tasks = {artifact.model: artifact.task for artifact in run.artifacts}
    found: dict[object, list[str]] = {}
    for model in models:
        samples = run.samples.get(model)
        same = (tasks.get(model, "other"), samples.source, samples.count) if samples and samples.labelled else model
        found.setdefault(same, []).append(model)
    yield from (tuple(rivals) for rivals in found.values())
