"""Making networks smaller: an open set of methods. Adding one is a folder and a line in METHODS.

Third parties add theirs by an entry point in the group `fr_bench.methods`, which names a `method.Method`.
Nothing here imports torch.
"""

from __future__ import annotations

from typing import NamedTuple

from bench.compress.method import Method
from bench.errors import ToolMissing, UnknownName, UsageError
from bench.registry import Registry

METHODS: Registry[Method] = Registry(
    "method",
    "fr_bench.methods",
    {
        "fr": "bench.compress.frequency.method:METHOD",
        "half": "bench.compress.half.method:METHOD",
        "prune": "bench.compress.prune.method:METHOD",
        "dense-small": "bench.compress.dense_small.method:METHOD",
        "distil": "bench.compress.distil.method:METHOD",
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
    """The method of that name. Raises UnknownName, and ToolMissing for a third party's that cannot be loaded."""
    return METHODS[name]


def short_names() -> tuple[str, ...]:
    """Every name that `described` understands, without targets; a method that cannot be loaded has none."""
    found = [BASELINE]
    for name in names():
        try:
            forms = method(name).executions
        except ToolMissing:
            continue
        found += [name, *(f"{name}-{form}" for form in forms if len(forms) > 1)]
    return tuple(found)


def described(short: str) -> Description:
    """The variant that a short name stands for: `baseline`, a method, or a method in one of its forms, and after a
    colon the target, e.g. `fr`, `fr-resident`, `fr-auto:20x`, `half`. Raises UnknownName and UsageError."""
    name, colon, target = short.partition(":")
    if colon and not target:
        raise UsageError(f"{short!r} has no target after its colon", "Write e.g. fr-auto:20x, or leave the colon out.")
    if name == BASELINE:
        if colon:
            raise UsageError(f"{short!r}: the ordinary network has no target", f"Write {BASELINE}.")
        return Description(None, "stock", None)
    for known in names():
        if name != known and not name.startswith(f"{known}-"):
            continue
        forms = method(known).executions
        form = forms[0] if name == known else name[len(known) + 1 :]
        if form in forms and (name == known or len(forms) > 1):
            return Description(known, form, target or None)
    raise UnknownName.of("variant", short, short_names())
