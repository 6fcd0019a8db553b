"""How a retraining with pictures from the field is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import units
from bench.cli import terminal

if TYPE_CHECKING:
    from bench.compress.retrained import Retrained, Scored


def show(found: Retrained, model: str) -> None:
    """Accuracy before and after, with intervals over pictures; first on what nothing learnt from."""
    rows = [
        _row("field, held apart", found.apart),
        _row("data, to test with", found.test),
        _row("field, learnt from: flatters", found.learnt),
    ]
    notes = [
        f"{found.source}. Before: what the same command makes without --add.",
        _flattery(found),
        "Intervals: 95 %, over pictures (Wilson; of the difference Agresti–Min); p: McNemar, exact, that neither is "
        "right more often.",
        *found.notes,
    ]
    header = ("accuracy on", "pictures", "before", "after", "after − before, points", "p")
    terminal.table(header, rows, title=f"{model}, retrained with pictures from the field", notes=notes)


def _row(name: str, scored: Scored) -> tuple[str, ...]:
    from bench.analyse import intervals  # scipy takes a second to import

    n = scored.pictures

    def share(right: int) -> str:
        around = intervals.wilson(right, n)
        return f"{units.percent(right / n)} ({units.percent(around.low)} to {units.percent(around.high)})"

    apart = intervals.paired_proportions(scored.only_before, scored.only_after, n)
    changed = f"{100 * (scored.after - scored.before) / n:+.1f} ({100 * apart.low:+.1f} to {100 * apart.high:+.1f})"
    p = intervals.mcnemar(scored.only_before, scored.only_after)
    return name, f"{n:,}", share(scored.before), share(scored.after), changed, "< 0.001" if p < 0.001 else f"{p:.3f}"


def _flattery(found: Retrained) -> str:
    points = 100 * found.flattery
    words = f"{abs(points):.1f} points {'more' if points >= 0 else 'less'}"
    return (
        f"Scored on the pictures that it learnt from, the new network shows {words} than on those held apart: that is "
        "not what it does on the next picture."
    )
