"""What to measure: read from TOML, refused with line and key when it is not understood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench import toml
from bench.errors import CorruptData, PlanError, UnknownName
from bench.files import read_bounded
from bench.preprocess import Preprocess
from bench.records import Made, Precision, RunRecord, Tensor
from bench.width import Width, canonical, is_width, short

_LABEL = r"^([A-Za-z0-9][A-Za-z0-9._:+@-]*)?$"
Threads = Annotated[int, Field(ge=1, le=64)]
Dimension = Annotated[int, Field(ge=1, le=2**26)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1, max_length=100)]
Epochs = Annotated[int, Field(ge=0, le=1_000_000)]
Model = TypeVar("Model", bound=BaseModel)
WITH_DATA: Literal["with data"] = "with data"
MAX_BYTES = 1_000_000
"""Of a plan's file."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(_Strict):
    """How often and how long. Durations in seconds; counts are per launch.

    A launch is a fresh process. It warms up for at least `warmup_iterations` and `warmup_seconds`, then measures for at
    least `min_iterations` and `min_seconds`, at most `max_iterations`.
    """

    launches: int = Field(5, ge=1, le=1000)
    reference_launches: int = Field(3, ge=1, le=1000)
    """Launches of the reference runtime on this host, whose process start alone takes seconds."""
    memory_launches: int = Field(3, ge=1, le=1000)
    """Launches of the memory pass, which is apart from the timed one."""
    warmup_iterations: int = Field(10, ge=0, le=1_000_000)
    warmup_seconds: Seconds = 0.5
    min_iterations: Count = 50
    min_seconds: Seconds = 1.0
    max_iterations: Count = 10_000
    deadline_seconds: float = Field(300.0, gt=0, le=86_400, allow_inf_nan=False)
    """A launch that takes longer is ended and recorded as failed."""
    seed: int = 0
    """Of the random order of trials."""
    device_preprocess: bool = False
    """The accuracy pass gives phones the pictures themselves, which they decode and make inputs."""
    strict: bool = False
    """Refuse a phone that is not fit to be measured, instead of waiting for it and then tagging what it gives."""
    require: Literal["gpu"] | None = None
    """gpu: a launch by a runtime that computes on a GPU fails where a layer was computed elsewhere."""
    cool_seconds: Seconds = 120.0
    """Before each block of launches a warm phone is waited for, at most this long."""
    ratio_interval: float | None = Field(None, gt=0, le=1)
    """Go on with launches until the 95 % interval of each ratio to the ordinary network is within plus or minus this
    part of it (0.02: 2 %), or `budget_seconds` are spent."""
    budget_seconds: float = Field(300.0, gt=0, le=86_400, allow_inf_nan=False)
    """Of launches beyond `launches`, for each network."""
    beside: int = Field(0, ge=0, le=16)
    """Copies of the same network at work in processes of their own, in a pass of its own (contended)."""
    load: int = Field(0, ge=0, le=64)
    """Threads of other work beside, in the same pass."""
    sustained_seconds: Seconds = 0.0
    """Of load without a pause for each variant, in a pass of its own; 0 leaves it out."""
    energy_seconds: Seconds = 0.0
    """Of load, and as many of rest, in each launch of the energy pass; 0 leaves it out."""
    largest_side: int = Field(0, ge=0, le=65_536)
    """Pictures are tried up to this many pixels wide and high (the memory test); 0 leaves it out."""
    profile_launches: int = Field(0, ge=0, le=1000)
    """Launches in which every layer is timed alone, in a pass of their own; 0 leaves it out."""
    switch_launches: int = Field(0, ge=0, le=1000)
    """Launches that change between a network's capacities, where it has several, in a pass of their own; 0: none."""
    drift: tuple[Word, ...] = Field((), max_length=100)
    """Corruptions of the samples, whose answers are had in a pass of their own: `noise`, `noise:3`, `all`."""
    drift_samples: Count | None = None
    """Of the samples, so many are corrupted, classes in equal numbers; as many as bench finds fit when None."""

    @model_validator(mode="after")
    def _possible(self) -> Protocol:
        if self.min_iterations > self.max_iterations:
            raise ValueError(
                f"min_iterations is {self.min_iterations}, more than max_iterations, {self.max_iterations}"
            )
        if (least := self.warmup_seconds + self.min_seconds) >= self.deadline_seconds:
            raise ValueError(
                f"a launch of {least:g} seconds cannot end within deadline_seconds, {self.deadline_seconds:g}"
            )
        return self


class Effort(_Strict):
    """How hard a method may try. `epochs` of training from the start (the method's own when None); `one_shot` takes the
    trained network and compresses it as it is, then trains on for `fine_tune` epochs; `budget` shares a total among
    layers, or ranks channels; without `labels` what is made smaller learns from the ordinary network's answers alone.
    `one_shot` None leaves the choice to the method: training where it has data and a recipe, else one shot."""

    seed: int = Field(1, ge=0, lt=2**31)
    epochs: Epochs | None = Field(None, ge=1)
    one_shot: bool | None = None
    fine_tune: Epochs = 0
    budget: str = "uniform"
    labels: bool = True


class Variant(_Strict):
    """A network as it is measured: made smaller by a method to a target, and executed in a form by a runtime.

    `name` is a shorthand that stands for a method and a form (`fr-resident`); a plan may write just that, with a target
    behind a colon and a width behind an at sign (`fr-auto:20x@1/4`). No method is the ordinary network. What is None
    follows from the method, the case or the plan.
    """

    name: str | None = None
    method: str | None = None
    target: str | None = None
    effort: Effort = Effort()
    execution: str | None = None
    width: Width | None = None
    """The part of its channels that each wide space is computed with, for all layers or for each by its name; or auto,
    what agrees with the whole width."""
    precision: Precision | None = None
    runtime: str | None = None
    weights: Path | None = None
    """A finished package of the method, instead of making one."""
    made: Made | None = None
    """How that package was made, where whoever made it says so."""
    shipped: int | None = Field(None, ge=1)
    """Bytes that its files shall have on a device: the target, which is of the package, is fitted to them."""
    optional: bool = False
    """Where it cannot be made, it is left out of the run with a sentence, and the run goes on."""
    label: str = Field("", max_length=60, pattern=_LABEL)

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            rest, at, width = value.partition("@")
            name, colon, target = rest.partition(":")
            if colon and not target:
                raise ValueError(f"{value[:60]!r} has no target after its colon; write e.g. fr-auto:20x")
            if at and not width:
                raise ValueError(f"{value[:60]!r} has no width after its @; write e.g. fr-resident@1/4")
            return {"name": name, "target": target or None, "width": width or None}
        if isinstance(value, dict) and isinstance(short_name := value.get("name"), str):
            rest, _, part = short_name.partition("@")
            if rest and is_width(part):
                if value.get("width") is not None:
                    raise ValueError(
                        f"{short_name[:60]!r} has a width already, and `width` is given too; leave one of them out"
                    )
                return {**value, "name": rest, "width": part}
        return value

    @field_validator("width", mode="before")
    @classmethod
    def _width(cls, value: Any) -> Any:
        return value if value is None else canonical(value)

    @model_validator(mode="after")
    def _labelled(self) -> Variant:
        if self.name is None and self.method is None:
            raise ValueError("a variant has a name (baseline, fr-resident, …) or a method")
        if not self.label:
            base = self.name or "-".join(filter(None, (self.method, self.execution)))
            extras = (self.target, self.runtime, self.precision)
            at = f"@{short(self.width)}" if self.width else ""
            told = ":".join((base, *filter(None, extras))).replace(",", "+") + at  # a chain's comma, for files and CSV
            label = re.sub(r"[^A-Za-z0-9._:+@-]", "_", told)
            object.__setattr__(self, "label", label[:60])
        return self


class Data(_Strict):
    """What a network is shown: a data set that a reader knows (docs/data.md), else the network's own.

    `samples` takes a seeded part, the same number of each class; `preprocess` replaces the network's own.
    """

    path: Path | None = None
    samples: int | None = Field(None, ge=1)
    seed: int = 1
    preprocess: Preprocess | None = None
    add: Path | None = None
    """Labelled pictures from where the network is at work, which come to those that it is trained on, but for
    those that are held apart (docs/field-loop.md)."""
    shown: Literal["both", "test", "added"] = "both"
    """With `add`, what is measured on: the part to test with, the added pictures that are held apart, or both, each
    as a network of its own."""
    validation: float | None = Field(None, gt=0, le=0.5, allow_inf_nan=False)
    """So much of what there is to train on trains nothing (whole groups of pictures of one thing): on it temperatures
    and thresholds of confidence are chosen."""


class Case(_Strict):
    """One network: its variants, which share their input."""

    model: str = Field(min_length=1, max_length=500)
    """A name, `module:function`, `file.py:function`, or a file; see docs/networks.md."""
    label: str = Field("", max_length=60, pattern=_LABEL)
    """How results name it."""
    arguments: dict[str, Any] = {}
    """Of the user's function."""
    variants: tuple[Variant, ...] | None = Field(None, min_length=1, max_length=100)
    """Those that suit the network when None."""
    methods: tuple[Word, ...] = Field((), max_length=100)
    """Further variants: each of these methods (all: every one) at each of `sizes`, with the same effort."""
    sizes: tuple[Word, ...] = Field((), max_length=16)
    """Of the files of those variants: ratios to the ordinary network in float32 (20x), or bytes (16kB)."""
    effort: Effort | None = None
    """Of those variants and of the ordinary network beside them."""
    learns: bool | Literal["with data"] | None = None
    """Whether bench trains the network on `data` before it is measured, where that has no weights of its own; `with
    data`: where data are named, else it is measured untrained and the variants' epochs are of no account."""
    threads: tuple[Threads, ...] = Field((1,), min_length=1, max_length=16)
    precision: tuple[Precision, ...] = Field(("fp32",), min_length=1)
    input: tuple[Tensor, ...] | None = None
    """Each input without the batch, e.g. "3x224x224"; whole numbers as "int32:128"; several in a list."""
    input_size: tuple[Dimension, Dimension] | None = None
    """Height and width in pixels, for networks that take any."""
    weights: Path | None = None
    """Trained weights of the network: a state dict, or a `.frq` package, which FR variants take as it is."""
    data: Data | None = None
    cores: str = Field("any", pattern=r"^(any|all|big|little|0x[0-9a-fA-F]{1,32})$")
    """Which cores a launch may use: any, all, big, little, or a hexadecimal mask (0xf0)."""
    desktop: tuple[str, ...] | None = None
    """Runtimes measured on this host, instead of the plan's."""
    protocol: Protocol | None = None
    """Instead of the plan's, for this network."""

    @field_validator("input", mode="before")
    @classmethod
    def _inputs(cls, value: Any) -> Any:
        """From text, several texts, numbers, or what was stored of a plan."""
        if isinstance(value, str):
            return inputs_of(value)
        if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
            return inputs_of(",".join(value))
        if isinstance(value, list | tuple) and value and all(isinstance(one, int) for one in value):
            return inputs_of("x".join(map(str, value)))
        return value

    @field_validator("data", mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _told_apart(self) -> Case:
        if not self.label:
            object.__setattr__(self, "label", label_of(self.model))
        for name in ("threads", "precision"):
            _no_doubles(name, [str(value) for value in getattr(self, name)])
        if not self.methods and (self.sizes or self.effort):
            name = "sizes" if self.sizes else "effort"
            raise ValueError(f"{name} is of variants by `methods`, and the case names none of these")
        for name in ("methods", "sizes"):
            _no_doubles(name, list(getattr(self, name)))
        _no_doubles("variants", [variant.label for variant in self.variants or ()], "; give one of them a label")
        return self


class Plan(_Strict):
    """A whole job."""

    schema_version: Literal[2] = 2
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)
    description: str = Field("", max_length=2000)
    cases: tuple[Case, ...] = Field(min_length=1, max_length=1000)
    runtime: str | tuple[str, ...] = "ncnn"
    """What executes variants that name no runtime of their own, on phones; with several, each of them does."""
    desktop: tuple[str, ...] = ("torch", "ncnn")
    """Runtimes measured on this host beside the phone."""
    shared_data: bool = False
    """All networks are shown the same data, so that --data and --samples are for all of them."""
    protocol: Protocol = Protocol()

    @model_validator(mode="before")
    @classmethod
    def _migrated(cls, value: Any) -> Any:
        """Plans of schema 1: `native` was ncnn's name, and `coefficients` the target of every FR variant."""
        if not isinstance(value, dict) or value.get("schema_version", 2) != 1:
            return value
        made = value | {"schema_version": 2}
        if isinstance(cases := value.get("cases"), list | tuple):
            made["cases"] = [_case_of_schema_1(case) if isinstance(case, dict) else case for case in cases]
        if isinstance(desktop := value.get("desktop"), list | tuple):
            made["desktop"] = ["ncnn" if name == "native" else name for name in desktop]
        return made

    @field_validator("runtime", mode="before")
    @classmethod
    def _of_names(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not names or not all(isinstance(one, str) and one for one in names):
            raise ValueError('it is a runtime\'s name, or a list of some, e.g. ["ncnn", "onnxruntime"]; or "all"')
        _no_doubles("runtime", list(names))
        return value

    @field_validator("cases")
    @classmethod
    def _one_case_a_label(cls, cases: tuple[Case, ...]) -> tuple[Case, ...]:
        _no_doubles("cases", [case.label for case in cases], "; give one of them a label")
        return cases

    @property
    def runtimes(self) -> tuple[str, ...]:
        """Names of the runtimes of `runtime`."""
        return (self.runtime,) if isinstance(self.runtime, str) else self.runtime

    def runtimes_for(self, variant: Variant) -> tuple[str, ...]:
        """The runtimes that execute the variant on phones: its own, else the plan's."""
        return (variant.runtime,) if variant.runtime else self.runtimes

    def protocol_for(self, label: str) -> Protocol:
        """The protocol of the case with that label: its own, else the plan's."""
        own = next((case.protocol for case in self.cases if case.label == label), None)
        return own or self.protocol

    def desktop_for(self, case: Case) -> tuple[str, ...]:
        """The runtimes that measure the case on this host: its own, else the plan's."""
        return self.desktop if case.desktop is None else case.desktop


def _case_of_schema_1(case: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in case.items() if key != "coefficients"}
    names = case.get("variants", ("baseline", "fr-dense", "fr-factored"))
    if (coefficients := case.get("coefficients")) and isinstance(names, list | tuple):
        kept["variants"] = [
            name if name == "baseline" else {"name": name, "target": str(coefficients), "label": name} for name in names
        ]
    return kept


_PLAIN_FUNCTIONS = {"build", "make", "create", "model", "net", "network"}


def label_of(reference: str) -> str:
    """A label for the network that `reference` names, where it has none: the function's name, or the file's."""
    place, colon, function = reference.rpartition(":")
    if not colon:
        place, function = reference, ""
    is_module = colon and not place.endswith(".py")
    base = (
        place.rpartition(".")[2]
        if is_module
        else re.sub(r"\.(py|pt|pt2|pth|onnx|param|frq[8n]?)$", "", Path(place).name)
    )
    name = f"{base}-{function}" if function and function not in _PLAIN_FUNCTIONS else base
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:60] or "network"


def _no_doubles(what: str, names: Sequence[str], fix: str = "") -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} appears twice in {what}{fix}")


def inputs_of(text: str) -> tuple[Tensor, ...]:
    """`3x224x224,int32:128` as inputs named in0, in1. Raises ValueError."""
    made = []
    for number, part in enumerate(text.split(",")):
        dtype, _, shape = part.strip().rpartition(":")
        values = {"name": f"in{number}", "shape": shape_of(shape), "dtype": dtype or "float32"}
        made.append(Tensor.model_validate(values))
    return tuple(made)


def shape_of(text: str) -> tuple[int, ...]:
    """`3x224x224` as numbers. Raises ValueError."""
    parts = text.lower().replace("×", "x").split("x")
    if not all(part.strip().isdecimal() and len(part) <= 12 for part in parts):
        raise ValueError(f"{text[:60]!r} is not a shape; write e.g. 3x224x224")
    return tuple(int(part) for part in parts)


def load(path: Path) -> Plan:
    """The plan in a TOML file. Raises PlanError with the line and the key that is not understood."""
    return load_as(Plan, path, "docs/plans.md")


def load_as(model: type[Model], path: Path, see: str) -> Model:
    """A TOML file as a model, which the page `see` describes. Raises PlanError as `load` does."""
    try:
        text = read_bounded(path, MAX_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise PlanError(f"cannot read the plan {path}: {why}", f"See {see} for the form of a plan.") from error
    return _parsed(model, text, str(path), see)


def of_run(run: RunRecord) -> Plan:
    """The plan of a stored run. Raises CorruptData where it is not understood."""
    try:
        return Plan.model_validate(run.plan)
    except ValidationError as error:
        raise CorruptData(
            f"run.json of {run.id} holds a plan that this version does not understand: {error.errors()[0]['msg']}",
            f"Read it with the bench that wrote it, {run.bench_version}.",
        ) from None


def label_typed(text: str) -> str:
    """The label of a variant that a person names as for --variant, `fr-resident@1/4`; what is none stays as it is."""
    try:
        return Variant.model_validate(text).label
    except ValidationError:
        return text


def parse(text: str, source: str) -> Plan:
    """The plan in TOML text; `source` names it in errors."""
    return _parsed(Plan, text, source, "docs/plans.md")


def _parsed(model: type[Model], text: str, source: str, see: str) -> Model:
    try:
        values = toml.values(text)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise PlanError(f"{source}: not TOML: {why}", f"See {see} for the form of a plan.") from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A tuple whose members are wrong is said to be too short as well.
        problems = [
            _problem(one, text, source) for one in found if not any(_within(o["loc"], one["loc"]) for o in found)
        ]
        raise PlanError("\n".join(problems), f"See {see} for every key.") from error


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


def _within(inner: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _problem(problem: Any, text: str, source: str) -> str:
    """`file:line: key: what is wrong`."""
    key = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in problem["loc"])
    place = f"{source}:{toml.line_of(problem['loc'], text)}"
    return ": ".join(filter(None, (place, key, message_of(problem))))


def message_of(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown key"
    if problem["type"] in ("too_long", "too_short"):
        more, limits = problem["type"] == "too_long", problem["ctx"]
        bound, count = limits["max_length" if more else "min_length"], limits["actual_length"]
        return (
            f"at {'most' if more else 'least'} {bound} of them can be named{'' if count is None else f', not {count}'}"
        )
    return str(problem["msg"]).removeprefix("Value error, ")
