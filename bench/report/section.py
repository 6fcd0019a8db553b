"""A section of a report: what it is made from, and what it may hold. `bench.report.SECTIONS` lists them."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bench.findings import Findings
from bench.records import Measurement, RunRecord
from bench.report.labels import Labels
from bench.report.table import Table


@dataclass(frozen=True)
class Context:
    """All that a section may look at: what was stored, the findings, and the names to use.

    `pictures` says whether plots can be shown: a terminal has none, and drawing takes seconds. `sort` is what variants
    that compete are sorted by (accuracy, or one of
    `bench.report.rivals.SORTED_BY`).
    """

    run: RunRecord
    measurements: Sequence[Measurement]
    findings: Findings
    labels: Labels
    pictures: bool = False
    sort: str = "accuracy"

    @classmethod
    def of(
        cls, run: RunRecord, measurements: Sequence[Measurement], findings: Findings, *, pictures: bool = False,
        sort: str = "accuracy",
    ) -> Context:  # fmt: skip
        return cls(run, measurements, findings, Labels(run, findings), pictures, sort)

    @property
    def learnt_alone(self) -> bool:
        """Whether the run has trainings on a machine and no trials: nothing else was asked of it."""
        return bool(self.findings.lessons) and not self.measurements

    @property
    def models(self) -> tuple[str, ...]:
        """The networks that ran, in the order of the plan."""
        return tuple(dict.fromkeys(s.model for s in self.findings.subjects))


@dataclass(frozen=True)
class Picture:
    """A finished plot. `alt` says in words what it shows; `svg` is one element, to be put into a page as it is."""

    name: str
    title: str
    alt: str
    svg: str
    png: bytes

    @property
    def titled(self) -> bool:
        """Whether the drawing itself shows its title, so that a caption need not be seen."""
        return html.escape(self.title, quote=False) in self.svg


class Folded(NamedTuple):
    """A table that a page shows on request, under its title and one sentence. `id` is what a link points at."""

    id: str
    table: Table
    advice: str
    more: str = ""
    open: bool = False


class Large(NamedTuple):
    """A figure that is shown large: what it is of, the figure, the words that make it a statement, and small lines
    below: from what to what, its interval, how it was tested. `tone` never says more than the words do."""

    label: str
    text: str
    words: str = ""
    details: tuple[str, ...] = ()
    tone: Literal["good", "bad", "plain"] = "plain"


@dataclass(frozen=True)
class Highlight:
    """What to know of one network in one place: a sentence and a few large figures. `virtual` is marked on every one of
    them. `instead_of` is the sentence of the section that a page leaves out for it."""

    title: str
    where: str
    sentence: str
    figures: tuple[Large, ...] = ()
    virtual: bool = False
    instead_of: str = ""


@dataclass(frozen=True)
class Section:
    """One section, shown in the order of its fields. Without a title it has no heading.

    `notices` are what must not be missed; `highlights` and `sentences` are large, `details` small; `commands` are to be
    typed, and have been quoted for a shell. `background` sections are for the page alone: a terminal leaves them out.
    """

    id: str
    title: str = ""
    notices: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    note: str = ""
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    folded: tuple[Folded, ...] = ()
    background: bool = False
    highlights: tuple[Highlight, ...] = ()
    commands: tuple[str, ...] = ()


Member = Callable[[Context], Section | None]
"""A member of the open set: the section for a run, or None where it has nothing to show."""
