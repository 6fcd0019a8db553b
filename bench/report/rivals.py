"""All that competes in one place as rows: what each is, how it was made, its figures and where it is in front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench import compress, plan
from bench.compress.target import Target
from bench.contest import COSTS, Contest, WithoutNetwork
from bench.errors import CorruptData, UsageError
from bench.findings import Summary
from bench.records import METRICS, Artifact, Made, RunRecord, Subject
from bench.report.section import Context
from bench.units import number

ORDINARY = "ordinary"
"""The family of what no method has changed."""
SORTED_BY = {"latency": "latency", "bytes": "deployed", "downloaded": "downloaded", "memory": "vm_hwm"}
"""What `bench report --sort` takes beside accuracy, and the metrics that it means."""


class Families:
    """The method that made each variant and its target, as a run has stored them: beside the package, else in its
    plan."""

    def __init__(self, run: RunRecord) -> None:
        self._artifacts = {(a.model, a.variant, a.runtime): a for a in run.artifacts}
        self._any = {(a.model, a.variant): a for a in reversed(run.artifacts)}
        try:
            cases = plan.of_run(run).cases
        except CorruptData:
            cases = ()
        self._planned = {(case.label, v.label): v for case in cases for v in case.variants or ()}

    def artifact(self, subject: Subject) -> Artifact | None:
        found = self._artifacts.get((subject.model, subject.variant, subject.runtime))
        return found or self._any.get((subject.model, subject.variant))

    def made(self, subject: Subject) -> Made | None:
        artifact = self.artifact(subject)
        return artifact.made if artifact else None

    def family(self, subject: Subject) -> str:
        artifact, made = self.artifact(subject), self.made(subject)
        if artifact and artifact.ordinary:
            return ORDINARY
        planned = self._planned.get((subject.model, subject.variant))
        name = (made and made.method) or (planned and (planned.method or planned.name))
        return _method(name or subject.variant)

    def target(self, subject: Subject) -> str | None:
        """What was asked for: bytes of the files where these were, else the method's own target."""
        made, planned = self.made(subject), self._planned.get((subject.model, subject.variant))
        if made and made.shipped:
            return f"{made.shipped}B"
        return made.target if made else planned.target if planned else None

    def line(self, subject: Subject) -> tuple[str, str, str]:
        """What sizes of one family have in common: the network, the method and the form that it is computed in."""
        artifact = self.artifact(subject)
        return subject.model, self.family(subject), artifact.execution if artifact else ""


def _method(name: str) -> str:
    """The method in a short name: `dense-small` in `dense-small:16kB`, `fr` in `fr-auto@1/4`; a chain is its own."""
    plain = name.partition(":")[0].partition("@")[0]
    known = [one for one in compress.names() if plain == one or plain.startswith(f"{one}-")]
    return max(known, key=len, default=plain)


@dataclass(frozen=True)
class Row:
    """One variant in a contest. `off` is by what part its bytes, as pushed, differ from what its target asks for."""

    contest: Contest
    subject: Subject
    family: str
    target: str | None
    made: Made | None
    figures: dict[str, Summary]
    off: float | None

    def value(self, metric: str) -> float | None:
        """A figure fit to be used, in the metric's unit."""
        found = self.figures.get(metric)
        return found.statistics.median if found and found.statistics and found.usable else None

    @cached_property
    def fronts(self) -> tuple[str, ...]:
        """The costs by which it is in front."""
        return tuple(cost for cost in COSTS if self.subject in self.contest.front(cost))


def rows(contest: Contest, context: Context) -> tuple[Row, ...]:
    """Those of a contest, in the order that the context asks for, best first; without such a figure last."""
    families = Families(context.run)
    found = [_row(subject, contest, families, context) for subject in contest.subjects]
    metric = contest.score if context.sort == "accuracy" else SORTED_BY[context.sort]
    sign = -1 if metric == contest.score else 1
    return tuple(sorted(found, key=lambda row: (row.value(metric) is None, sign * (row.value(metric) or 0.0))))


def many(contest: Contest) -> bool:
    """Whether there is more to choose from than one variant against the ordinary network."""
    return len({(s.model, s.variant) for s in contest.subjects}) > 2


def floors(contest: Contest, context: Context) -> Iterator[WithoutNetwork]:
    """What the score is without any network: of the first network of the contest, for all have the same samples."""
    found = [f for m in contest.models for f in context.findings.floors.get(m, ()) if f.metric == contest.score]
    yield from found[:1]


def _row(subject: Subject, contest: Contest, families: Families, context: Context) -> Row:
    figures = {
        metric: found
        for metric in (*COSTS, contest.score)
        if (found := context.findings.summary(subject, metric)) and found.metric == metric
    }
    target = families.target(subject)
    return Row(
        contest, subject, families.family(subject), target, families.made(subject), figures,
        _off(figures.get("deployed"), target),
    )  # fmt: skip


def _off(deployed: Summary | None, target: str | None) -> float | None:
    """By what part bytes differ from a target that is one of bytes; None for others: ratios are each method's own, of
    numbers and not of files."""
    if deployed is None or deployed.statistics is None or not target:
        return None
    try:
        wanted = Target.parse(target, "", ("bytes",))
    except UsageError:  # as only its method understands it
        return None
    return deployed.statistics.median / wanted.amount - 1


def effort(made: Made | None) -> str:
    """How much a variant was trained, in words; empty where that was not stored."""
    if made is None:
        return ""
    if not made.epochs:
        return "no training"
    with_labels = "labelled" if made.labels else "unlabelled"
    return f"{made.epochs:,} epoch{'s' * (made.epochs != 1)}, {number(made.pictures)} {with_labels} pictures"


def uneven(found: Sequence[Row]) -> str:
    """A sentence where the variants of a contest were not made with the same effort; empty where they were. What was
    not trained at all is named, but is no unequal effort by itself."""
    compressed = [row for row in found if row.family != ORDINARY]
    by: dict[str, list[str]] = {}
    for row in compressed:
        by.setdefault(effort(row.made), []).append(row.subject.variant)
    trained = {words: names for words, names in by.items() if words and words != "no training"}
    if len(trained) < 2:
        return ""
    parts = [f"{words} ({', '.join(dict.fromkeys(names))})" for words, names in trained.items()]
    return f"Effort was not equal, so these differ in more than their method: {'; '.join(parts)}."


COLUMNS = (
    "model", "variant", "family", "target", "device", "runtime", "threads", "precision", "virtual", "deployed",
    "off_target", "downloaded", "latency", "latency_low", "latency_high", "vm_hwm", "vm_hwm_low", "vm_hwm_high",
    "score", "value", "value_low", "value_high", "front", "beaten", "perhaps", "behind", "epochs", "pictures", "labels",
    "seconds", "usable",
)  # fmt: skip
"""Of variants.csv: figures in base units (ns, bytes, fractions); `front`, `beaten` and `perhaps` list costs,
`behind` the variants that beat it, or perhaps do."""


def plain(context: Context) -> Iterator[dict[str, Any]]:
    """Every row of every contest as values, and a row for each score without a network."""
    for contest in context.findings.contests:
        for row in rows(contest, context):
            yield _plain(row)
        for floor in floors(contest, context):
            empty = dict.fromkeys(COLUMNS) | dict.fromkeys(("front", "beaten", "perhaps", "behind"), "")
            yield empty | {
                "model": contest.models[0], "variant": f"({floor.words})", "device": contest.device,
                "runtime": contest.runtime, "threads": contest.threads, "score": contest.score, "value": floor.value,
            }  # fmt: skip


def _plain(row: Row) -> dict[str, Any]:
    figures = list(row.figures.values())
    found: dict[str, Any] = row.subject.model_dump() | {
        "family": row.family,
        "target": row.target,
        "virtual": any(s.virtual for s in figures),
        "off_target": row.off,
        "score": row.contest.score,
        "usable": all(s.usable for s in figures),
    }
    for metric, name in (*((cost, cost) for cost in COSTS), (row.contest.score, "value")):
        s = row.figures.get(metric)
        statistics = s.statistics if s else None
        found[name] = statistics and statistics.median
        if METRICS[metric].pass_ != "size":
            within = statistics.interval if statistics else None
            found |= {f"{name}_low": within and within.low, f"{name}_high": within and within.high}
    for place in ("front", "beaten", "perhaps"):
        costs = (c for c in COSTS if (one := row.contest.standing(c, row.subject)) and one.place == place)
        found[place] = " ".join(costs)
    by = (one.by for cost in COSTS if (one := row.contest.standing(cost, row.subject)))
    found["behind"] = " ".join(dict.fromkeys(f"{one.model}/{one.variant}" for one in by if one))
    made = row.made.model_dump(include={"epochs", "pictures", "labels", "seconds"}) if row.made else {}
    return dict.fromkeys(COLUMNS) | found | made
