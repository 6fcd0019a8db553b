"""What a machine learnt by itself, as sentences and a table."""

from __future__ import annotations

from collections.abc import Iterator

from bench.learnt import Bounds, Lessons, Right, TrainingRecord
from bench.report.table import Cell, Table
from bench.units import duration, percent, size

HEADER = (
    "Neurons", "Matrix", "Alpha", "Condition", "Right", "In float64 here", "Time", "Products", "Factor", "Solve",
    "Peak RSS", "Package",
)  # fmt: skip
NOTE = (
    "Right: of the test samples, by the package as it is shipped, with the 95 % interval over samples (Wilson). In "
    "float64 here: the same machine solved for by numpy and scipy on this computer. Condition: an estimate, of the "
    "matrix that was factored. Time: all of it, the test included."
)
TRANSLATED = "Machine code was translated there: times and memory mean nothing and are not shown."


def where(found: Lessons) -> str:
    return f"{found.device} (virtual)" if found.virtual else found.device


def table(found: Lessons) -> Table:
    """A row a training that ended well; of a failed one its reason in the notes."""
    rows = tuple(
        _row(found, one, bounds) for one, bounds in zip(found.trainings, found.bounds, strict=True) if one.trained
    )
    return Table(f"{found.model}: learnt on {where(found)}", HEADER, rows, tuple(_notes(found)), words=2)


def _row(found: Lessons, one: TrainingRecord, bounds: tuple[Bounds | None, Bounds | None]) -> tuple[Cell, ...]:
    done = one.trained
    assert done is not None
    own = None if done.right is None or done.of is None else Right(right=done.right, of=done.of)
    times = (done.seconds, done.products_s, done.factor_s, done.solve_s)
    memory = done.peak_rss if found.memory_counts and done.peak_rss >= 0 else None
    return (
        Cell(f"{done.neurons:,}", tone="strong", value=done.neurons),
        Cell(one.matrix),
        Cell(f"{done.alpha:g}", value=done.alpha),
        Cell(f"{done.condition:.1e}", value=done.condition),
        _right(own, bounds[0]),
        _right(one.desktop, bounds[1]),
        *(Cell(duration(1e9 * s), value=s) if found.times_count else Cell("–", tone="muted") for s in times),
        Cell(size(memory), value=memory) if memory is not None else Cell("–", tone="muted"),
        Cell(size(done.package_bytes), value=done.package_bytes),
    )


def _right(right: Right | None, bounds: Bounds | None) -> Cell:
    if right is None:
        return Cell("–", tone="muted")
    around = f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}" if bounds else ""
    return Cell(percent(right.accuracy), around, value=right.accuracy)


def _notes(found: Lessons) -> Iterator[str]:
    yield NOTE
    first = next((one for one in found.trainings if one.trained), None)
    if first is not None and first.trained is not None:
        samples = sorted({one.trained.samples for one in found.trainings if one.trained})
        words = " and ".join(f"{count:,}" for count in samples)
        seeds = ", ".join(str(seed) for seed in sorted({one.seed for one in found.trainings}))
        yield f"Learnt from {words} samples: {first.source}. Seed {seeds}; threads: {first.threads}."
    if not found.times_count:
        yield TRANSLATED
    for one in found.done:
        if one.trained and one.trained.tries > 1:
            yield (
                f"{one.trained.neurons:,} neurons ({one.matrix}): factored {one.trained.tries} times, at last with "
                f"{one.trained.shift:.3g} for alpha, as rounding asks; gradients made up for it (residual "
                f"{one.trained.residual:.0e})."
            )
    yield from dict.fromkeys(
        f"{one.neurons:,} neurons ({one.matrix}) failed: {one.reason}." for one in found.trainings if not one.trained
    )


def sentences(found: Lessons) -> Iterator[str]:
    """The answer first: the best that was learnt, beside float64 and beside the network itself; where memory ends."""
    scored = [
        (one, bounds)
        for one, bounds in zip(found.trainings, found.bounds, strict=True)
        if one.trained and one.trained.accuracy is not None
    ]
    if not scored:
        yield f"No training on {where(found)} ended well."
        return
    best, bounds = max(scored, key=lambda pair: (pair[0].trained.accuracy, -pair[0].neurons))  # type: ignore[union-attr]
    done = best.trained
    assert done is not None
    assert done.accuracy is not None
    text = f"{done.neurons:,} neurons, learnt on {where(found)}, answer {percent(done.accuracy)}{_around(bounds[0])}"
    yield f"{text} of {done.of:,} test samples rightly."
    if found.ordinary:
        whole = f"{percent(found.ordinary.accuracy)}{_around(found.ordinary_bounds)}"
        yield f"The ordinary {found.model}, trained on this computer with the same data, answers {whole} of them."
    apart = [
        (one.neurons, 100 * (one.trained.accuracy - one.desktop.accuracy))
        for one, _ in scored
        if one.desktop and one.trained and one.trained.accuracy is not None
    ]
    if apart:
        neurons, most = max(apart, key=lambda pair: abs(pair[1]))
        if most:
            signed = f"{most:+.2f}".replace("-", "−")
            yield f"From float64 on this computer it is {signed} points away at most (at {neurons:,} neurons)."
        else:
            yield "In float64 on this computer exactly as many answers are right."
    if found.most:
        least = "At least " if found.most.at_least else "Memory allows "
        yield f"{least}{found.most.neurons:,} neurons there: {found.most.why}."


def _around(bounds: Bounds | None) -> str:
    return f" ({100 * bounds[0]:.1f}–{100 * bounds[1]:.1f} %)" if bounds else ""
