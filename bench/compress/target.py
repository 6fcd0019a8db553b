"""How small a network should become, as a person says it. What it means is the method's business.

Importing this module does not import torch: every plan's targets are parsed before anything is done.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from bench.errors import UsageError

Kind = Literal["ratio", "count", "bytes", "macs", "mac ratio"]
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_MACS = {"MAC": 1, "kMAC": 10**3, "MMAC": 10**6, "GMAC": 10**9}
_WRITTEN = re.compile(
    r"\s*((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9][0-9_]*)(?:\.[0-9]+)?)\s*([a-z×]*)\s*",  # a comma is never a decimal point
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Target:
    """One of these, all of the whole network:

    `ratio`: bytes of its parameters in float32 to bytes of what a package keeps of them, by the method's own rule.
    `count`: how many numbers (coefficients, parameters) are kept of all its weights together.
    `bytes`: the size of its package with everything in it. At most so many.
    `macs`: the multiply-adds of one inference, at most so many; `mac ratio`: how many times fewer than before.
    """

    kind: Kind
    amount: float

    @classmethod
    def parse(cls, text: str, forms: str, kinds: tuple[Kind, ...] = ("ratio", "count", "bytes")) -> Target:
        """From `1110x` (or ×), `776`, `1.6kB` (B, kB, MB, GB are powers of 1000; KiB, MiB, GiB of 1024), `30MMAC` and
        `4xMAC`. Raises UsageError, with `forms` as its advice, for anything else and for kinds that are not allowed.
        """
        written = _WRITTEN.fullmatch(text)
        sizes, work = ({name.lower(): size for name, size in units.items()} for units in (_BYTES, _MACS))
        of_unit: dict[str, Kind] = {"": "count", "x": "ratio", "×": "ratio", "xmac": "mac ratio", "×mac": "mac ratio"}
        of_unit.update(dict.fromkeys(sizes, "bytes"))
        of_unit.update(dict.fromkeys(work, "macs"))
        unit = written[2].lower() if written else ""
        kind = of_unit.get(unit)
        if written is None or kind not in kinds:
            raise UsageError(f"{text!r} is not a compression target", forms)
        amount = float(re.sub("[_,]", "", written[1]))
        if amount <= 0 or not math.isfinite(amount):
            raise UsageError(f"a target must be more than zero, not {text!r}", forms)
        if kind == "count" and "." in written[1]:
            raise UsageError(f"{text!r} is not a whole number", forms)
        scale = (sizes | work).get(unit)
        if scale is not None:
            amount = math.floor(amount * scale + 1e-9)
        if not amount:
            raise UsageError(f"{text!r} is less than one", forms)
        return cls(kind, amount)
