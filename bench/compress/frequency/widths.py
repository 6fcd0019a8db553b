"""At how many points each layer of an FR network is computed where a width is asked for (docs/resident.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from bench.compress.frequency import narrow
from bench.compress.frequency.narrow import Narrowing
from bench.errors import ExportRefused, UnknownName, UsageError
from bench.export import cost, frequency, resident
from bench.width import AUTO, OTHERS, Width, fraction, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from bench.export.resident import Rewritten
    from bench.records import Tensor

AGREEMENT = 0.995
"""What part of the answers (classes of pictures, or of pixels) has to be that of the whole width for `auto`."""
PICTURES = 8
"""Samples that `auto` looks at: the first of those that the network is shown, without their labels."""
SMALLEST = Fraction(1, 64)
WHOLE = Fraction(1)


@dataclass(frozen=True, eq=False)
class Chosen:
    """A graph at a width, the same for torch, and what was asked for and what came of it in words."""

    rewritten: Rewritten
    narrowing: Narrowing
    told: str


@dataclass(frozen=True, eq=False)
class Question:
    """An exported network, whose graph is to be narrowed; `choice` is how the forms of its layers are found."""

    exported: frequency.Exported
    inputs: Sequence[Tensor]
    choice: frequency.Choice

    def rewritten(self, widths: Callable[[int], Fraction]) -> Rewritten:
        return frequency.rewrite(self.exported, self.inputs, self.choice, widths)

    def names(self) -> dict[int, str]:
        """The weight of each layer that has one, by the layer's number in the graph."""
        return self.exported.weight_names()

    def narrowing(self, made: Rewritten) -> Narrowing:
        names = self.names()
        fewer = {n: count for n, count in made.points.items() if count < made.spaces[n].channels}
        reads = {
            names[n]: tuple((None if s.maker is None else names[s.maker], s.channels) for s in sources)
            for n, sources in made.reads.items()
            if any(source.maker in fewer for source in sources)
        }
        forms = {names[n]: str(form) for n, form in made.forms.items()}
        return Narrowing({names[n]: count for n, count in fewer.items()}, reads, forms)


def chosen(question: Question, width: Width) -> Chosen:
    """The graph at that width. Raises UnknownName for a layer that there is not, ExportRefused where no layer can be
    computed with fewer channels than it has."""
    made = question.rewritten(_parts(question, width))
    if not made.narrowed:
        raise ExportRefused(
            f"no layer of this network can be computed at the width {shown(width)}: {_why(question, made)}",
            "Measure it at its whole width.",
        )
    return Chosen(made, question.narrowing(made), f"width {shown(width)}: {_told(question, made)}")


def _parts(question: Question, width: Width) -> Callable[[int], Fraction]:
    if isinstance(width, str):
        everywhere = fraction(width)
        return lambda number: everywhere
    numbers = {layer_of(name): number for number, name in question.names().items()}
    found, others = {}, fraction(width.get(OTHERS, "1"))
    for name, part in width.items():
        if name != OTHERS and layer_of(name) not in numbers:
            raise UnknownName.of("layer", name, numbers)
        if name != OTHERS:
            found[numbers[layer_of(name)]] = fraction(part)
    return lambda number: found.get(number, others)


def layer_of(weight: str) -> str:
    """The layer's name, of its weight."""
    return weight.removesuffix(".weight")


def _told(question: Question, made: Rewritten) -> str:
    names = question.names()
    channels = sum(space.channels for space in made.spaces.values())
    text = f"{sum(made.points.values()):,} of {channels:,} channels between resident layers"
    least = [layer_of(names[n]) for n, space in made.spaces.items() if made.points[n] == space.least < space.channels]
    if least:
        text += f"; no fewer than the columns kept of {_listed(least)}"
    return text + (f"; all of {whole}" if (whole := _why(question, made)) else "")


def _why(question: Question, made: Rewritten) -> str:
    """Which layers' outputs keep all their channels, and the reasons."""
    names, reasons = question.names(), dict[str, list[str]]()
    for number, space in made.spaces.items():
        if space.whole or space.least >= space.channels:
            why = space.whole or "the layers beside it keep as many columns"
            reasons.setdefault(why, []).append(layer_of(names[number]))
    if not made.spaces:
        return "in the cheapest graph none runs on its core alone"
    return "; ".join(f"{_listed(layers)} ({why})" for why, layers in reasons.items())


def _listed(layers: Sequence[str]) -> str:
    shown_ = ", ".join(layers[:4])
    return shown_ if len(layers) <= 4 else f"{shown_} and {len(layers) - 4} others"


def automatic(question: Question, network: nn.Module, samples: Sequence[NDArray[Any]]) -> Chosen:
    """The narrowest graph that agrees with the whole width about `samples`, each input (N, *shape): first one part for
    all layers, then for each layer in turn, the dearest first, half as many points as long as that agrees.

    Where no width below 1 agrees it is the graph of the whole width, and says so. Raises UsageError for a network whose
    answers are not classes.
    """
    from bench.export import eager

    few = [array[:PICTURES] for array in samples]
    wanted = _classes(eager.answers(narrow.narrowed(network, Narrowing({}, {})), few).values[0])

    def agreement(made: Rewritten) -> float:
        module = narrow.narrowed(network, question.narrowing(made))
        return float((_classes(eager.answers(module, few).values[0]) == wanted).mean())

    made, best = question.rewritten(lambda number: WHOLE), 1.0
    parts = dict.fromkeys(made.spaces, WHOLE)
    part = Fraction(1, 2)
    while part >= SMALLEST:
        tried = question.rewritten(lambda number, part=part: part)  # type: ignore[misc]
        if not tried.narrowed or (found := agreement(tried)) < AGREEMENT:
            break
        made, best, parts = tried, found, dict.fromkeys(tried.spaces, part)
        part /= 2
    made, best = _refined(question, made, best, parts, agreement)
    if not made.narrowed:
        told = f"width auto: the whole width, since no smaller one agrees in {AGREEMENT:.1%} of {len(few[0])} samples"
        return Chosen(made, question.narrowing(made), told)
    told = f"agrees with the whole width in {best:.2%} of the answers to {len(few[0])} samples"
    return Chosen(made, question.narrowing(made), f"width {AUTO}: {_told(question, made)}; {told}")


def _refined(
    question: Question,
    made: Rewritten,
    best: float,
    parts: dict[int, Fraction],
    agreement: Callable[[Rewritten], float],
) -> tuple[Rewritten, float]:
    exported = question.exported
    weights, inputs = [frequency.weight_of(t) for t in exported.package.tensors], question.inputs

    def at(widths: Mapping[int, Fraction]) -> Rewritten:
        return resident.rewrite(exported.graph, weights, made.forms, lambda number: widths.get(number, WHOLE))

    def gain(number: int) -> float:
        return cost.effort(made.graph, inputs) - cost.effort(at({**parts, number: parts[number] / 2}).graph, inputs)

    open_ = {number for number in parts if number in made.spaces}
    while open_:
        for number in sorted(open_, key=gain, reverse=True):
            fewer = {**parts, number: parts[number] / 2}
            tried = at(fewer)
            if tried.points == made.points or (found := agreement(tried)) < AGREEMENT:
                open_.discard(number)
            else:
                made, best, parts = tried, found, fewer
    return made, best


def _classes(answers: NDArray[Any]) -> NDArray[Any]:
    if answers.ndim < 2 or answers.shape[1] < 2:
        raise UsageError(
            f"a width is found by trying where answers are classes, and these are of shape {answers.shape[1:]}",
            "Say a width, e.g. 1/4.",
        )
    found: NDArray[Any] = answers.argmax(axis=1)
    return found
