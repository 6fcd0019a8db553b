"""What to measure: read from TOML, refused with line and key when it is not understood."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bench.errors import PlanError, UnknownName, UsageError
from bench.records import Precision, Runtime


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(_Strict):
    """How often and how long. Durations in seconds; counts are per launch.

    A launch is a fresh process. It warms up for at least `warmup_iterations` and `warmup_seconds`, then measures for at
    least `min_iterations` and `min_seconds`, at most `max_iterations`.
    """

    launches: int = Field(5, ge=1, le=1000)
    reference_launches: int = Field(3, ge=1, le=1000)
    """Launches of the desktop torch reference, whose process start alone takes seconds."""
    memory_launches: int = Field(3, ge=1, le=1000)
    """Launches of the memory pass, which is apart from the timed one."""
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
    weights: Path | None = None
    """A .frq package of the network: the FR variants are measured with its weights, and nothing is trained for them."""
    cores: Literal["any", "big", "little"] = "any"
    """Which cores a launch may use: the cluster with the highest, or the lowest, top frequency."""
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

    @field_validator("cases")
    @classmethod
    def _one_case_a_model(cls, cases: tuple[Case, ...]) -> tuple[Case, ...]:
        models = [case.model for case in cases]
        if twice := {model for model in models if models.count(model) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} stands there twice; results are told apart by model")
        return cases


def load(path: Path) -> Plan:
    """The plan in a TOML file. Raises PlanError with the line and the key that is not understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(
            f"cannot read the plan {path}: {error}", "`bench plan --suite demo` prints one to start from."
        ) from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Plan:
    """The plan in TOML text; `source` names it in errors."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{source}: not TOML: {error}", "See docs/plans.md for the form of a plan.") from error
    try:
        return Plan.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        inner = [problem for problem in found if problem["type"] != "too_short"] or found
        problems = [_problem(problem, text, source) for problem in inner]
        raise PlanError("\n".join(problems), "See docs/plans.md for every key.") from error


def narrowed(
    plan: Plan,
    models: Sequence[str] | None = None,
    variants: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    launches: int | None = None,
    weights: Path | None = None,
) -> Plan:
    """The plan with only these models and variants, and these threads, launches and weights instead of its own.

    A model or a variant that the plan does not have is added, a model with its defaults. Raises UsageError for weights
    where the plan has several models.
    """
    cases = list(plan.cases)
    if models:
        known = {case.model: case for case in cases}
        cases = [known.get(model, Case(model=model)) for model in dict.fromkeys(models)]
    if variants:
        cases = [case.model_copy(update={"variants": tuple(dict.fromkeys(variants))}) for case in cases]
    if threads:
        cases = [case.model_copy(update={"threads": tuple(dict.fromkeys(threads))}) for case in cases]
    if weights:
        if len(cases) > 1:
            names = ", ".join(case.model for case in cases)
            raise UsageError(f"{weights} has the weights of one network, the plan has {names}", "Name it by --model.")
        cases = [cases[0].model_copy(update={"weights": weights, "coefficients": None})]
    protocol = plan.protocol
    if launches:
        protocol = protocol.model_copy(update={"launches": launches})
        cases = [
            case.model_copy(update={"protocol": case.protocol.model_copy(update={"launches": launches})})
            if case.protocol
            else case
            for case in cases
        ]
    return plan.model_copy(update={"cases": tuple(cases), "protocol": protocol})


def suites() -> tuple[str, ...]:
    """Names of the plans that come with bench."""
    folder = resources.files("bench") / "suites"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def suite(name: str) -> Plan:
    """A plan that comes with bench. Raises UnknownName."""
    if name not in suites():
        raise UnknownName.of("suite", name, suites())
    return parse(suite_text(name), f"suite {name}")


def suite_text(name: str) -> str:
    """The TOML text of a plan that comes with bench."""
    return (resources.files("bench") / "suites" / f"{name}.toml").read_text(encoding="utf-8")


def _problem(problem: Any, text: str, source: str) -> str:
    """`file:line: key: what is wrong`."""
    key = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in problem["loc"])
    message = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
    return f"{source}:{_line_of(problem['loc'], text)}: {key}: {message}"


def _line_of(location: tuple[int | str, ...], text: str) -> int:
    """The line where a key stands, or the table that lacks it.

    tomllib keeps no positions; this walks the headers ([table], [[array]]) down to the key.
    """
    lines = text.splitlines()
    line, table, seen = 0, "", 0
    for part in location:
        if isinstance(part, int):
            headers = [i for i, t in enumerate(lines) if re.match(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]", t)]
            line = headers[part] if part < len(headers) else line
            continue
        seen = line
        table = f"{table}.{part}" if table else part
        for i in range(seen, len(lines)):
            if i > seen and re.match(r"\s*\[\[", lines[i]) and seen:
                break
            if re.match(rf"\s*(\[+\s*{re.escape(table)}\s*\]+|[\"']?{re.escape(part)}[\"']?\s*=)", lines[i]):
                line = i
                break
    return line + 1
