"""The phone's processor as the host can really run it: which cores are shown, `/proc/cpuinfo` and `/sys/.../cpu`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.virtual.profile import Cluster, Cpu


@dataclass(frozen=True)
class Core:
    """One core shown. `index` is the host's own number for it, so that affinity masks mean what they say."""

    index: int
    cluster: int
    """Place of its cluster in the profile."""
    place: int
    """Place within its cluster."""


def host_cores() -> tuple[int, ...]:
    """The cores this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def choose(clusters: tuple[Cluster, ...], host: Iterable[int]) -> tuple[Core, ...]:
    """As many of the phone's cores as the host has, spanning its clusters: the fastest cluster gives the first, then
    the slowest, then those between, and so on in turn. They keep the phone's order of clusters.
    """
    available = sorted(host)
    by_speed = sorted(range(len(clusters)), key=lambda number: max(clusters[number].frequencies))
    turns = [by_speed[-1], *by_speed[:-1]]
    taken = dict.fromkeys(turns, 0)
    wanted = min(len(available), sum(cluster.cores for cluster in clusters))
    while sum(taken.values()) < wanted:
        for number in turns:
            if taken[number] < clusters[number].cores and sum(taken.values()) < wanted:
                taken[number] += 1
    chosen = [(number, place) for number in range(len(clusters)) for place in range(taken[number])]
    return tuple(Core(index, *position) for index, position in zip(available, chosen, strict=False))


def ranges(numbers: Iterable[int]) -> str:
    """A kernel CPU list, e.g. `0-3,7`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def cpuinfo(cpu: Cpu, shown: tuple[Core, ...]) -> str:
    """`/proc/cpuinfo` in the words of an ARM kernel."""
    blocks = []
    for core in shown:
        cluster = cpu.clusters[core.cluster]
        rows = [("processor\t", str(core.index))]
        if cluster.model_name:
            rows.append(("model name\t", cluster.model_name))
        rows += [
            ("BogoMIPS\t", f"{cpu.bogomips:.2f}"),
            ("Features\t", cpu.features),
            ("CPU implementer\t", f"{cluster.implementer:#04x}"),
            ("CPU architecture", str(cluster.architecture)),
            ("CPU variant\t", f"{cluster.variant:#x}"),
            ("CPU part\t", f"{cluster.part:#05x}"),
            ("CPU revision\t", str(cluster.revision)),
        ]
        blocks.append("".join(f"{name}: {value}\n" for name, value in rows) + "\n")
    return "".join(blocks) + (f"Hardware\t: {cpu.hardware}\n" if cpu.hardware else "")


def write_sysfs(folder: Path, cpu: Cpu, shown: tuple[Core, ...]) -> None:
    """`/sys/devices/system/cpu` below `folder`, which must be empty."""
    online = [core.index for core in shown]
    files = {
        "online": ranges(online),
        "present": ranges(online),
        "possible": ranges(online),
        "offline": "",
        "kernel_max": str(max(online)),
    }
    for core in shown:
        cluster = cpu.clusters[core.cluster]
        related = [other.index for other in shown if other.cluster == core.cluster]
        frequencies = " ".join(map(str, cluster.frequencies))
        frequency = f"cpu{core.index}/cpufreq"
        topology = f"cpu{core.index}/topology"
        files |= {
            f"cpu{core.index}/online": "1",
            f"{frequency}/affected_cpus": " ".join(map(str, related)),
            f"{frequency}/related_cpus": " ".join(map(str, related)),
            f"{frequency}/cpuinfo_max_freq": str(max(cluster.frequencies)),
            f"{frequency}/cpuinfo_min_freq": str(min(cluster.frequencies)),
            f"{frequency}/cpuinfo_transition_latency": "0",
            f"{frequency}/scaling_available_frequencies": frequencies,
            f"{frequency}/scaling_available_governors": " ".join(cpu.governors),
            f"{frequency}/scaling_max_freq": str(max(cluster.frequencies)),
            f"{frequency}/scaling_min_freq": str(min(cluster.frequencies)),
            f"{frequency}/scaling_driver": cpu.driver,
            f"{frequency}/scaling_governor": cpu.governors[0],
            f"{topology}/core_id": str(core.place),
            f"{topology}/physical_package_id": str(core.cluster),
            f"{topology}/core_siblings_list": ranges(related),
            f"{topology}/thread_siblings_list": str(core.index),
        }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
