"""What members of the open set have in common whose library is loaded by name."""

from __future__ import annotations

from bench.records import Precision, WeightsFormat
from bench.runtimes.loaded import libc
from bench.runtimes.runtime import Place


class Loaded:
    """See `bench.runtimes.runtime.Runtime`. Networks of every method come as ordinary ones, in fp32."""

    reference = False
    abis = libc.ABIS
    places: frozenset[Place] = frozenset(("phone", "desktop"))
    precisions: tuple[Precision, ...] = ("fp32",)
    packages: frozenset[WeightsFormat] = frozenset(("runtime",))
    start_s = 0.2
    graphs: tuple[str, ...] = ()
