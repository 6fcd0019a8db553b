"""Whether a network becomes what a runtime loads: one cell of the matrix of networks and runtimes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from bench.records import Record

Stage = Literal["build", "answer", "convert", "start", "run", "compare"]
"""What is done for a cell, in this order: the network is made, asked, converted; the runtime is started with it, and
its answers are compared."""
STAGES: tuple[Stage, ...] = get_args(Stage)

DENIES: Mapping[Stage, Literal["converts", "runs", "equal"]] = {
    "convert": "converts", "start": "runs", "run": "runs", "compare": "equal",
}  # fmt: skip
"""What of a cell is False when it ends in trouble at a stage; before these nothing is known yet."""

KINDS: Mapping[str, str] = {
    "unsupported operator": "the converter or the runtime has no such operator",
    "values decide": "what forward does depends on the values of its input",
    "dynamic shape": "a size depends on the values of the input",
    "not a function": "random numbers, a kept state, or an input that is changed in place",
    "wrong numbers": "it runs and computes something else",
    "exporter crashed": "a converter ended without a word of its own",
    "exporter refused": "a converter's own error, of another kind",
    "does not run": "it was converted, and the runtime does not take it",
    "not a torch module": "a ready graph or a script, which this runtime is not made from",
    "network fails": "the network's own code fails",
    "not installed": "a package or a tool is missing",
    "not here": "the runtime has no program for this computer",
    "out of memory": "this computer had no more",
    "killed": "something ended the process that worked on it",
    "timeout": "it took longer than it was given",
}
"""The kinds of trouble, and what each means."""


class Trouble(Record):
    """Why a cell is not equal. `said` are the converter's or runtime's own words; `operator` and `places`, lines of the
    user's source, are what they are about, where that is known; `fix` is what to do."""

    kind: str
    stage: Stage
    said: str
    operator: str = ""
    places: tuple[str, ...] = ()
    fix: str = ""


class Cell(Record):
    """One network for one runtime. `converts`, `runs` and `equal` are None where it was not come to that.

    `apart` is the largest difference from the eager network's answers as a part of their largest, over `samples`
    samples that the proof had not seen. `bytes` are those that a device needs. `key` changes with the network, `at` is
    when it was tried, and `bench` by which version.
    """

    network: str
    runtime: str
    converts: bool | None = None
    runs: bool | None = None
    equal: bool | None = None
    apart: float | None = None
    samples: int = 0
    bytes: int | None = None
    trouble: Trouble | None = None
    seconds: float = 0.0
    key: str = ""
    at: str = ""
    bench: str = ""

    @property
    def good(self) -> bool:
        """Converted, and equal where that could be looked at."""
        return self.trouble is None


def by_kind(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """The cells with trouble, by its kind, the most frequent first."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.trouble is not None:
            found.setdefault(cell.trouble.kind, []).append(cell)
    return dict(sorted(found.items(), key=lambda one: -len(one[1])))
