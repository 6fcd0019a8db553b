"""What a plan asks for, with every name in it resolved: the cases, and the subjects that can be measured of them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from bench import compress, networks, runtimes
from bench.cache import Cache
from bench.campaign import drifting, field, rivals
from bench.compress.method import Intended, Method, Request, begun
from bench.devices import topology
from bench.devices.host import DESKTOP
from bench.errors import BenchError, UsageError, naming
from bench.files import ordinary, reason
from bench.measure import order
from bench.networks import content
from bench.networks.count import counts
from bench.networks.network import Network
from bench.plan import WITH_DATA, Case, Data, Plan, Variant
from bench.prepare.variant import made_by, request_of
from bench.records import Precision
from bench.runtimes.runtime import Runtime

MACS_PER_SECOND = 20e9
"""For estimates alone: float32 multiply-adds of one mid-range phone core (two 128-bit FMA pipes at 2.5 GHz)."""


class Absent(NamedTuple):
    """A variant of a case that is not measured; with a runtime, by that one alone."""

    model: str
    variant: str
    runtime: str = ""

    def __str__(self) -> str:
        """As a run stores it."""
        return f"{self.model}/{self.variant}" + (f" by {self.runtime}" if self.runtime else "")


class Asked(NamedTuple):
    """A plan whose variants are full descriptions, and the network of each case by its label."""

    plan: Plan
    networks: dict[str, Network]
    absent: Mapping[Absent, str] = MappingProxyType({})
    """What is left out, with the reason."""

    def without(self, absent: Mapping[Absent, str]) -> Asked:
        """The same without these variants, or without some of the runtimes that execute them."""
        cases = tuple(
            case.model_copy(
                update={"variants": tuple(v for v in case.variants or () if Absent(case.label, v.label) not in absent)}
            )
            for case in self.plan.cases
        )
        return self._replace(plan=self.plan.model_copy(update={"cases": cases}), absent={**self.absent, **absent})

    def on_phones(self, case: Case, variant: Variant) -> tuple[str, ...]:
        """Names of the runtimes that execute a variant of a case on phones."""
        names = self.plan.runtimes_for(variant)
        return tuple(name for name in names if Absent(case.label, variant.label, name) not in self.absent)

    def runtimes_on_phones(self) -> tuple[str, ...]:
        """Names of the runtimes that phones need."""
        return tuple(
            dict.fromkeys(n for case in self.plan.cases for v in case.variants or () for n in self.on_phones(case, v))
        )

    @property
    def spared(self) -> tuple[str, ...]:
        """Those of several runtimes that the plan names at once: what one of them cannot do is left out, and said."""
        return self.plan.runtimes if len(self.plan.runtimes) > 1 else ()

    def runtimes_here(self) -> tuple[str, ...]:
        """Names of the runtimes that this host needs: its own, and those of phones, whose files are tried here."""
        desktop = (name for case in self.plan.cases for name in self.plan.desktop_for(case))
        return tuple(dict.fromkeys((*desktop, *self.runtimes_on_phones())))

    def runtimes_of(self, case: Case) -> dict[str, tuple[str, ...]]:
        """Names of the runtimes that measure each variant of a case, by the variant's label."""
        here = [name for name in self.plan.desktop_for(case) if can_run(self.networks[case.label], name)]
        return {
            v.label: tuple(
                name
                for name in dict.fromkeys((*here, *self.on_phones(case, v)))
                if Absent(case.label, v.label, name) not in self.absent
            )
            for v in case.variants or ()
        }


class Outline(NamedTuple):
    """A plan in a few figures: a row per network, the number of trials, an estimate of their time in seconds."""

    rows: tuple[tuple[str, ...], ...]
    trials: int
    estimate_s: float


def checked(plan: Plan, cache: Cache | None = None) -> Asked:
    """The plan, when every name and size in it is known, its methods and sizes as variants. Costs little, so that a
    typo is reported before a build or a phone is begun; a network that sizes are of is counted once, and cached.
    Raises UnknownName, UsageError, CorruptData."""
    if runtimes.ALL in plan.runtimes:
        plan = plan.model_copy(update={"runtime": runtimes.named(plan.runtimes)})
    plan = drifting.settled(plan)
    found: dict[str, Network] = {}
    absent: dict[Absent, str] = {}
    cases = []
    plan = field.doubled(plan)
    for case in plan.cases:
        for name in plan.desktop_for(case):
            runtimes.runtime(name)
        topology.place((), case.cores)
        _refuse_absent(case.data)
        with naming(case.label if len(plan.cases) > 1 else ""):
            network = found[case.label] = networks.resolve(
                case.model,
                arguments=case.arguments,
                weights=case.weights,
                inputs=case.input,
                input_size=case.input_size,
            )
            if case.learns is not None:
                network = found[case.label] = _learning(network, case)
            variants = rivals.expanded(case, network, cache or Cache()) or default_variants(network)
        if case.learns == WITH_DATA and not network.learns:
            variants = _without_epochs(variants)
        described = tuple(_described(v, plan, case, network) for v in variants)
        for variant in described:
            absent |= _refusing(variant, plan, case)
        _refuse_idle_package(network, described)
        if plan.protocol_for(case.label).drift:
            drifting.refuse(case, network)
        cases.append(case.model_copy(update={"variants": described, "methods": (), "sizes": (), "effort": None}))
    asked = Asked(plan.model_copy(update={"cases": tuple(cases)}), found, absent)
    _refuse_idle_requirement(asked)
    return asked


def _refuse_idle_requirement(asked: Asked) -> None:
    """Raise UsageError where a GPU is required of a case that no runtime computes on one."""
    for case in asked.plan.cases:
        names = {name for some in asked.runtimes_of(case).values() for name in some}
        if asked.plan.protocol_for(case.label).require == "gpu" and not any(map(runtimes.on_gpu, names)):
            known = ", ".join(filter(runtimes.on_gpu, runtimes.on("desktop")))
            raise UsageError(
                f"a GPU is required (--require gpu), and none of the runtimes of {case.label} computes on one: "
                f"{', '.join(sorted(names))}",
                f"Name one that does in `runtime` or `desktop`: {known}.",
            )


def _learning(network: Network, case: Case) -> Network:
    """The network as the case says whether bench trains it. Raises UsageError where it cannot be."""
    if case.learns == WITH_DATA:
        return replace(network, learns=_names_data(case) and not network.trained)
    if not case.learns:
        return replace(network, learns=False)
    if network.trained or network.graph is not None:
        raise UsageError(f"{network.name} has its weights already", "Leave `learns` out.")
    if not _names_data(case):
        raise UsageError(f"{network.name} is to be trained, and no data is named", "Add --data, or `data` of the case.")
    return replace(network, learns=True)


def _names_data(case: Case) -> bool:
    return case.data is not None and case.data.path is not None


def _without_epochs(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """The variants of a network that there is nothing to train with."""
    return tuple(v.model_copy(update={"effort": v.effort.model_copy(update={"epochs": None})}) for v in variants)


def _refuse_idle_package(network: Network, variants: Sequence[Variant]) -> None:
    """Raise UsageError where `--weights` names a package that none of the variants would take its weights from."""
    given = network.packages.get("")
    takers = [v for v in variants if given and v.method and _takes(compress.method(v.method), network, v, given)]
    if given and not any(network.package_for(v.target) == given for v in takers):
        raise UsageError(
            f"{given} is a package, and no variant of {network.name} takes its weights from it",
            "Ask for a variant of its method without a target, e.g. --variant fr-auto.",
        )


def _takes(method: Method, network: Network, variant: Variant, given: Path) -> bool:
    return made_by(method, given) or begun(method, network, request_of(variant, network)) == given


def _refuse_absent(data: Data | None) -> None:
    """Raise UsageError where the data is neither a folder nor an ordinary file."""
    if data is None or data.path is None or data.path.is_dir():
        return
    try:
        ordinary(data.path)
    except OSError as error:
        raise UsageError(f"data {data.path}: {reason(error)}", "Name a folder or a file (docs/data.md).") from error


def default_variants(network: Network) -> tuple[Variant, ...]:
    """What suits a network that a plan names without variants: FR too where its author chose how many coefficients, and
    nothing but itself where it is a ready graph."""
    if network.graph is not None:
        return (Variant(name="baseline"),)
    names = ("baseline", "half", "fr-dense", "fr-factored", "fr-auto") if network.coefficients else ("baseline", "half")
    return tuple(Variant(name=name) for name in names)


def _described(variant: Variant, plan: Plan, case: Case, network: Network) -> Variant:
    """The variant with its method and form instead of a shorthand. Raises UnknownName, UsageError."""
    full = variant
    if variant.name is not None:
        method, execution, target = compress.described(variant.name)
        if variant.method not in (None, method):
            raise UsageError(
                f"variant {variant.label} of {case.label} names the method {variant.method}, and {variant.name} is of "
                f"{method}",
                "Leave one of them out.",
            )
        full = variant.model_copy(update={
                "method": method,
                "execution": variant.execution or execution,
                "target": variant.target or target,
            }
        )  # fmt: skip
    if full.method is None and full.width:
        raise UsageError(
            f"variant {full.label} of {case.label} has a width, and no method that could narrow the ordinary network",
            "Ask for a variant that has widths, e.g. fr-resident@1/4.",
        )
    if full.method is None and (full.target or full.weights):
        raise UsageError(
            f"variant {full.label} of {case.label} has a target or weights, and no method that they belong to",
            "Name a method; weights of the network itself are the case's.",
        )
    if full.weights is not None:
        content.kind(full.weights)
    if full.method is not None:
        method_of = compress.method(full.method)
        if full.execution is None:
            full = full.model_copy(update={"execution": method_of.executions[0]})
        elif full.execution not in method_of.executions:
            raise UsageError(
                f"{full.method} has no form {full.execution!r}", f"Choose one of {', '.join(method_of.executions)}."
            )
        if full.width:
            _check_width(method_of, full, case)
        if full.weights is None:  # of a finished package nothing is asked any more
            with contextlib.suppress(BenchError) if full.optional else contextlib.nullcontext():
                request = request_of(full, network)
                method_of.check(request)
                _check_intended(method_of, full, case, network, request)
    return full


def _check_intended(method: Method, variant: Variant, case: Case, network: Network, request: Request) -> None:
    """Raise UsageError for what the method would refuse only once it is made; finished packages are as they are."""
    own = getattr(method, "check_intended", None)
    given = network.package_for(variant.target)
    if own is None or (given is not None and _takes(method, network, variant, given)):
        return
    assert variant.execution is not None
    held_out = case.data is not None and case.data.validation is not None
    own(Intended(network, request, variant.execution, variant.width, held_out))


def _refusing(variant: Variant, plan: Plan, case: Case) -> dict[Absent, str]:
    """Those of several runtimes that cannot execute a variant as it is asked for, with the reason. Raises UsageError
    where none of them can, and UnknownName."""
    refused: dict[Absent, UsageError] = {}
    names = plan.runtimes_for(variant)
    for name in names:
        try:
            _expect_possible(variant, case, runtimes.runtime(name))
        except UsageError as error:
            refused[Absent(case.label, variant.label, name)] = error
    if len(refused) == len(names):
        raise next(iter(refused.values()))
    return {one: error.what for one, error in refused.items()}


def _expect_possible(variant: Variant, case: Case, runtime: Runtime) -> None:
    """Raise UsageError for a runtime that is none of phones, or does not compute as the variant or its case asks."""
    if "phone" not in runtime.places:
        needs = getattr(runtime, "phones_need", "")
        without = f" without {needs}" if needs else ""
        raise UsageError(
            f"variant {variant.label} of {case.label} asks for {runtime.name}, which does not run on phones{without}",
            f"Name it in `desktop`, or choose one of {', '.join(runtimes.on('phone'))}.",
        )
    own = compress.precision(variant.method, variant.execution, runtime)
    if own and variant.precision not in (None, own):
        raise UsageError(
            f"variant {variant.label} of {case.label} computes in {own}, but {variant.precision} is asked of it",
            "Leave its precision out.",
        )
    for precision in (variant.precision,) if variant.precision else case.precision:
        if precision not in runtime.precisions:
            raise UsageError(
                f"{runtime.name} does not support {precision}", f"Choose one of {', '.join(runtime.precisions)}."
            )


def _check_width(method: Method, variant: Variant, case: Case) -> None:
    """Raise UsageError where the method knows no widths, or none in that form."""
    assert variant.execution is not None
    assert variant.width is not None
    if not (hasattr(method, "check_width") and hasattr(method, "narrowed")):  # made for an earlier bench
        raise UsageError(
            f"{method.title} has no widths, which {variant.label} of {case.label} asks for", "Leave the width out."
        )
    method.check_width(variant.execution, variant.width)


def entries(asked: Asked, phones: Sequence[str]) -> tuple[order.Entry, ...]:
    """Where each variant is measured: on every phone by its own runtimes, and by the case's runtimes on this host."""
    found = []
    for case in asked.plan.cases:
        measured_by = asked.runtimes_of(case)
        for variant in case.variants or ():
            there = {
                name: _precisions(variant, case, runtimes.runtime(name)) for name in asked.on_phones(case, variant)
            }
            places = {order.Place(phone, name): each for phone in phones for name, each in there.items()}
            for name in asked.plan.desktop_for(case):
                here = runtimes.runtime(name)
                if name in measured_by[variant.label]:
                    possible = tuple(p for p in _precisions(variant, case, here) if p in here.precisions)
                    places[order.Place(DESKTOP, name, here.reference)] = possible or here.precisions[:1]
            switching = frozenset(
                place.runtime for place in places if _switches(variant, runtimes.runtime(place.runtime))
            )
            found.append(order.Entry(case.label, variant.label, places, case.threads, switching))
    return tuple(found)


def _switches(variant: Variant, runtime: Runtime) -> bool:
    """Whether that runtime changes the variant's capacity in place."""
    own = getattr(compress.method(variant.method), "switches", None) if variant.method else None
    return bool(own and own(variant.execution, runtime))


def _precisions(variant: Variant, case: Case, runtime: Runtime) -> tuple[Precision, ...]:
    """What a runtime is asked to compute a variant in. A form that has a precision of its own (`Artifact.precision`) is
    measured once, beside the ordinary network in the first precision of the case: that is what it is compared with."""
    if compress.precision(variant.method, variant.execution, runtime):
        return case.precision[:1]
    return (variant.precision,) if variant.precision else case.precision


def can_run(network: Network, runtime: str) -> bool:
    """Whether a runtime can execute the network at all: a ready graph only where it is taken as it is."""
    return network.graph is None or content.kind(network.graph) in runtimes.runtime(runtime).graphs


def impossible(asked: Asked) -> list[str]:
    """What of the plan cannot be had, as far as that is known without a device, in sentences."""
    found = []
    for case in asked.plan.cases:
        network, p = asked.networks[case.label], asked.plan.protocol_for(case.label)
        if not p.largest_side:
            continue
        if len(network.inputs) != 1 or len(network.inputs[0].shape) != 3:
            found.append(f"The memory test of {case.label} will fail: it does not take one picture.")
        elif network.smallest is None:
            found.append(
                f"The memory test of {case.label} will fail if a layer of it depends on the picture's size: the "
                "network is stated for one size alone."
            )
    if any(asked.plan.protocol_for(case.label).energy_seconds for case in asked.plan.cases):
        found.append(
            "Energy can be had of a real, unplugged phone alone: on a virtual one each variant gets one failed trial "
            "that says so."
        )
    return found


def outline(asked: Asked, cache: Cache) -> Outline:
    """What a checked plan asks for, on one phone and this host."""
    plan, where = asked.plan, entries(asked, ["phone"])
    trials = order.trials(plan, where)
    seconds, rows = {}, []
    for case in plan.cases:
        network = asked.networks[case.label]
        counted = counts(network, cache)
        seconds[case.label] = (counted.macs if counted else 0) / MACS_PER_SECOND
        p = plan.protocol_for(case.label)
        count = sum(trial.subject.model == case.label for trial in trials)
        shapes = " + ".join("×".join(map(str, tensor.shape)) for tensor in network.inputs)
        rows.append(
            (
                case.label, ", ".join(v.label for v in case.variants or ()), shapes, ", ".join(map(str, case.threads)),
                ", ".join(case.precision), str(p.launches), f"≥ {p.min_iterations}", str(count),
            )
        )  # fmt: skip
    start_s = {name: runtimes.runtime(name).start_s for name in asked.runtimes_here()}
    return Outline(tuple(rows), len(trials), order.estimate_s(plan, where, seconds, start_s))
