"""What moves values about and computes nothing."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.export.equivalents.table import follows, of


@of(torch.hstack)
def _hstack(tensors: Any) -> Tensor:
    return torch.cat(tuple(tensors), 1)


@of(torch.vstack)
def _vstack(tensors: Any) -> Tensor:
    return torch.cat(tuple(tensors), 0)


@of(Tensor.mT.__get__)  # type: ignore[attr-defined]
def _matrix_transpose(x: Tensor) -> Tensor:
    return x.transpose(-1, -2)


@of(torch.rot90, Tensor.rot90)
def _rot90(x: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    a, b = dims
    for _ in range(k % 4):
        x = x.flip(b).transpose(a, b)
    return x


@of(torch.narrow, Tensor.narrow)
def _narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    return x[(slice(None),) * (dim % x.dim()) + (slice(start, start + length),)]


@of(torch.tile, Tensor.tile)
def _tile(x: Tensor, *dims: Any) -> Tensor:
    times = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return x.repeat(*(1,) * (x.dim() - len(times)), *times)


@of(torch.movedim, Tensor.movedim, torch.moveaxis, Tensor.moveaxis)
def _movedim(x: Tensor, source: Any, destination: Any) -> Tensor:
    sources = [axis % x.dim() for axis in ([source] if isinstance(source, int) else source)]
    places = [axis % x.dim() for axis in ([destination] if isinstance(destination, int) else destination)]
    order = [axis for axis in range(x.dim()) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return x.permute(*order)


@of(torch.repeat_interleave, Tensor.repeat_interleave)
def _repeat_interleave(x: Tensor, repeats: Any, dim: int | None = None, **rest: Any) -> Any:
    if dim is None or not isinstance(repeats, int):
        return NotImplemented
    dim %= x.dim()
    shape = list(x.shape)
    shape[dim] *= repeats
    return torch.cat([x.unsqueeze(dim + 1)] * repeats, dim + 1).reshape(shape)


@of(F.embedding)
def _embedding(x: Tensor, weight: Tensor, *args: Any, **options: Any) -> Any:
    """ncnn's takes one row of numbers."""
    if x.dim() == 2:
        return NotImplemented
    return F.embedding(x.flatten(1), weight, *args, **options).reshape(*x.shape, weight.shape[1])


@of(torch.tril, Tensor.tril)
def _tril(x: Tensor, diagonal: int = 0) -> Any:
    return x * torch.ones(x.shape[-2:]).tril(diagonal) if follows(x) else NotImplemented


@of(torch.triu, Tensor.triu)
def _triu(x: Tensor, diagonal: int = 0) -> Any:
    return x * torch.ones(x.shape[-2:]).triu(diagonal) if follows(x) else NotImplemented


@of(Tensor.__getitem__)
def _getitem(x: Tensor, index: Any) -> Any:
    """Steps and lists of places, one axis at a time."""
    parts = index if isinstance(index, tuple) else (index,)
    if Ellipsis in [part for part in parts if not isinstance(part, Tensor)]:
        at = next(n for n, part in enumerate(parts) if part is Ellipsis)
        missing = x.dim() - sum(part is not None and part is not Ellipsis for part in parts)
        parts = parts[:at] + (slice(None),) * missing + parts[at + 1 :]
    special = [n for n, part in enumerate(parts) if _is_special(part)]
    if not special or None in [part for part in parts if not isinstance(part, Tensor)] or not follows(x):
        return NotImplemented
    if sum(not isinstance(parts[n], slice) for n in special) > 1:
        return NotImplemented
    for axis in special:
        x = _stepped(x, axis, parts[axis]) if isinstance(parts[axis], slice) else _picked(x, axis, parts[axis])
    return x[tuple(slice(None) if n in special else part for n, part in enumerate(parts))]


def _is_special(part: Any) -> bool:
    if isinstance(part, slice):
        return part.step not in (None, 1)
    if isinstance(part, Tensor):
        return part.dim() == 1 and part.dtype == torch.long and not follows(part)
    return isinstance(part, list)


@of(torch.ops.aten.slice)
def _slice(x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return NotImplemented if step == 1 else _stepped(x, dim % x.dim(), slice(start, end, step))


def _stepped(x: Tensor, axis: int, part: slice) -> Tensor:
    start, stop, step = part.indices(x.shape[axis])
    count = len(range(start, stop, step))
    missing = max(start + count * step - x.shape[axis], 0)
    if missing:
        x = F.pad(x, [0, 0] * (x.dim() - 1 - axis) + [0, missing])
    x = x.narrow(axis, start, count * step)
    return x.reshape(*x.shape[:axis], count, step, *x.shape[axis + 1 :]).select(axis + 1, 0)


@of(torch.index_select, Tensor.index_select)
def _index_select(x: Tensor, dim: int, index: Tensor) -> Any:
    return NotImplemented if follows(index) else _picked(x, dim % x.dim(), index)


def _picked(x: Tensor, axis: int, places: Any) -> Tensor:
    """Slices one after another, neighbours together."""
    wanted = [int(place) % x.shape[axis] for place in places]
    runs: list[list[int]] = []
    for place in wanted:
        if runs and runs[-1][-1] + 1 == place:
            runs[-1].append(place)
        else:
            runs.append([place])
    parts = [x.narrow(axis, run[0], len(run)) for run in runs]
    return torch.cat(parts, axis) if len(parts) > 1 else parts[0]
