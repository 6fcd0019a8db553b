"""What is measured again of a night: the suspected networks alone, with more launches."""

from __future__ import annotations

from collections.abc import Sequence

from bench.devices.host import DESKTOP
from bench.findings import Verdict
from bench.plan import Plan, Protocol
from bench.records import METRICS, Pass

AGAIN = 2
"""So many times the launches, LEAST at least."""
LEAST = 10
_MOST = 1000
_NAME = 54
"""Characters of a plan's name, so that it has room for one more word."""
_SWITCHES: dict[Pass, tuple[str, ...]] = {
    "sustained": ("sustained_seconds",), "energy": ("energy_seconds",), "largest": ("largest_side",),
    "contended": ("beside", "load"), "profile": ("profile_launches",),
    "switch": ("switch_launches",),
}  # fmt: skip
"""What asks for the optional passes in a protocol."""


def again(plan: Plan, suspects: Sequence[Verdict], ordinary: set[tuple[str, str]]) -> Plan:
    """The plan of suspected networks alone: those variants and the ordinary ones beside them, with more launches, and
    of the optional passes only those that the suspicion is about."""
    passes = {METRICS[v.metric].pass_ for v in suspects}
    here = any(v.right.device == DESKTOP for v in suspects)
    cases = []
    for case in plan.cases:
        mine = [v.right for v in suspects if v.right.model == case.label]
        if mine:
            names = {s.variant for s in mine} | {variant for model, variant in ordinary if model == case.label}
            update = {
                "variants": tuple(v for v in case.variants or () if v.label in names),
                "threads": tuple(n for n in case.threads if n in {s.threads for s in mine}),
                "protocol": _longer(plan.protocol_for(case.label), passes),
                "desktop": plan.desktop_for(case) if here else (),
            }
            cases.append(case.model_copy(update=update))
    return plan.model_copy(update={"cases": tuple(cases), "name": f"{plan.name[:_NAME]}-again"})


def _longer(protocol: Protocol, passes: set[Pass]) -> Protocol:
    launches = {
        name: min(max(AGAIN * getattr(protocol, name), LEAST), _MOST) for name in ("launches", "memory_launches")
    }
    without = {key: 0 for name, keys in _SWITCHES.items() if name not in passes for key in keys}
    return protocol.model_copy(update=launches | without)
