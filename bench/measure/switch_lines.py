"""What a launch printed of the changes between a network's capacities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.errors import RunnerFailed
from bench.measure.fields import REBUILD, whole
from bench.records import Sample

MOST_CAPACITIES = 64
_MOST_SWITCHES = 2 * 1000 * MOST_CAPACITIES


class Switch(NamedTuple):
    """One change of capacity: `ns` until the network can infer again, `bytes` of weights brought in or dropped, `first`
    the first inference after it, in ns."""

    to: int
    ns: int
    bytes: int
    first: int


@dataclass
class SwitchEvents:
    """The events so far: at which capacity the network was loaded (`own`), the bytes of each, and the changes."""

    own: int = 0
    bytes: tuple[int, ...] = ()
    promised: int = 0
    at: int = 0
    found: list[Switch] = field(default_factory=list)

    def begin(self, event: Mapping[str, Any]) -> None:
        """Which capacities there are. Raises RunnerFailed."""
        listed = event.get("bytes")
        self.own, self.promised = whole(event, "own", least=1), whole(event, "switches", least=1)
        many = isinstance(listed, list) and 2 <= len(listed) <= MOST_CAPACITIES and self.own <= len(listed)
        if not many or self.promised > _MOST_SWITCHES:
            raise RunnerFailed("the runner's 'capacities' event contradicts itself", REBUILD)
        assert isinstance(listed, list)
        self.bytes = tuple(whole({"event": "capacities", "bytes": one}, "bytes") for one in listed)
        self.at = self.own

    def add(self, event: Mapping[str, Any]) -> None:
        """The next change. Raises RunnerFailed."""
        if whole(event, "i") != len(self.found) or len(self.found) >= self.promised:
            raise RunnerFailed(f"the runner's switch {len(self.found)} is missing: a line was lost", REBUILD)
        before, after = whole(event, "from", least=1), whole(event, "to", least=1)
        if before != self.at or abs(after - before) != 1 or after > len(self.bytes):
            raise RunnerFailed("the runner's 'switch' event contradicts itself", REBUILD)
        self.at = after
        self.found.append(
            Switch(after, whole(event, "ns", least=1), whole(event, "bytes"), whole(event, "first", least=1))
        )

    def samples(self) -> tuple[Sample, ...]:
        """Of the changes to the capacity that the network was loaded at, in their order, and its bytes; nothing where
        none were to be made. Raises RunnerFailed where some are missing."""
        if len(self.found) != self.promised:
            raise RunnerFailed(f"the runner printed {len(self.found)} of {self.promised} switches", REBUILD)
        own = [one for one in self.found if one.to == self.own]
        if not own:
            return ()
        figures = [("switch", "ns"), ("switch_first", "first"), ("paged", "bytes")]
        return (
            *(
                Sample(metric, number, float(getattr(one, name)))
                for metric, name in figures
                for number, one in enumerate(own)
            ),
            Sample("capacity_bytes", 0, float(self.bytes[self.own - 1])),
        )
