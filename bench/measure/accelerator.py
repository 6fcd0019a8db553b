"""What computed the layers of a launch other than its CPUs: in words, and what follows from layers that it did not."""

from __future__ import annotations

from bench.errors import RunnerFailed
from bench.measure.lines import Accelerator
from bench.records import Pass

_OF_THE_NETWORK: frozenset[Pass] = frozenset(("accuracy", "drift", "size"))
"""Passes whose figures are the same whatever computes."""

_NAMED = 8
"""Layers that a sentence names."""


def words(one: Accelerator) -> dict[str, str]:
    """For the conditions of a launch: the device as it is, and how many layers were computed there."""
    device = f"{one.device}, driver {one.driver}" + (", a software Vulkan (a CPU)" if one.software else "")
    there = f"{one.layers - one.elsewhere} of {one.layers}"
    return {"device": device, "layers computed there": there} | ({"on the CPU": _named(one)} if one.elsewhere else {})


def doubts(one: Accelerator | None, pass_: Pass) -> tuple[str, ...]:
    """Why the figures of a launch say nothing of a GPU; empty where they do, or no GPU was asked for."""
    if one is None or not one.software or pass_ in _OF_THE_NETWORK:
        return ()
    return (f"computed by {one.device}, a software Vulkan (a CPU): its figures are no GPU's",)


def refuse_fallback(one: Accelerator) -> None:
    """Raise RunnerFailed unless a GPU computed every layer."""
    found = []
    if one.software:
        found.append(f"{one.device} is a software Vulkan, which computes on the CPU")
    if one.elsewhere:
        found.append(f"{one.elsewhere} of {one.layers} layers were computed on the CPU: {_named(one)}")
    if found:
        raise RunnerFailed(
            f"a GPU is required, and {'; '.join(found)}",
            "Replace these operators, or measure without --require gpu, where the report tells what ran where.",
        )


def _named(one: Accelerator) -> str:
    more = one.elsewhere - len(shown := one.names[:_NAMED])
    return ", ".join(shown) + (f" and {more} more" if more else "")
