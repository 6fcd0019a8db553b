"""Several runs, or one on several phones, beside each other: derived figures, as in `bench.findings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.findings import Interval
from bench.records import Subject


@dataclass(frozen=True)
class Figure:
    """One metric of one subject in one run, in the metric's unit; `value` is the median over launches, or the score.

    `ratio` is that of the ordinary network in the same run and place ÷ this, above 1 where this is faster or smaller,
    with its interval `within`; for a score, `difference` is this − the ordinary network's. `called` says whether the
    ratio may be claimed. `doubt` is why the figure may not be used; `apart` why it may not be held against the first
    run's.
    """

    value: float
    interval: Interval | None = None
    launches: int = 0
    ratio: float | None = None
    within: Interval | None = None
    called: bool = False
    difference: float | None = None
    doubt: str = ""
    apart: str = ""


@dataclass(frozen=True)
class Standing:
    """One subject in one run, with its figures by metric. `run` is how the run is named, `started` ISO 8601.

    `remarks` is what else differs from the first run that has this network, though its figures may be compared.
    """

    run: str
    started: str
    commit: str
    subject: Subject
    device_name: str
    os: str
    virtual: bool
    translated: bool
    ordinary: bool
    figures: Mapping[str, Figure] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
