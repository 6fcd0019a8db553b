"""What a machine learnt by itself: each training of an extreme learning machine as it is stored, and what came of all
of them. `bench.analyse.learning` concludes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from bench.records import SCHEMA_VERSION, Record

Matrix = Literal["float32", "float16", "file"]
"""What the triangle of the normal equations is kept as: in memory in so many bits, or as float32 in a file."""
Bounds = tuple[float, float]
"""A 95 % interval over samples (Wilson)."""
_MOST = 2**53


class Right(Record):
    """Right answers to `of` test samples, in `alpha` the regularisation, where there is one."""

    right: int = Field(ge=0, le=_MOST)
    of: int = Field(ge=1, le=_MOST)
    alpha: float | None = Field(None, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _possible(self) -> Right:
        if self.right > self.of:
            raise ValueError(f"{self.right:,} of {self.of:,} answers are right")
        return self

    @property
    def accuracy(self) -> float:
        return self.right / self.of


class Tried(Record):
    """What came of one regularisation: products with the matrix that it took, and how many of the `of` samples held
    apart are answered rightly; None where there are none."""

    alpha: float = Field(ge=0, allow_inf_nan=False)
    iterations: int = Field(ge=0)
    right: int | None
    of: int | None


class Trained(Record):
    """A training that ended well. Times are in seconds, sizes in bytes; `right` of `of` test samples are answered
    rightly by the package as it is shipped.

    `condition` is an estimate of the 1-norm condition number of the matrix that was factored, whose regularisation is
    `shift`: larger than `alpha` where rounding asks for it, and then `tries` says how often it was factored. `residual`
    is how far the solution still was from the exact one, as a part of it. `peak_rss` is -1 where the kernel does not
    say.
    """

    neurons: int = Field(ge=1)
    inputs: int = Field(ge=1)
    samples: int = Field(ge=1)
    package_bytes: int = Field(ge=1)
    matrix_bytes: int = Field(ge=1)
    alpha: float = Field(ge=0, allow_inf_nan=False)
    shift: float = Field(ge=0, allow_inf_nan=False)
    condition: float = Field(ge=0, allow_inf_nan=False)
    residual: float = Field(ge=0, allow_inf_nan=False)
    iterations: int = Field(ge=0)
    tries: int = Field(ge=1)
    products_s: float = Field(ge=0, allow_inf_nan=False)
    factor_s: float = Field(ge=0, allow_inf_nan=False)
    solve_s: float = Field(ge=0, allow_inf_nan=False)
    seconds: float = Field(ge=0, allow_inf_nan=False)
    peak_rss: int = Field(ge=-1, le=_MOST)
    right: int | None = Field(ge=0, le=_MOST)
    of: int | None = Field(ge=1, le=_MOST)
    tried: tuple[Tried, ...]
    kernels: tuple[str, ...]
    threads: int = Field(ge=1)

    @model_validator(mode="after")
    def _possible(self) -> Trained:
        if self.right is not None and (self.of is None or self.right > self.of):
            raise ValueError(f"{self.right:,} of {self.of} answers are right")
        return self

    @property
    def accuracy(self) -> float | None:
        return None if self.right is None or not self.of else self.right / self.of


class TrainingRecord(Record):
    """One training as it is stored: a line of `trainings.jsonl` in the folder of its run. A failed one has nothing
    `trained`, but a `reason`; `memory` says whether it is that memory ended. `swept`: its size was chosen by a search
    for the largest. `desktop` is the same machine solved for in float64 on this computer, `ordinary` the network whose
    task is learnt, both on the same test samples; None where nobody asked for it. `sha256` is of the package."""

    schema_version: int = SCHEMA_VERSION
    id: str
    started: str
    bench_version: str
    model: str
    source: str
    device: str
    neurons: int = Field(ge=1)
    matrix: Matrix
    seed: int = Field(ge=0)
    threads: int = Field(ge=1)
    alphas: tuple[float, ...] = Field(min_length=1)
    swept: bool = False
    status: Literal["ok", "failed"] = "ok"
    reason: str = ""
    memory: bool = False
    conditions: dict[str, Any] = Field(default_factory=dict)
    trained: Trained | None = None
    sha256: str = ""
    desktop: Right | None = None
    ordinary: Right | None = None

    @model_validator(mode="after")
    def _whole(self) -> TrainingRecord:
        if (self.status == "ok") != (self.trained is not None):
            raise ValueError(
                f"a training that is {self.status!r} {'has no' if self.status == 'ok' else 'has a'} result"
            )
        return self


@dataclass(frozen=True)
class Most:
    """The most neurons that a machine's memory allows; `at_least` where memory did not end the search. `why` says in
    words what did."""

    neurons: int
    at_least: bool
    why: str


@dataclass(frozen=True)
class Lessons:
    """All trainings of one network's task on one machine, the fewest neurons first. `bounds` are the intervals of their
    right answers, and of those in float64 beside them; `ordinary` is the network itself."""

    model: str
    device: str
    virtual: bool
    times_count: bool
    memory_counts: bool
    trainings: tuple[TrainingRecord, ...]
    bounds: tuple[tuple[Bounds | None, Bounds | None], ...]
    ordinary: Right | None
    ordinary_bounds: Bounds | None
    most: Most | None

    @property
    def done(self) -> tuple[TrainingRecord, ...]:
        return tuple(one for one in self.trainings if one.trained is not None)
