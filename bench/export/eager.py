"""The network as it is, run by torch one sample at a time: what it answers, and why a recording of it would not do.

A recorded graph holds one path through `forward`. So a `forward` that reads the values of what it computes (in an `if`,
by `.item()`, through numpy) is refused with the line that does, and so is one that draws random numbers.
"""

from __future__ import annotations

import itertools
import linecache
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.errors import ExportRefused
from bench.export.answers import Answers
from bench.records import Tensor

Array = NDArray[Any]

_TORCH = str(Path(torch.__file__).parent)
_BENCH = str(Path(__file__).parent)
_READERS = frozenset({"numpy", "__array__", "tolist", "__dlpack__", "data_ptr"})
SCRIPT_LINE = re.compile(r'File "(.+)", line (\d+)')
"""How TorchScript writes a place in the source."""
_ADVICE = "Only what does not depend on the values can be exported; torch.where chooses between two results."


def arguments(samples: Sequence[Array], sample: int) -> tuple[torch.Tensor, ...]:
    """One sample as the arguments of `forward`: a batch of one; whole numbers as int64, which every layer takes."""
    rows = (torch.from_numpy(np.ascontiguousarray(array[sample : sample + 1])) for array in samples)
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

    Raises ExportRefused for a forward that fails, that reads values or is random, and for outputs that are not tensors,
    are not finite, or have another shape for another sample.
    """
    evaluating(network)
    watched = _Watch()
    runs = [_run(network, arguments(samples, number), watched) for number in range(len(samples[0]))]
    again = _run(network, arguments(samples, 0), watched)
    if not all(_same(a, b) for (_, a), (_, b) in zip(runs[0], again, strict=False)):
        where = f" at {watched.random}" if watched.random else ""
        raise ExportRefused(
            f"the network gives two answers to one input: it is random or keeps a state{where}",
            "Dropout must be off in eval mode (F.dropout takes training=self.training).",
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


def _run(network: nn.Module, inputs: tuple[torch.Tensor, ...], watch: _Watch) -> list[tuple[str, torch.Tensor]]:
    watch.start(inputs)
    try:
        with torch.no_grad(), _Readers(watch), watch:
            returned = network(*inputs)
    except Exception as error:  # whatever the user's own code raises
        if watch.reason:
            raise ExportRefused(
                f"what the network does depends on the values of its input ({watch.reason}), at {here(error)}", _ADVICE
            ) from None
        shapes = ", ".join(str(tuple(each.shape)) for each in inputs)
        where = here(error) or "forward"
        words = str(error).strip().splitlines() or [""]
        raise ExportRefused(
            f"the network fails on an input of {shapes}: {type(error).__name__}: {words[0][:300]} (at {where})"
        ) from error
    return [(place, tensor.clone()) for place, tensor in leaves(returned)]


@dataclass
class _Known:
    """Storages of tensors that follow from the inputs. They are kept alive, so that none gets another's address."""

    storages: dict[int, Any] = field(default_factory=dict)

    def add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self.storages[storage._cdata] = storage

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self.storages


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows what depends on the inputs through all operators, and refuses those that turn it into Python values."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = _Known()
        self.random = ""
        self.reason = ""

    def start(self, inputs: Sequence[torch.Tensor]) -> None:
        self.known = _Known()
        for tensor in inputs:
            self.known.add(tensor)

    def depends(self, arguments: object) -> bool:
        return any(isinstance(leaf, torch.Tensor) and leaf in self.known for leaf in tree_leaves(arguments))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        depends = self.depends((args, kwargs))
        if depends and _reads_values(func, args):
            self.refuse(func._schema.name.removeprefix("aten::"))
        if not self.random and torch.Tag.nondeterministic_seeded in func.tags:
            self.random = here()
        result = func(*args, **kwargs)
        if depends:
            for leaf in tree_leaves(result):
                if isinstance(leaf, torch.Tensor):
                    self.known.add(leaf)
        return result

    def refuse(self, operator: str) -> None:
        self.reason = "a tensor's value becomes a Python value" if operator == "_local_scalar_dense" else operator
        raise _ReadsValues


class _ReadsValues(Exception):
    """Ends the run. TorchScript's interpreter turns it into another error, so the reason is kept elsewhere."""


def _reads_values(operator: Any, arguments: Sequence[Any]) -> bool:
    if operator is torch.ops.aten.index.Tensor:  # of a size that follows from values only for a mask
        return any(place is not None and place.dtype in (torch.bool, torch.uint8) for place in arguments[1])
    tags = operator.tags
    return torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags


class _Readers(TorchFunctionMode):
    """Sees what hands a tensor's memory to something else, which no operator does."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.one_hot:  # which looks only whether the values are allowed
            with torch._C._DisableTorchDispatch():
                return func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _READERS and self.watch.depends(args):
            self.watch.refuse(func.__name__)
        return func(*args, **(kwargs or {}))


def here(error: BaseException | None = None) -> str:
    """The user's line that is being run, or at which `error` was raised: `net.py:12: return x / x.max().item()`.

    It is the innermost one outside of torch; empty when there is none.
    """
    if error is None:
        frames = itertools.takewhile(lambda pair: pair[0].f_code is not _run.__code__, traceback.walk_stack(None))
        places = [(frame.f_code.co_filename, number) for frame, number in frames]
    else:
        places = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(error.__traceback__)]
        places += [(file, int(number)) for file, number in SCRIPT_LINE.findall(str(error))]
        places.reverse()
    return next((line(*place) for place in places if is_users(place[0])), "")


def is_users(file: str) -> bool:
    """Whether a source file belongs neither to torch nor to the exporter."""
    return not file.startswith((_TORCH, _BENCH, "<"))


def line(file: str, number: int) -> str:
    """A line of source code with its place."""
    return f"{Path(file).name}:{number}: {linecache.getline(file, number).strip()[:200]}".rstrip(": ")
