"""What a plan asks for of corrupted samples, with every name in it known, and networks that cannot be shown any."""

from __future__ import annotations

from bench import corrupted
from bench.data.corruptions import CORRUPTIONS, SMALLEST
from bench.errors import UsageError
from bench.networks.network import Network
from bench.plan import Case, Plan, Protocol

_LEAVE = "Leave drift out for it: with several networks, by a `protocol` of its case (docs/drift.md)."


def settled(plan: Plan) -> Plan:
    """The plan with the names of its corruptions, so that it asks for the same when there are more. Raises UnknownName,
    UsageError."""
    cases = tuple(
        case.model_copy(update={"protocol": _settled(case.protocol)}) if case.protocol else case for case in plan.cases
    )
    return plan.model_copy(update={"protocol": _settled(plan.protocol), "cases": cases})


def _settled(protocol: Protocol) -> Protocol:
    names = corrupted.words(corrupted.asked(protocol.drift, tuple(CORRUPTIONS)))
    return protocol.model_copy(update={"drift": names})


def refuse(case: Case, network: Network) -> None:
    """Raise UsageError for a network that is not shown pictures which can be corrupted, or whose answers to these
    nothing can judge, as far as that is known before anything is made."""
    if why := _hindrance(case, network):
        raise UsageError(f"drift of {case.label} cannot be measured: {why}", _LEAVE)


def _hindrance(case: Case, network: Network) -> str:
    first = network.inputs[0]
    if len(network.inputs) != 1 or len(first.shape) != 3 or first.shape[0] not in (1, 3) or first.dtype != "float32":
        shapes = " and ".join(f"{'×'.join(map(str, one.shape))} {one.dtype}" for one in network.inputs)
        return f"its input is not a picture ({shapes})"
    if min(first.shape[1:]) < SMALLEST:
        return f"its input of {first.shape[1]}×{first.shape[2]} pixels is too small (at least {SMALLEST})"
    if network.graph is None and network.task == "reconstruction":
        return "it answers with pictures, and what is right for a corrupted one is not known"
    if network.graph is None and network.task == "other":
        return "it neither classifies nor segments"
    if network.data is None and (case.data is None or case.data.path is None):
        return "it is shown seeded random values, not pictures; name some by --data"
    return ""
