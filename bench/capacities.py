"""Derived figures of networks with several capacities in one file: what a change between them takes.

Like `bench.findings`, computed again from the samples of a run at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.records import Subject

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Against:
    """A change of capacity against `subject` loaded by a fresh process: `load` in ns, `ratio` is load ÷ switch, above 1
    where the change is faster, from so many `launches` of the load. No `bounds` for fewer than three launches."""

    subject: Subject
    load: float
    ratio: float
    bounds: Bounds | None
    launches: int


@dataclass(frozen=True)
class Switched:
    """A capacity, a subject of its own, as it is come to from the ones beside it, in ns.

    `switch` is the median over launches of such changes, in `bounds` at 95 %, and `slowest` the slowest of all of them;
    `first` is the first inference after one, `paged` the least and the most bytes of weights that one brought in or
    dropped, of the `bytes` that the capacity is made of. `changes` of so many `launches`. `fresh` is the same capacity
    loaded from the same file; `apart` the same network in files of its own, where the run has that. `doubts` says why
    it should not be used.
    """

    subject: Subject
    bytes: int
    switch: float
    bounds: Bounds | None
    slowest: float
    first: float
    paged: tuple[int, int]
    changes: int
    launches: int
    fresh: Against | None
    apart: Against | None
    virtual: bool = False
    translated: bool = False
    doubts: str = ""
