"""A chain as a method: `prune,int8` is what int8 makes of the network that prune leaves."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.compress.chain import fitting
from bench.compress.chain.package import Link, read, write
from bench.compress.method import (
    BY_DATA,
    Alters,
    Destination,
    Exported,
    Intended,
    Method,
    Narrowed,
    Request,
    Sight,
    Size,
    module_of,
)
from bench.compress.target import Target
from bench.errors import BenchError, CorruptData, UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.learner import Learner
    from bench.networks import Network
    from bench.records import Precision, Progress
    from bench.runtimes.runtime import Runtime
    from bench.width import Width

_ORDER = (
    "A chain is a method that changes the structure, then one that changes how numbers are stored: dense-small,half."
)
_ROUNDS = 4
"""Trained chains that may turn out larger than they were planned before that is given up."""


def chain(name: str, links: tuple[Method, ...], known: Iterable[str] = ()) -> Chain:
    """The chain of these methods. Raises UsageError, saying the right order, for one that makes no sense; `known` are
    the names of all methods, one of which may be what was meant."""
    names = [link.name for link in links]
    if len(links) != 2:
        raise UsageError(f"{name!r} is a chain of {len(links)} methods, and a chain has two", _ORDER)
    if names[0] == names[1]:
        raise UsageError(f"{name!r} names {names[0]} twice", _ORDER)
    # Methods of other packages may be older than chains.
    first, last = (getattr(link, "alters", None) for link in links)
    if (first, last) == ("structure", "numbers"):
        return Chain(name, links[0], links[1])
    if (first, last) == ("numbers", "structure"):
        why, fix = "changes the structure after the numbers", f"Structure comes first: {names[1]},{names[0]}."
    elif first == last == "numbers":
        why, fix = "has two methods that change how numbers are stored, and the second undoes the first", "Take one."
    elif first == last == "structure":
        why, fix = "has two methods that change the structure, and none that changes how numbers are stored", _ORDER
    else:
        alone = names[0] if first not in ("structure", "numbers") else names[1]
        joined = "-".join(names)
        why = f"holds {alone}, which makes a package of the ordinary network alone and in its own format"
        fix = f"Ask for {joined}, which does both." if joined in known else f"Ask for {alone} alone. {_ORDER}"
    raise UsageError(f"the chain {name!r} {why}", fix)


class Chain:
    """Two methods, the second on the network that the first restores from its package.

    A package holds that of each link (package.py). Where the second's has all values, the first's is kept without any.
    Forms are those of the last link. A target goes to the first link that takes one; one in bytes holds for the whole
    package. The first link is trained and tuned; the last takes what that leaves as it is.
    """

    suffix = ".chain"
    alters: Alters = "both"

    def __init__(self, name: str, first: Method, last: Method) -> None:
        self.name, self.title = name, f"{first.title}, then {last.title}"
        self.first, self.last = first, last
        self.executions: tuple[str, ...] = last.executions
        self.calibrates = any(getattr(link, "calibrates", False) for link in (first, last))

    def check(self, request: Request) -> None:
        for link, asked in zip((self.first, self.last), self._requests(request), strict=True):
            link.check(asked)

    def check_intended(self, intended: Intended) -> None:
        """See `Method`: what either link refuses."""
        requests = self._requests(intended.request)
        forms = (self.first.executions[0], intended.execution)
        for link, request, form in zip((self.first, self.last), requests, forms, strict=True):
            if own := getattr(link, "check_intended", None):
                own(replace(intended, request=request, execution=form))

    def default_target(self, network: Network) -> str | None:
        return self.first.default_target(network) or self.last.default_target(network)

    def compress(self, learner: Learner, request: Request) -> bytes:
        self.check(request)
        module_of(learner.network, self)
        if request.target is not None and (most := _bytes(request.target)):
            return self._within(learner, request, most)
        return self._made(learner, request)

    def check_width(self, execution: str, width: Width) -> None:
        self.last.check_width(execution, width)

    def narrowed(self, network: Network, package: bytes, execution: str, width: Width, sight: Sight) -> Narrowed:
        following, last = self._opened(network, package)
        return self.last.narrowed(following, last, execution, width, sight)

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        following, last = self._opened(network, package)
        if narrowed is None:
            return self.last.restored(following, last, execution)
        return self.last.restored(following, last, execution, narrowed)

    def size(self, network: Network, package: bytes) -> Size:
        following, last = self._opened(network, package)
        first = read(package)[0].package
        before, after = self.first.size(network, first), self.last.size(following, last)
        return replace(before, kept=after.kept, layers=after.layers, notes=(*before.notes, *after.notes))

    def precision(self, execution: str, runtime: Runtime) -> Precision | None:
        """What that runtime computes the last link's form in; None for what the plan asks for."""
        own = getattr(self.last, "precision", None)
        found: Precision | None = own(execution, runtime) if own else None
        return found

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        following, last = self._opened(network, package)
        if narrowed is None:
            return self.last.export(following, last, execution, to)
        return self.last.export(following, last, execution, to, narrowed)

    def _requests(self, request: Request) -> tuple[Request, Request]:
        """What each link is asked for. Raises the first one's refusal of a target that neither takes."""
        rest = replace(request, target=None, epochs=None, budget="uniform", one_shot=True, fine_tune=0)
        if request.target is None:
            return request, rest
        try:
            self.first.check(request)
        except UsageError as refusal:
            taken = replace(rest, target=request.target)
            try:
                self.last.check(taken)
            except UsageError:
                raise refusal from None
            return replace(request, target=None), taken
        return request, rest

    def _made(self, learner: Learner, request: Request) -> bytes:
        first, last = self._links(learner, request)
        emptied = _emptied(first) if self._suffices(learner.network, first, last) else None
        return self._package(emptied or first, last, emptied=emptied is not None)

    def _links(self, learner: Learner, request: Request) -> tuple[bytes, bytes]:
        """The package of each."""
        first_asked, last_asked = self._requests(request)
        first = self.first.compress(learner, first_asked)
        following = self._following(learner.network, first, first)
        return first, self.last.compress(replace(learner, network=following), last_asked)

    def _package(self, first: bytes, last: bytes, *, emptied: bool) -> bytes:
        return write((Link(self.first.name, first, "emptied" if emptied else "whole"), Link(self.last.name, last)))

    def _within(self, learner: Learner, request: Request, most: int) -> bytes:
        """The package, of at most so many bytes. How much is to be asked of the link is planned without training."""
        planned = _planner(self.first, learner, request)
        # Seeded values have scales as data has them, which makes packages as large in no time.
        seeded = replace(request, target=f"{most}B", seeded=request.seeded or learner.data is not None)
        last_asked = self._requests(seeded)[1]
        refusals: list[BenchError] = []
        suffices: list[bool] = []

        @functools.cache
        def after(first: bytes) -> int:
            following = replace(learner, network=self._following(learner.network, first, first), data=None)
            last = self.last.compress(replace(following, stage=_quiet), last_asked)
            if not suffices:  # takes longest, and is the same for all sizes
                suffices.append(self._suffices(learner.network, first, last))
            emptied = _emptied(first) if suffices[0] else None
            return len(self._package(emptied or first, last, emptied=emptied is not None))

        def total(amount: int) -> int | None:
            try:
                return after(planned(f"{amount}B"))
            except BenchError as refusal:
                refusals.append(refusal)
                return None

        amount = fitting.asked(total, most)
        if amount is None:
            if refusals:
                raise refusals[0]
            raise self._out_of_reach(learner.network, most)
        for _ in range(_ROUNDS):
            package = self._made(learner, replace(request, target=f"{amount}B"))
            if len(package) <= most:
                return package
            amount = amount * most // len(package) - 1
        raise self._out_of_reach(learner.network, most)

    def _out_of_reach(self, network: Network, most: int) -> UsageError:
        return UsageError(
            f"{network.name} does not become as small as {most:,} bytes by {self.name}", "Ask for a larger package."
        )

    def _opened(self, network: Network, package: bytes) -> tuple[Network, bytes]:
        """The network that the last link is of, and its package. Raises UsageError for a package of another chain."""
        links = read(package)
        names = ",".join(link.method for link in links)
        if names != f"{self.first.name},{self.last.name}":
            raise UsageError(
                f"the package is one of {names[:80]!r}, not of {self.name}", "Name the chain that it was made by."
            )
        return self._following(network, links[0].package, package), links[1].package

    def _following(self, network: Network, package: bytes, determines: bytes) -> Network:
        """The network that the first link's package stands for, its weights learnt; `determines` is what caches are to
        know it by."""
        module = self.first.restored(network, package, self.first.executions[0])
        return replace(
            network,
            build=lambda: copy.deepcopy(module),
            sources=(*network.sources, self.name, determines),
            trained=True,
            learns=False,
            coefficients=None,
            learner=None,
            twin=None,
            packages={},
        )

    def _possible(self, following: Network, last: bytes) -> Iterator[str]:
        """The forms that this package can have: one that was calibrated by nothing lacks some."""
        for form in self.executions:
            with suppress(UsageError):
                self.last.restored(following, last, form)
                yield form

    def _suffices(self, network: Network, first: bytes, last: bytes) -> bool:
        """Whether the last link's package makes the very same network where the first one's is emptied."""
        import torch

        from bench.networks.count import examples, run

        blank = _emptied(first)
        if blank is None:
            return False
        try:
            found = self._following(network, first, b""), self._following(network, blank, b"")
            for form in self._possible(found[0], last):
                whole, other = (self.last.restored(following, last, form) for following in found)
                states = [dict((*one.named_parameters(), *one.named_buffers())) for one in (whole, other)]
                answers = [run(one, examples(network.inputs)) for one in (whole, other)]
                if states[0].keys() != states[1].keys() or len(answers[0]) != len(answers[1]):
                    return False
                pairs = [*((states[0][name], states[1][name]) for name in states[0]), *zip(*answers, strict=True)]
                if not all(torch.equal(one, same) for one, same in pairs):
                    return False
        except BenchError:
            return False
        return True


def _emptied(package: bytes) -> bytes | None:
    """A package in safetensors with zero for every floating-point value; None for any other."""
    import torch

    from bench.compress import tensors

    try:
        held = tensors.unpack(package)
    except CorruptData:
        return None
    return tensors.pack({name: torch.zeros_like(one) if one.is_floating_point() else one for name, one in held.items()})


def _bytes(target: str) -> int | None:
    """The bytes that a target asks for; None for any other."""
    try:
        return int(Target.parse(target, "", ("bytes",)).amount)
    except UsageError:
        return None


def _planner(method: Method, learner: Learner, request: Request) -> Callable[[str], bytes]:
    """What makes, of a target, a package as large as that of a training for it. A method that has nothing of the kind
    makes whole packages, with nothing to learn from: of the trained network where there is one, since what it leaves
    can depend on its weights."""
    if own := getattr(method, "planner", None):
        made: Callable[[str], bytes] = own(learner, request)
        return made
    network = learner.network
    if learner.trained:
        module = learner.ordinary(request)
        network = replace(
            network, build=lambda: copy.deepcopy(module), trained=True, sources=(*network.sources, repr(request))
        )
    data = learner.data if request.budget in BY_DATA else None  # a ranking that looks at it trains nothing
    plain = replace(learner, network=network, stage=_quiet, data=data)
    plan = replace(request, one_shot=True, seeded=True, fine_tune=0, epochs=None, fresh=False)
    return lambda target: method.compress(plain, replace(plan, target=target))


def _quiet(title: str) -> Progress:
    return lambda done, words: None
