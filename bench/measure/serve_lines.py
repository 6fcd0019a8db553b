"""What a launch that served several networks printed: events in the form of the contract, put together by phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bench.errors import RunnerFailed
from bench.measure.fields import REBUILD, whole
from bench.scheduled import MOST_REQUESTS, Exchange, PhaseTaken, Served, Serving

_MOST_PHASES, _MOST_NETWORKS = 64, 16
_Answer = Literal["own", "later", "none"]
KINDS = ("switched", "served", "phase", "request")


@dataclass
class ServeEvents:
    """The events of such a launch so far."""

    phases: list[PhaseTaken] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    served: dict[tuple[int, int], Served] = field(default_factory=dict)
    requests: dict[tuple[int, int, str], list[int]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    def add(self, kind: str, event: Mapping[str, Any]) -> None:
        """Raises RunnerFailed for what the contract does not allow."""
        if kind == "phase":
            self._add_phase(event)
            return
        phase, network = whole(event, "phase"), whole(event, "network")
        if phase >= _MOST_PHASES or network >= _MOST_NETWORKS:
            raise RunnerFailed(f"the runner's {kind!r} event is of a phase or network that there is not", REBUILD)
        if kind == "switched":
            way: Any = event.get("way")
            if way not in ("load", "capacity") or len(self.exchanges) >= _MOST_PHASES * _MOST_NETWORKS:
                raise RunnerFailed("the runner's 'switched' event contradicts itself", REBUILD)
            ns = whole(event, "ns", least=-1)
            self.exchanges.append(
                Exchange(phase=phase, network=network, way=way, ns=None if ns < 0 else ns, bytes=whole(event, "bytes"))
            )
        elif kind == "served":
            cpu = whole(event, "cpu", least=-1)
            self.served[phase, network] = Served(
                phase=phase, network=network, granted=whole(event, "granted"), cpu=None if cpu < 0 else cpu,
                rss=whole(event, "rss"), inferences=whole(event, "inferences"),
            )  # fmt: skip
        else:
            answer: Any = event.get("answer")
            if answer not in get_args(_Answer) or self.counts.get(network, 0) >= MOST_REQUESTS:
                raise RunnerFailed("the runner's 'request' event contradicts itself", REBUILD)
            self.counts[network] = self.counts.get(network, 0) + 1
            self.requests.setdefault((phase, network, answer), []).append(whole(event, "ns"))

    def _add_phase(self, event: Mapping[str, Any]) -> None:
        if whole(event, "i") != len(self.phases) or len(self.phases) >= _MOST_PHASES:
            raise RunnerFailed(f"the runner's phase {len(self.phases)} is missing: a line was lost", REBUILD)
        cpu = whole(event, "own_cpu", least=-1)
        self.phases.append(
            PhaseTaken(
                ns=whole(event, "ns", least=1), rss=whole(event, "rss"), own_rss=whole(event, "own_rss"),
                own_cpu=None if cpu < 0 else cpu,
            )
        )  # fmt: skip

    def whole(self) -> Serving | None:
        """All of them; None where nothing was served. Raises RunnerFailed where some are missing."""
        if not (self.phases or self.served or self.requests):
            return None
        networks = 1 + max((network for _, network in self.served), default=-1)
        due = {(phase, network) for phase in range(len(self.phases)) for network in range(networks)}
        if due != self.served.keys() or not {(p, n) for p, n, _ in self.requests} <= due:
            raise RunnerFailed("the runner's events of networks and phases do not fit together", REBUILD)
        full = tuple(
            one.model_copy(update={answer: tuple(self.requests.get((*at, answer), ())) for answer in get_args(_Answer)})
            for at, one in sorted(self.served.items())
        )
        return Serving(phases=tuple(self.phases), served=full, exchanges=tuple(self.exchanges))
