"""Which layer of an exported graph computes what a module of the eager network does: by shape and value, since
exporters keep no names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench import tolerance
from bench.analyse.ladder import Rung, compared

Array = NDArray[Any]
_MERGED = "merged into another layer, or in another form"
_LOOKED_AT = 512
"""Values of two tensors that are compared first: most pairs are not the same, and that is soon seen."""


class Part(Protocol):
    """An output of a module, without a batch axis."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def values(self) -> NDArray[np.float32]: ...


@dataclass
class Modules:
    """The modules of an eager network, and what of an exported graph comes closest to each so far."""

    parts: Sequence[Part]
    best: dict[int, Rung] = field(default_factory=dict)
    _size: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for at, part in enumerate(self.parts):
            self._size.setdefault(part.values.size, []).append(at)

    def look(self, layer: str, values: Array) -> None:
        """One output of the exported graph, in the order of execution."""
        flat = values.reshape(-1)
        for at in self._size.get(flat.size, ()):
            part = self.parts[at]
            before = self.best.get(at)
            if before is not None and before.delta is not None:
                step = max(1, flat.size // _LOOKED_AT)
                with np.errstate(invalid="ignore"):
                    furthest = np.abs(flat[::step] - part.values.reshape(-1)[::step]).max()
                if furthest >= before.delta:
                    continue
            found = flat.reshape(part.values.shape)
            limit = tolerance.allowed(part.values[None])[0]
            rung = compared("module", part.name, found, part.values, limit, kind=part.kind, remark=layer)
            if before is None or (rung.delta or 0.0) < (before.delta or 0.0):
                self.best[at] = rung

    def names(self) -> dict[str, str]:
        """The module that each layer computes the output of, by the layer's name, of those that were looked at."""
        return {rung.remark: self.parts[at].name for at, rung in sorted(self.best.items()) if rung.differs is False}

    def rungs(self, *, answers_differ: bool) -> tuple[Rung, ...]:
        """One for each module, in the order of their calls. One that nothing in the graph equals is merged into another
        (a convolution with its normalisation, say) if something behind it is there; if nothing is, and what the graph
        answers differs, then the graph computes something else from there on."""
        found = [
            self.best.get(at) or Rung("module", part.name, True, part.values.shape, part.kind)
            for at, part in enumerate(self.parts)
        ]
        last = max((at for at, rung in enumerate(found) if rung.differs is False), default=-1)
        rungs = []
        for at, rung in enumerate(found):
            if rung.open:
                rungs.append(rung)
            elif not rung.differs:
                rungs.append(replace(rung, remark=f"= {rung.remark}"))
            elif at < last or not answers_differ:
                rungs.append(Rung("module", rung.name, None, rung.shape, rung.kind, remark=_MERGED))
            elif rung.delta is None:
                rungs.append(replace(rung, remark="no output of this size in the graph"))
            else:
                rungs.append(replace(rung, remark=f"nearest: {rung.remark}"))
        return tuple(rungs)
