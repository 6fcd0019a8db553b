"""How small a network should become, as a person says it, and what that means for a given network.

Importing this module does not import torch: every plan's targets are parsed before anything is done.
"""

from __future__ import annotations

import bisect
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.frequency.budget import Split

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_WRITTEN = re.compile(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([a-z×]*)\s*", re.IGNORECASE)

FORMS = "Say it as a ratio (1110x), a number of coefficients (776) or the bytes of the whole package (1.6kB)."


@dataclass(frozen=True)
class Target:
    """One of three, all of the whole network:

    `ratio`: bytes of its parameters in float32 to bytes of the coefficients in float16. It is the ratio of the
    publication, where LeNet-5 (431,080 parameters) with 776 coefficients is 1110×. Biases and norms are in the first
    but, as there, not in the second.
    `coefficients`: how many are kept in all its weights together.
    `bytes`: the size of its `.frq` file with everything in it, biases and norms too. At most so many.
    """

    kind: Literal["ratio", "coefficients", "bytes"]
    amount: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `1110x` (or ×), `776`, `1.6kB` (B, kB, MB, GB are powers of 1000; KiB, MiB, GiB of 1024).

        Raises UsageError.
        """
        written = _WRITTEN.fullmatch(text)
        units = {name.lower(): size for name, size in _UNITS.items()}
        if written is None or written[2].lower() not in ("", "x", "×", *units):
            raise UsageError(f"{text!r} is not a compression target", FORMS)
        amount, unit = float(re.sub("[_,]", "", written[1])), written[2].lower()
        if amount <= 0 or not math.isfinite(amount):
            raise UsageError(f"a target must be more than zero, not {text!r}", FORMS)
        if unit == "" and "." in written[1]:
            raise UsageError(f"{text!r} is not a whole number of coefficients", FORMS)
        if unit in units:
            return cls("bytes", math.floor(amount * units[unit] + 1e-9))
        return cls("coefficients" if unit == "" else "ratio", amount)

    def kept(
        self, network: nn.Module, split: Split, *, name: str = "", parameters: int | None = None
    ) -> dict[str, int]:
        """How many coefficients each site of `network`, not compressed yet, keeps: shared by `split`.

        `name` is what the package will be called. `parameters` are those of the ordinary network, where this is
        another form of it. Raises UsageError for what this network cannot be.
        """
        from bench.compress.frequency.budget import sizes

        least, most = len(sizes(network)), sum(sizes(network).values())
        if self.kind == "bytes":
            return self._within_bytes(network, split, name, least, most)
        if self.kind == "ratio":
            parameters = parameters or sum(parameter.numel() for parameter in network.parameters())
            total = math.floor(2 * parameters / self.amount)
            if not least <= total <= most:
                raise UsageError(
                    f"this network of {parameters:,} parameters cannot become {self.amount:g} times smaller: that is "
                    f"{total:,} coefficients for {least} weight tensors",
                    f"Ask for a ratio between {math.ceil(200 * parameters / most) / 100:g}x "
                    f"and {math.floor(2 * parameters / least)}x.",
                )
            return split(total)
        if not least <= self.amount <= most:
            raise UsageError(
                f"{self.amount:,.0f} coefficients cannot be shared among {least} weight tensors with {most:,} weights",
                f"Ask for between {least} and {most:,}.",
            )
        return split(int(self.amount))

    def _within_bytes(self, network: nn.Module, split: Split, name: str, least: int, most: int) -> dict[str, int]:
        from bench.compress.frequency.size import planned_bytes

        def too_large(total: int) -> bool:
            return planned_bytes(network, split(total), name) > self.amount

        smallest = planned_bytes(network, split(least), name)
        if smallest > self.amount:
            raise UsageError(
                f"{self.amount:,.0f} bytes are too few for this network: with a single coefficient in each of its "
                f"{least} weight tensors, its biases and norms make {smallest:,}",
                f"Ask for {smallest:,}B or more.",
            )
        # Each further coefficient takes two bytes at least.
        most = min(most, least + (int(self.amount) - smallest) // 2)
        end = least + bisect.bisect_left(range(least, most + 1), True, key=too_large)
        # Tensors that keep equally many share a line of the file, so a larger total can take fewer bytes.
        further = range(min(end + least, most), end - 1, -1)
        return split(next((total for total in further if not too_large(total)), end - 1))
