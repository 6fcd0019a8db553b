"""The variants that `methods` and `sizes` of a case stand for: every method at the same bytes, with the same effort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench import compress
from bench.cache import Cache
from bench.compress.method import Method, Request
from bench.compress.target import Target
from bench.errors import BenchError, ToolMissing, UsageError
from bench.networks.count import counts
from bench.networks.network import Network
from bench.plan import Case, Effort, Variant

ALL = "all"
SIZES = ("4x", "20x", "100x", "1000x")
"""Where a case names methods alone."""
EPOCHS = {"segmentation": 8}
"""Of every method where a case gives no number, by task: as many as an ordinary network is trained for."""
_EPOCHS = 20
_FORMS = "Say it as a ratio to the ordinary network in float32 (20x), or in bytes of the files (16kB)."


def expanded(case: Case, network: Network, cache: Cache) -> tuple[Variant, ...]:
    """The case's variants, the ordinary network first where none are named, and for each of its methods one a size.

    A size is of the files that a device needs: a ratio is that of four bytes for each parameter of the ordinary
    network. A method without such a target is there once, at its own size. What turns out impossible later is left out
    of the run with a sentence (`Variant.optional`). Raises UnknownName and UsageError for a method or a size that is
    none, and UsageError where the network cannot be counted.
    """
    if not case.methods:
        return case.variants or ()
    sizes = {text: _bytes(text, network, cache) for text in case.sizes or SIZES}
    begin = case.variants or (Variant(name=compress.BASELINE),)
    found = [_shared(variant, case, network) for variant in begin]
    known = {variant.label for variant in found}
    for name in _names(case.methods):
        for variant in _of_method(name, sizes, case, network):
            if variant.label not in known:
                known.add(variant.label)
                found.append(variant)
    return tuple(found)


def _names(asked: Sequence[str]) -> Iterator[str]:
    """In order, each once. A method of another package that cannot be loaded is none of all, and
    neither is one with several networks in a file, which has more than one size."""
    seen: set[str] = set()
    for name in asked:
        for one in compress.names() if name == ALL else (name,):
            if one in seen:
                continue
            seen.add(one)
            try:
                method = compress.method(one)
            except ToolMissing:
                if name != ALL:
                    raise
                continue
            if name == ALL and hasattr(method, "switches"):
                continue
            yield one


def _bytes(text: str, network: Network, cache: Cache) -> int:
    target = Target.parse(text, _FORMS, ("ratio", "bytes"))
    if target.kind == "bytes":
        return int(target.amount)
    counted = counts(network, cache)
    if counted is None:
        raise UsageError(
            f"{network.name} cannot be counted, so {text} of it is not a number of bytes", "Give sizes in bytes: 16kB."
        )
    return int(4 * counted.parameters / target.amount)


def _of_method(name: str, sizes: dict[str, int], case: Case, network: Network) -> Iterator[Variant]:
    method = compress.method(name)
    effort = _understood(method, case, network)
    form = method.executions[0]
    label = name.replace(",", "+")
    if not takes_bytes(method):
        yield Variant(method=name, execution=form, effort=effort, optional=True, label=label)
        return
    for text, size in sizes.items():
        yield Variant(
            method=name, execution=form, effort=effort, target=f"{size}B", shipped=size, optional=True,
            label=f"{label}:{text.strip()}",
        )  # fmt: skip


def takes_bytes(method: Method) -> bool:
    """Whether the method can be asked for a number of bytes, by what it refuses itself."""
    tried = Request(target="1000B")
    return any(
        _understands(method, request) for request in (tried, Request(target="1000B", one_shot=True, seeded=True))
    )


def _understands(method: Method, request: Request) -> bool:
    try:
        method.check(request)
    except BenchError:
        return False
    return True


def _effort(case: Case, network: Network) -> Effort:
    """What all variants of the case share."""
    given = case.effort or Effort()
    epochs = given.epochs or EPOCHS.get(network.task, _EPOCHS)
    return given.model_copy(update={"epochs": epochs})


def _shared(variant: Variant, case: Case, network: Network) -> Variant:
    """The ordinary network is trained as long as what begins with it; other variants say their effort themselves."""
    ordinary = variant.name == compress.BASELINE and variant.effort == Effort()
    return variant.model_copy(update={"effort": _effort(case, network)}) if ordinary else variant


def _understood(method: Method, case: Case, network: Network) -> Effort:
    """The case's effort as the method takes it: as many epochs for what is trained from the start as of fine-tuning for
    what begins with trained weights. Without anything to learn from, one shot."""
    whole = _effort(case, network)
    tuned = whole.fine_tune or whole.epochs
    learns = network.learns or (case.data is not None and case.data.path is not None)
    none = {"epochs": None, "fine_tune": 0}
    one_shot = whole.model_copy(update=none | {"one_shot": True})
    ways = [one_shot, whole.model_copy(update={"fine_tune": 0, "one_shot": False})]
    if whole.one_shot:
        ways = [one_shot.model_copy(update={"fine_tune": whole.fine_tune}), one_shot]
    elif learns:
        ways = [
            whole.model_copy(update={"fine_tune": tuned, "one_shot": False}),
            whole.model_copy(update={"fine_tune": 0, "one_shot": False}),
            one_shot.model_copy(update={"fine_tune": tuned}),
            one_shot,
        ]
    target = "1000B" if takes_bytes(method) else None
    for way in ways:
        request = Request(
            target=target, seed=way.seed, epochs=way.epochs, budget=way.budget, one_shot=bool(way.one_shot),
            fine_tune=way.fine_tune, labels=way.labels,
        )  # fmt: skip
        if _understands(method, request):
            return way
    return ways[0]  # what the method says to it becomes a sentence
