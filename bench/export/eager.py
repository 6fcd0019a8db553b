"""The network as it is, run by torch one sample at a time: what it answers, and why a recording of it would not do.

A recorded graph holds one path through `forward`. So a `forward` that reads the values of what it computes (in an `if`,
by `.item()`, through numpy) is refused with the line that does, and so is one that draws random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.errors import ExportRefused
from bench.export.answers import Answers
from bench.export.watch import State, Watch, raised_at
from bench.guest import Exited, guest
from bench.records import Tensor

Array = NDArray[Any]

_ADVICE = "Only what does not depend on the values can be exported; torch.where chooses between two results."


def arguments(samples: Sequence[Array], sample: int) -> tuple[torch.Tensor, ...]:
    """One sample as the arguments of `forward`: a batch of one; whole numbers as int64, which every layer takes."""
    rows = (torch.from_numpy(np.array(array[sample : sample + 1])) for array in samples)
    return tuple(row.long() if not row.dtype.is_floating_point else row for row in rows)


def leaves(returned: object, place: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in what `forward` returned, in order, each with its place. Raises ExportRefused for other things."""
    match returned:
        case torch.Tensor():
            yield place, returned
        case None:
            return
        case Mapping():
            for key, value in returned.items():
                yield from leaves(value, f"{place}[{key!r}]")
        case tuple() | list():
            for index, value in enumerate(returned):
                yield from leaves(value, f"{place}[{index}]")
        case _ if is_dataclass(returned) and not isinstance(returned, type):
            for entry in fields(returned):
                yield from leaves(getattr(returned, entry.name), f"{place}.{entry.name}")
        case _:
            where = f" at {place}" if place else ""
            raise ExportRefused(
                f"the network's forward returns a {type(returned).__name__}{where}",
                "What it returns must be tensors, or tuples, lists and dicts of tensors.",
            )


def evaluating(network: nn.Module) -> nn.Module:
    """The network, which does not train any more; a program of torch.export, which never does, has no `eval`."""
    try:
        return network.eval()
    except NotImplementedError:
        for part in network.modules():
            part.training = False
        return network


def answers(network: nn.Module, samples: Sequence[Array]) -> Answers:
    """What `network`, put into eval mode, answers to each sample of its inputs, (N, *shape) each.

    Raises ExportRefused for a forward that fails, that reads values, is random, keeps a state or changes its input, and
    for outputs that are not tensors, are not finite, or have another shape for another sample. Raises Exited.
    """
    evaluating(network)
    watch = Watch()
    first = arguments(samples, 0)
    runs = [_run(network, first, watch)]
    state = State(network)  # after the first run, in which things may be made that stay
    runs += [_run(network, arguments(samples, number), watch) for number in range(1, len(samples[0]))]
    again = _run(network, first, watch)
    same = all(_same(a, b) for (_, a), (_, b) in zip(runs[0], again, strict=False))
    if watch.changed and not same:
        raise ExportRefused(
            f"the network changes its input in place at {watch.changed}",
            "Let forward compute a new tensor: x = x * 2 in place of x.mul_(2), x = x + 1 in place of x += 1.",
        )
    kept = state.changed(State(network))
    if kept or not same:
        raise ExportRefused(
            f"the network keeps a state: {f'{kept} is' if kept else 'its answer to one input is'} not the same after "
            "other inputs",
            "Its answer must follow from its input alone.",
        )
    if not runs[0]:
        raise ExportRefused("the network's forward returns no tensor")
    arrays = [[(place, tensor.float().numpy()) for place, tensor in run] for run in runs]
    return gathered(arrays)


def gathered(runs: Sequence[Sequence[tuple[str, Array]]]) -> Answers:
    """The answers to all samples, of each sample's outputs in order: their places and values, a batch of one.

    Raises ExportRefused where they are not finite, have another shape for another sample, or too many axes.
    """
    places = tuple(place for place, _ in runs[0])
    values, outputs = [], []
    for index, place in enumerate(places):
        name = f"out{index}"
        rows = [run[index][1] for run in runs if len(run) == len(places)]
        shapes = {row.shape for row in rows}
        if len(rows) != len(runs) or len(shapes) != 1:
            raise ExportRefused(f"the shape of output {name} depends on the values of the input", _ADVICE)
        shape = _without_batch(shapes.pop(), name)
        stacked = np.stack([row.reshape(shape) for row in rows]).astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(stacked.reshape(len(rows), -1)).all(axis=1))
        if len(bad):
            named = f"{name} ({place})" if place else name
            raise ExportRefused(f"output {named} of the network is NaN or infinite for sample {bad[0]}")
        outputs.append(Tensor(name=name, shape=shape))
        values.append(stacked)
    return Answers(tuple(outputs), places, tuple(values))


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape != b.shape or torch.equal(a.nan_to_num(), b.nan_to_num())


def _without_batch(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    shape = shape[1:] if shape[:1] == (1,) else shape
    if len(shape) > 4 or 0 in shape:
        raise ExportRefused(f"output {name} has the shape {shape}; there must be 1 to 4 axes, none of them empty")
    return shape or (1,)


def _run(network: nn.Module, inputs: tuple[torch.Tensor, ...], watch: Watch) -> list[tuple[str, torch.Tensor]]:
    try:
        with torch.no_grad(), guest(), watch.run(inputs, _run.__code__):
            returned = network(*inputs)
    except Exited:
        raise
    except Exception as error:  # whatever the user's own code raises
        where = raised_at(error)
        if watch.reason:
            raise _reads(watch, where or watch.place) from None
        shapes = ", ".join(str(tuple(each.shape)) for each in inputs)
        words = str(error).strip().splitlines() or [""]
        raise ExportRefused(
            f"the network fails on an input of {shapes}: {type(error).__name__}: {words[0][:300]} "
            f"(at {where or 'forward'})"
        ) from error
    if watch.reason:
        raise _reads(watch, watch.place)
    if watch.drawn:
        raise ExportRefused(
            f"the network draws random numbers {watch.drawn}",
            "Dropout must be off in eval mode (F.dropout takes training=self.training); noise that stays the same must "
            "be a buffer.",
        )
    return [(place, tensor.clone()) for place, tensor in leaves(returned)]


def _reads(watch: Watch, where: str) -> ExportRefused:
    return ExportRefused(
        f"what the network does depends on the values of its input ({watch.reason}), at {where}", _ADVICE
    )
