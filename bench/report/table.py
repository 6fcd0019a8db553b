"""Tables as plain data, for a page and for a terminal alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench.caveats import ADVICE, CaveatKind

Tone = Literal["plain", "strong", "muted", "bad"]


@dataclass(frozen=True)
class Cell:
    """`text`, a smaller `detail`, and the numbers of the notes that go with it. A page sorts by `value`, in whatever
    unit its column has; a cell of a figure without one comes last."""

    text: str
    detail: str = ""
    tone: Tone = "plain"
    marks: tuple[int, ...] = ()
    value: float | None = None

    def __str__(self) -> str:
        marks = f" [{','.join(map(str, self.marks))}]" if self.marks else ""
        return f"{self.text}{f' ({self.detail})' if self.detail else ''}{marks}"


@dataclass(frozen=True)
class Table:
    """`words` is how many leading columns hold words; the others hold figures."""

    title: str
    header: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    words: int = 2

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The cells as text, for a terminal."""
        return tuple(tuple(str(cell) for cell in row) for row in self.cells)


class Notes:
    """Footnotes of a table, one for each kind of caveat, numbered as they come up."""

    def __init__(self) -> None:
        self._kinds: list[CaveatKind] = []

    def marks(self, kinds: Iterable[CaveatKind]) -> tuple[int, ...]:
        """The numbers of these kinds."""
        wanted = list(dict.fromkeys(kinds))
        self._kinds += [k for k in wanted if k not in self._kinds]
        return tuple(sorted(self._kinds.index(k) + 1 for k in wanted))

    def texts(self) -> tuple[str, ...]:
        return tuple(f"[{n}] {ADVICE[kind].label}" for n, kind in enumerate(self._kinds, 1))
