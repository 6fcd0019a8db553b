"""Making networks smaller: an open set of methods. Adding one is a folder and a line in METHODS.

Third parties add theirs by an entry point in the group `fr_bench.methods`, which names a `method.Method`.
Nothing here imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.compress.method import Method
from bench.errors import ToolMissing, UnknownName, UsageError
from bench.registry import Registry

if TYPE_CHECKING:
    from bench.records import Precision
    from bench.runtimes.runtime import Runtime

METHODS: Registry[Method] = Registry(
    "method",
    "fr_bench.methods",
    {
        "fr": "bench.compress.frequency.method:METHOD",
        "fr-int8": "bench.compress.frequency.method:INT8",
        "nested-fr": "bench.compress.frequency.nested:METHOD",
        "half": "bench.compress.half.method:METHOD",
        "prune": "bench.compress.prune.method:METHOD",
        "dense-small": "bench.compress.dense_small.method:METHOD",
        "int8": "bench.compress.int8.method:METHOD",
        "tucker": "bench.compress.tucker.method:METHOD",
        "distil": "bench.compress.distil.method:METHOD",
        "cascade": "bench.compress.cascade.method:METHOD",
        "nested": "bench.compress.nested.method:METHOD",
        "elm": "bench.compress.elm.method:METHOD",
    },
)
BASELINE = "baseline"
"""The short name of the ordinary network, which no method has changed."""


class Description(NamedTuple):
    """What a short name says of a variant. `method` is None for the ordinary network."""

    method: str | None
    execution: str
    target: str | None


def names() -> tuple[str, ...]:
    """Every method, bench's own first."""
    return METHODS.names()


def method(name: str) -> Method:
    """The method of that name, or the chain of several: `dense-small,half`. Raises UnknownName, UsageError for a chain
    that makes no sense, and ToolMissing for a third party's method that cannot be loaded."""
    if "," not in name:
        return METHODS[name]
    from bench.compress.chain.method import chain

    links = [link.strip() for link in name.split(",")]
    if not all(links):
        raise UsageError(f"the chain {name!r} lacks a method beside its comma", "Write e.g. prune,int8.")
    return chain(",".join(links), tuple(METHODS[link] for link in links), names())


def precision(name: str | None, execution: str | None, runtime: Runtime) -> Precision | None:
    """What that runtime computes a form of a method in, whatever a plan asks for; None: in what the plan asks for.

    Raises UnknownName and ToolMissing."""
    if name is None or execution is None:
        return None
    own = getattr(method(name), "precision", None)  # not in FR, nor in methods made for an earlier bench
    return own(execution, runtime) if own else None


def short_names() -> tuple[str, ...]:
    """Every name that `described` understands, without targets and chains; a method that cannot be loaded has none."""
    found = [BASELINE]
    for name in names():
        try:
            forms = method(name).executions
        except ToolMissing:
            continue
        found += [name, *(f"{name}-{form}" for form in forms if len(forms) > 1)]
    return tuple(found)


def described(short: str) -> Description:
    """The variant that a short name stands for: `baseline`, a method or a chain of them, or that in one of its forms,
    and after a colon the target, e.g. `fr`, `fr-resident`, `fr-auto:20x`, `dense-small,half:16kB`. Raises UnknownName
    and UsageError."""
    name, colon, target = short.partition(":")
    if colon and not target:
        raise UsageError(f"{short!r} has no target after its colon", "Write e.g. fr-auto:20x, or leave the colon out.")
    if name == BASELINE:
        if colon:
            raise UsageError(f"{short!r}: the ordinary network has no target", f"Write {BASELINE}.")
        return Description(None, "stock", None)
    before, comma, last = name.rpartition(",")
    # The longest first: fr-int8 is a method, and no form of fr.
    for known in sorted(names(), key=len, reverse=True):
        if last != known and not last.startswith(f"{known}-"):
            continue
        forms = METHODS[known].executions
        form = forms[0] if last == known else last[len(known) + 1 :]
        if form in forms and (last == known or len(forms) > 1):
            registered = f"{before}{comma}{known}"  # a third party's may call itself something else
            method(registered)  # refuses a chain that makes no sense
            return Description(registered, form, target or None)
    raise UnknownName.of("variant", short, short_names())
