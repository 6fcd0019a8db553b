"""Launches that served two networks in two phases, made up."""

from __future__ import annotations

from typing import Any

from bench.scheduled import (
    Assigned,
    Capacity,
    Exchange,
    Launch,
    Phase,
    PhaseTaken,
    Policy,
    Served,
    Serving,
    Wish,
    Workload,
)

MS = 1_000_000
WORKLOAD = Workload(
    name="pair",
    networks=(
        Wish(network="a", accuracy=0.9, latency_ms=50, alpha=0.1, rate=10),
        Wish(network="b", accuracy=0.8, latency_ms=50, alpha=0.1, rate=10),
    ),
    phases=(Phase(seconds=3, memory_mb=100, processor=0.8), Phase(seconds=1, memory_mb=30, processor=0.4)),
)
CAPACITIES = tuple(
    Capacity(network=network, variant=variant, score=score, latency=10.0 * MS, memory=1e6 * mb)
    for network, variant, score, mb in (
        ("a", "large", 0.95, 40), ("a", "small", 0.85, 10), ("b", "large", 0.9, 40), ("b", "small", 0.8, 10),
    )
)  # fmt: skip


def policy(name: str, *variants: str) -> Policy:
    shares = (400, 200)
    phases = tuple(
        tuple(Assigned(network=network, variant=variant, share=share) for network in ("a", "b"))
        for variant, share in zip(variants, shares, strict=True)
    )
    return Policy(name=name, adaptive=name == "adaptive", phases=phases, predicted=0.0)


ADAPTIVE, FIXED = policy("adaptive", "large", "small"), policy("fixed 1", "small", "small")


def serving(late_ms: float = 0, granted: float = 1.0, rss: int = 25 * MS) -> Serving:
    """All requests take 20 ms, but those of the second phase `late_ms` more than the 50 ms that are allowed."""
    lengths = (3000 * MS, 1000 * MS)
    answers = (20 * MS, round((50 + late_ms) * MS) if late_ms else 20 * MS)
    served = tuple(
        Served(
            phase=phase, network=network, granted=round(granted * (0.4, 0.2)[phase] * lengths[phase]), cpu=10 * MS,
            rss=rss // 2, inferences=10, own=(answers[phase],) * 8, later=(answers[phase],) * 2,
        )
        for phase in (0, 1) for network in (0, 1)
    )  # fmt: skip
    phases = tuple(PhaseTaken(ns=ns, rss=rss, own_rss=MS, own_cpu=MS) for ns in lengths)
    exchanges = (Exchange(phase=1, network=0, way="load", ns=12 * MS, bytes=1000),)
    return Serving(phases=phases, served=served, exchanges=exchanges)


def launch(one: Policy, number: int = 0, **changes: Any) -> Launch:
    values: dict[str, Any] = {
        "id": "2026-11-27T00:00:00.000+00:00", "started": "2026-11-27T00:00:00.000+00:00", "bench_version": "1.0",
        "device": "emulator-5554", "virtual": True, "runtime": "ncnn", "threads": 1, "round": number, "order": 0,
        "workload": WORKLOAD, "capacities": CAPACITIES, "policy": one, "optimum": (-15.0, 5.0), "greedy": (-15.0, 5.5),
        "serving": serving(),
    }  # fmt: skip
    return Launch(**values | changes)


def launches(rounds: int = 5, late_ms: float = 0) -> list[Launch]:
    """Of the adaptive policy and a fixed one; no two rounds are quite the same."""
    return [
        launch(one, number, serving=serving(late_ms + number if one is FIXED else 0))
        for number in range(rounds)
        for one in (ADAPTIVE, FIXED)
    ]
