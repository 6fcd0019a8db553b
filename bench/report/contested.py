"""Who wins what in a contest, in sentences; no network and no method is named in here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from bench.contest import COSTS, Contest
from bench.records import METRICS, Subject
from bench.report.labels import SHORT, listed
from bench.report.ranking import RANKED, winners
from bench.report.rivals import ORDINARY, Row, rows
from bench.report.section import Context
from bench.report.sections.rivals import name, where
from bench.units import quantity

CLOSE = 1.25
"""Variants whose bytes differ by less compete at one size."""


def fronts(contest: Contest, context: Context) -> Iterator[str]:
    """For each cost a sentence: which family is in front over which part of it, and which never is."""
    found = {row.subject: row for row in rows(contest, context)}
    place, models = where(contest, context), ", ".join(contest.models)
    for cost in COSTS:
        front = contest.front(cost)
        if len(contest.standings.get(cost, ())) < 3 or not front:
            continue
        if cost == "downloaded" and front == contest.front("deployed"):
            continue
        parts = []
        for family, group in groupby(front, key=lambda subject: found[subject].family):
            parts.append(_stretch(family, [found[s] for s in group], cost, context))
        behind = _behind(contest, cost, found)
        yield f"{models} on {place}, {SHORT[contest.score]} for {SHORT[cost]}: in front {listed(parts)}.{behind}"


def _stretch(family: str, members: Sequence[Row], cost: str, context: Context) -> str:
    """A part of a front that one family has: from its cheapest to its dearest."""
    ends = []
    for row in (members[0], members[-1]):
        figures = [row.figures[metric] for metric in (cost, row.contest.score)]
        ends.append(", ".join(quantity(s.statistics.median, s.unit) for s in figures if s.statistics))
    label = name(members[0].subject, members[0].contest, context) if len(members) == 1 else family
    return f"{label} ({' to '.join(dict.fromkeys(ends))})"


def _behind(contest: Contest, cost: str, found: dict[Subject, Row]) -> str:
    """The families that are never in front by a cost; whether that is sure."""
    ahead = {found[s].family for s in contest.front(cost)}
    places: dict[str, set[str]] = {}
    for one in contest.standings[cost]:
        family = found[one.subject].family
        if one.place != "unusable" and family not in (*ahead, ORDINARY):
            places.setdefault(family, set()).add(one.place)
    sure = [family for family, known in places.items() if known == {"beaten"}]
    doubtful = [family for family in places if family not in sure]
    parts = [f"{word} {listed(some)}" for word, some in (("never", sure), ("perhaps never", doubtful)) if some]
    words = "; ".join(parts)
    return f" {words[0].upper()}{words[1:]}." if words else ""


def levels(contest: Contest, context: Context) -> Iterator[str]:
    """For each size at which two families or more compete: who has the best answers, is fastest and takes least
    memory."""
    known = [row for row in rows(contest, context) if row.family != ORDINARY and row.value("deployed")]
    known.sort(key=lambda row: row.value("deployed") or 0.0)
    for level in _levels(known):
        if len({row.family for row in level}) < 2:
            continue
        sizes = [row.value("deployed") or 0.0 for row in level]
        ranked = {contest.score: f"has the best {SHORT[contest.score]} ({{}})"}
        ranked |= {metric: words for metric, words in RANKED.items() if metric != "deployed"}
        wins: dict[str, list[str]] = {}
        for metric, words in ranked.items():
            ahead = winners([row.subject for row in level], metric, context)
            if not ahead:
                continue
            best, *others = ahead
            figure = quantity(best.figures.median, METRICS[metric].unit)
            if others:
                few = [name(one.subject, contest, context) for one in others]
                figure += f", not clearly ahead of {listed(few) if len(few) < 3 else f'{len(few)} others'}"
            wins.setdefault(name(best.subject, contest, context), []).append(words.format(figure))
        if wins:
            size = quantity(sum(sizes) / len(sizes), "B")
            parts = "; ".join(f"{who} {listed(words)}" for who, words in wins.items())
            models = ", ".join(contest.models)
            yield f"{models} on {where(contest, context)}, of {len(level)} at about {size}: {parts}."


def _levels(ordered: Sequence[Row]) -> Iterator[list[Row]]:
    level: list[Row] = []
    for row in ordered:
        if level and (row.value("deployed") or 0.0) > CLOSE * (level[0].value("deployed") or 0.0):
            yield level
            level = []
        level.append(row)
    if level:
        yield level
