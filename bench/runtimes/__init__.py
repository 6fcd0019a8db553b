"""What executes a network: an open set. A new member is a module and a line here, or an entry point."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import ToolMissing
from bench.registry import Registry
from bench.runtimes.ncnn.toolchain import host_abi
from bench.runtimes.runtime import Place, Runtime

__all__ = ["RUNTIMES", "host_abi", "named", "on", "on_gpu", "reference", "runtime"]

ALL = "all"
RUNTIMES: Registry[Runtime] = Registry(
    "runtime",
    "fr_bench.runtimes",
    {
        "ncnn": "bench.runtimes.ncnn.member:NCNN",
        "onnxruntime": "bench.runtimes.onnxruntime.member:ONNXRUNTIME",
        "litert": "bench.runtimes.litert.member:LITERT",
        "executorch": "bench.runtimes.executorch.member:EXECUTORCH",
        "mnn": "bench.runtimes.mnn.member:MNN",
        "ncnn-vulkan": "bench.runtimes.ncnn_vulkan.member:NCNN_VULKAN",
        "torch": "bench.runtimes.torch.member:TORCH",
    },
)


def runtime(name: str) -> Runtime:
    """The runtime of that name. Raises UnknownName and ToolMissing."""
    return RUNTIMES[name]


def on_gpu(name: str) -> bool:
    """Whether the runtime of that name computes on a GPU. Raises UnknownName and ToolMissing."""
    return bool(getattr(RUNTIMES[name], "gpu", False))


def on(place: Place) -> tuple[str, ...]:
    """Names of the runtimes, also of installed packages, that run there; those that do not load are left out."""
    found = []
    for name in RUNTIMES.names():
        try:
            if place in RUNTIMES[name].places:
                found.append(name)
        except ToolMissing:
            continue
    return tuple(found)


def named(names: Sequence[str]) -> tuple[str, ...]:
    """Each of these once, with `all` standing for every one that runs on phones. Raises UnknownName and ToolMissing."""
    found = [each for name in names for each in (on("phone") if name == ALL else [RUNTIMES[name].name])]
    return tuple(dict.fromkeys(found))


def reference() -> Runtime:
    """The one that stands for a network as its author runs it."""
    return next(RUNTIMES[name] for name in RUNTIMES.names() if RUNTIMES[name].reference)
