"""At how many points each layer of an FR network is computed where a width is asked for (docs/resident.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from bench import units
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
    """The graph at that width. Raises UnknownName for a layer that there is not, UsageError for one named twice, and
    ExportRefused where no layer can be computed with fewer channels than it has."""
    parts = _parts(question, width)
    made = question.rewritten(parts)
    if not made.narrowed and (why := _why(question, made)):
        raise ExportRefused(
            f"no layer of this network can be computed at the width {shown(width)}: {why}",
            "Measure it at its whole width.",
        )
    return Chosen(made, question.narrowing(made), f"width {shown(width)}: {_told(question, made, parts)}")


def _parts(question: Question, width: Width) -> Callable[[int], Fraction]:
    if isinstance(width, str):
        everywhere = fraction(width)
        return lambda number: everywhere
    numbers = {layer_of(name): number for number, name in question.names().items()}
    found: dict[int, Fraction] = {}
    others = fraction(width.get(OTHERS, "1"))
    for name, part in width.items():
        if name != OTHERS and layer_of(name) not in numbers:
            raise UnknownName.of("layer", name, numbers)
        if name != OTHERS:
            number = numbers[layer_of(name)]
            if number in found:
                raise UsageError(f"the layer {layer_of(name)} has two widths", "Give it one.")
            found[number] = fraction(part)
    return lambda number: found.get(number, others)


def layer_of(weight: str) -> str:
    """The layer's name, of its weight."""
    return weight.removesuffix(".weight")


def _told(question: Question, made: Rewritten, asked: Callable[[int], Fraction]) -> str:
    names = question.names()
    channels = sum(space.channels for space in made.spaces.values())
    text = f"{sum(made.points.values()):,} of {channels:,} channels between resident layers"
    more = [
        f"{layer_of(names[n])} ({made.points[n]})"
        for n, space in made.spaces.items()
        if not space.whole and math.ceil(space.channels * asked(n)) < made.points[n] < space.channels
    ]
    if more:
        text += f"; more than asked for, by the columns kept, of {_listed(more)}"
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
    few = [array[:PICTURES] for array in samples]
    wanted = _classes(_answers(network, Narrowing({}, {}), few))

    def agreement(made: Rewritten) -> float:
        return float((_classes(_answers(network, question.narrowing(made), few)) == wanted).mean())

    made, best = question.rewritten(lambda number: WHOLE), 1.0
    parts = dict.fromkeys(made.spaces, WHOLE)
    part = Fraction(1, 2)
    while part >= SMALLEST:
        tried = question.rewritten(lambda number, part=part: part)  # type: ignore[misc]
        if not tried.narrowed or (found := agreement(tried)) < AGREEMENT:
            break
        made, best, parts = tried, found, dict.fromkeys(tried.spaces, part)
        part /= 2
    made, best, parts = _refined(question, made, best, parts, agreement)
    if not made.narrowed:
        told = f"width auto: the whole width, since no smaller one agrees in {AGREEMENT:.1%} of {len(few[0])} samples"
        return Chosen(made, question.narrowing(made), told)
    told = _agrees(best, len(few[0]))
    return Chosen(
        made, question.narrowing(made), f"width {AUTO}: {_told(question, made, lambda n: parts.get(n, WHOLE))}; {told}"
    )


def judged(narrowing: Narrowing, network: nn.Module, samples: Sequence[NDArray[Any]]) -> str:
    """How far a network at a width that was asked for agrees with its whole width, in words. Empty without classes."""
    few = [array[:PICTURES] for array in samples]
    whole, ours = (_answers(network, one, few) for one in (Narrowing({}, {}), narrowing))
    if not _are_classes(whole):
        return ""
    return _agrees(float((_classes(ours) == _classes(whole)).mean()), len(few[0]))


def _agrees(part: float, count: int) -> str:
    return f"agrees with the whole width in {units.percent(part)} of the answers to {count} samples"


def _answers(network: nn.Module, narrowing: Narrowing, samples: Sequence[NDArray[Any]]) -> NDArray[Any]:
    from bench.export import eager

    return eager.answers(narrow.narrowed(network, narrowing), samples).values[0]


def _refined(
    question: Question,
    made: Rewritten,
    best: float,
    parts: dict[int, Fraction],
    agreement: Callable[[Rewritten], float],
) -> tuple[Rewritten, float, dict[int, Fraction]]:
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
    return made, best, parts


def _are_classes(answers: NDArray[Any]) -> bool:
    return answers.ndim >= 2 and answers.shape[1] >= 2


def _classes(answers: NDArray[Any]) -> NDArray[Any]:
    if not _are_classes(answers):
        raise UsageError(
            f"a width is found by trying where answers are classes, and these are of shape {answers.shape[1:]}",
            "Say a width, e.g. 1/4.",
        )
    found: NDArray[Any] = answers.argmax(axis=1)
    return found
