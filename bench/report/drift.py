"""What the table and the plots of drift have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.drifted import Drift
from bench.report.labels import SHORT, listed
from bench.report.section import Context

AGREEMENT = "agreement with the answer to the sample as it is"


def grouped(found: Sequence[Drift]) -> Iterator[list[Drift]]:
    """The variants of each network that were judged together; places with the very same answers once."""
    places: dict[tuple[object, ...], list[Drift]] = {}
    for one in found:
        s = one.like
        if one.subject == one.like:
            places.setdefault((s.model, s.device, s.runtime, s.threads, s.precision), []).append(one)
    yield from places.values()


def where(mine: Sequence[Drift], context: Context) -> str:
    """The place of a group, and those that answered the very same."""
    alike = [one.subject for one in context.findings.drift if one.like == mine[0].subject]
    return listed(list(dict.fromkeys(context.labels.where(s) for s in (mine[0].subject, *alike))))


def score(one: Drift) -> str:
    """What is counted, in words."""
    return AGREEMENT if one.score == "drift_agreement" else SHORT[one.score]
