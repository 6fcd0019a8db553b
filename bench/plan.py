"""What to measure: read from TOML, refused with line and key when it is not understood."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import PlanError, UnknownName
from bench.records import Precision, Runtime


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Variant(_Strict):
    """One form of a network: what is deployed, and how the device executes it."""

    name: Literal["baseline", "fr-dense", "fr-factored"]


class Setting(_Strict):
    """How the runtime is asked to run: CPU threads and arithmetic."""

    threads: int = Field(1, ge=1, le=64)
    precision: Precision = "fp32"


class Protocol(_Strict):
    """How often and how long. Durations in seconds; counts are per launch.

    A launch is a fresh process. It warms up for at least `warmup_iterations` and `warmup_seconds`, then measures for at
    least `min_iterations` and `min_seconds`, at most `max_iterations`.
    """

    launches: int = Field(5, ge=1, le=1000)
    reference_launches: int = Field(3, ge=1, le=1000)
    """Launches of the desktop torch reference, whose process start alone takes seconds."""
    warmup_iterations: int = Field(10, ge=0)
    warmup_seconds: float = Field(0.5, ge=0)
    min_iterations: int = Field(50, ge=1)
    min_seconds: float = Field(1.0, ge=0)
    max_iterations: int = Field(10_000, ge=1)
    deadline_seconds: float = Field(300.0, gt=0)
    """A launch that takes longer is ended and recorded as failed."""
    seed: int = 0
    """Of the random order of trials."""


class Case(_Strict):
    """One network: its variants, which share their input."""

    model: str
    variants: tuple[str, ...] = ("baseline", "fr-dense", "fr-factored")
    threads: tuple[int, ...] = (1,)
    precision: tuple[Precision, ...] = ("fp32",)
    input_size: tuple[int, int] | None = None
    """Height and width in pixels, for networks that take any."""
    coefficients: int | None = Field(None, ge=1)
    """How many FR coefficients to keep in the whole network; the model's own default when absent."""
    protocol: Protocol | None = None
    """Instead of the plan's, for this network."""


class Plan(_Strict):
    """A whole job."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)
    description: str = ""
    cases: tuple[Case, ...] = Field(min_length=1)
    desktop: tuple[Runtime, ...] = ("torch", "native")
    """Runtimes measured on this host beside the phone."""
    protocol: Protocol = Protocol()
