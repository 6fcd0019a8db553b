"""The networks that one network becomes with fewer channels: how large each is, and the widest one within a target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import nn

from bench.compress.narrower import package, scaling, structure
from bench.compress.target import Target
from bench.errors import UsageError
from bench.networks import Network
from bench.networks.count import count, examples

Unit = Literal["parameters", "bytes", "multiply-adds"]
_SAID: dict[Unit, str] = {"parameters": "", "bytes": "B", "multiply-adds": "MAC"}
"""Behind a number in a target."""


@dataclass(frozen=True, eq=False)
class Limit:
    """At most so many."""

    most: int
    unit: Unit


@dataclass(frozen=True, eq=False)
class Family:
    """By how many channels are kept of each of its groups; `ordinary` has them all, and packages are of `method`. From
    so many `lanes` on, in groups of twice as many or more, widths are multiples of them where that can be."""

    network: Network
    ordinary: nn.Module
    method: str = ""
    lanes: int = scaling.LANES

    @cached_property
    def found(self) -> dict[str, structure.Site]:
        return structure.sites(self.ordinary)

    @cached_property
    def groups(self) -> list[scaling.Group]:
        """Raises UsageError where none of them can be smaller."""
        return scaling.groups(self.ordinary, examples(self.network.inputs), self.network.name, self.lanes)

    @cached_property
    def folded(self) -> nn.Module:
        return package.folded(self.network, self.ordinary)

    @property
    def whole(self) -> scaling.Kept:
        return tuple(group.channels for group in self.groups)

    @property
    def least(self) -> scaling.Kept:
        return tuple(group.step for group in self.groups)

    def widths(self, kept: scaling.Kept) -> structure.Widths:
        return scaling.widths(self.found, self.groups, kept)

    def amount(self, kept: scaling.Kept, unit: Unit) -> int:
        """Of bytes at most so many."""
        if unit == "multiply-adds":
            return count(structure.resized(self._light, self.widths(kept)), self.network.inputs).macs
        parameters, size = package.planned(self.folded, self.widths(kept), 2 * len(self.found), self.method)
        return size if unit == "bytes" else parameters

    @cached_property
    def _light(self) -> nn.Module:
        """Without values where its forward can do without."""
        return scaling.light(self.ordinary, examples(self.network.inputs))[0]

    def limit(self, target: Target) -> Limit:
        match target.kind:
            case "ratio":
                parameters = sum(parameter.numel() for parameter in self.ordinary.parameters())
                return Limit(int(2 * parameters / target.amount), "parameters")
            case "count":
                return Limit(int(target.amount), "parameters")
            case "bytes":
                return Limit(int(target.amount), "bytes")
            case "macs":
                return Limit(int(target.amount), "multiply-adds")
            case "mac ratio":
                return Limit(int(self.amount(self.whole, "multiply-adds") / target.amount), "multiply-adds")

    def widest(self, limit: Limit) -> scaling.Kept | None:
        """Of those within the limit; None where not even the narrowest is."""
        return scaling.fitting(self.groups, lambda tried: self.amount(tried, limit.unit) <= limit.most)

    def within(self, target: Target) -> scaling.Kept:
        """The widest within the target. Raises UsageError where that is none, and where all of them are."""
        limit = self.limit(target)
        most, unit, name = limit.most, limit.unit, self.network.name
        whole = self.amount(self.whole, unit)
        if whole <= most:
            kind = "" if unit == "multiply-adds" else " in float16"
            raise UsageError(
                f"{name} as it is has {whole:,} {unit}{kind}, no more than the {most:,} of the target",
                "Ask for a smaller one, or measure it with the method half.",
            )
        if (kept := self.widest(limit)) is None:
            least = self.amount(self.least, unit)
            raise UsageError(
                f"{name} cannot be scaled down to {most:,} {unit}: with the fewest channels that it works with, it "
                f"has {least:,}",
                f"Ask for {least:,}{_SAID[unit]} or more.",
            )
        return kept
