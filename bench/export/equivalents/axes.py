"""Tensors of more axes than ncnn holds: four besides the batch.

They are mostly seen on the way from one reshape to the next, as in window attention. Their values are kept beside them
in a tensor of few axes, from which everything is computed that is known here; the tensor itself is then not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

MOST = 5
"""Axes, of which the first is a batch of one."""

_FEW: Any = WeakIdKeyDictionary()
"""For a tensor of many axes, the tensor of few axes that has the same values in the same order."""


def is_many(*values: Any) -> bool:
    """Whether one of these arguments of a function is a tensor of too many axes."""
    return any(isinstance(value, Tensor) and value in _FEW for value in values)


def count(x: Tensor) -> int:
    """The axes of a tensor, and one more for the batch where the first is not it."""
    return x.dim() + (x.shape[0] != 1)


def _as(few: Tensor, shape: Sequence[int]) -> Tensor:
    result = few.reshape(*shape)
    if count(result) > MOST:
        _FEW[result] = few
    elif result.shape[0] == 1 and (few.shape[0] != 1 or result.dim() == MOST):
        return batch_first(result)
    return result


_POOL = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}


def batch_first(x: Tensor) -> Tensor:
    """The same tensor, out of a layer that does nothing: pnnx learns from it that the first axis is the batch. It takes
    that axis away, and where no layer tells which one it is, it numbers all axes wrong."""
    if x.dim() in _POOL and x.is_floating_point():
        return _POOL[x.dim()](x, 1)
    return x


def few(x: Tensor) -> Tensor:
    """The same values in few axes."""
    found: Tensor = _FEW.get(x, x)
    return found


def permuted(x: Tensor, order: Sequence[int]) -> Tensor:
    """`x.permute(order)` by exchanging two neighbouring groups of axes at a time, each a permutation of four axes."""
    sizes, low = [int(size) for size in x.shape], few(x)
    axes = list(range(len(sizes)))
    for place, axis in enumerate(order):
        at = end = axes.index(axis)
        while end < len(axes) and axes[end] == order[place + end - at]:
            end += 1
        if at == place:
            continue
        groups = axes[:place], axes[place:at], axes[at:end], axes[end:]
        low = _as(low, [1, *(math.prod(sizes[a] for a in group) for group in groups)]).permute(0, 1, 3, 2, 4)
        axes = [*groups[0], *groups[2], *groups[1], *groups[3]]
    return _as(low, [sizes[axis] for axis in axes])


def sliced(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """`x.narrow(axis, start, stop - start)`."""
    sizes = [int(size) for size in x.shape]
    before, after = math.prod(sizes[:axis]), math.prod(sizes[axis + 1 :])
    part = _as(few(x), [1, before, sizes[axis], after])[:, :, start:stop]
    return _as(part, [*sizes[:axis], stop - start, *sizes[axis + 1 :]])


def selected(x: Tensor, axis: int, index: int) -> Tensor:
    """`x.select(axis, index)`."""
    axis, size = axis % x.dim(), int(x.shape[axis])
    part = sliced(x, axis, index % size, index % size + 1)
    return _as(few(part), [int(n) for n in (*x.shape[:axis], *x.shape[axis + 1 :])])


def _rows(x: Tensor) -> Tensor:
    *outer, width = map(int, x.shape)
    return _as(few(x), [1, math.prod(outer), width])


def _by_rows(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of the last axis."""

    def of_rows(x: Tensor, *args: Any, **options: Any) -> Tensor:
        rows = function(_rows(x), *args, **options)
        return _as(rows, [*map(int, x.shape[:-1]), int(rows.shape[-1])])

    return of_rows


def _by_value(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """A function of each value, or of the values at the same place in two tensors of one shape."""

    def of_values(x: Any, *args: Any, **options: Any) -> Any:
        tensors = [each for each in (x, *args) if isinstance(each, Tensor) and each.dim()]
        if any(each.shape != tensors[0].shape for each in tensors):
            return NotImplemented
        flat = [_rows(each) if isinstance(each, Tensor) and each.dim() else each for each in (x, *args)]
        return _as(function(*flat, **options), [int(size) for size in tensors[0].shape])

    return of_values


def _unbind(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    return tuple(selected(x, dim, index) for index in range(int(x.shape[dim])))


def _chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    size = -(-int(x.shape[dim]) // chunks)
    starts = range(0, int(x.shape[dim]), size)
    return tuple(sliced(x, dim % x.dim(), start, min(start + size, int(x.shape[dim]))) for start in starts)


def _transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    order = list(range(x.dim()))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permuted(x, order)


def _flat(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    first, last = start_dim % x.dim(), end_dim % x.dim()
    sizes = [int(size) for size in x.shape]
    return _as(few(x), [*sizes[:first], math.prod(sizes[first : last + 1]), *sizes[last + 1 :]])


def _getitem(x: Tensor, index: Any) -> Any:
    return selected(x, 0, index) if isinstance(index, int) else NotImplemented


def _shape_of(args: Sequence[Any]) -> Sequence[int]:
    return args[0] if len(args) == 1 and not isinstance(args[0], int) else args


def _reshape(x: Tensor, *shape: Any, **options: Any) -> Any:
    if shape and isinstance(shape[0], torch.dtype):  # of Tensor.view
        return NotImplemented
    sizes = [int(size) for size in _shape_of(shape or (options["shape"],))]
    if -1 in sizes:
        sizes[sizes.index(-1)] = math.prod(map(int, x.shape)) // -math.prod(sizes)
    return _as(few(x), sizes)


def _permute(x: Tensor, *dims: Any) -> Any:
    order = [axis % x.dim() for axis in _shape_of(dims)]
    if not is_many(x) and x.dim() + (x.shape[order[0]] != 1) <= MOST:
        return NotImplemented
    return permuted(x, order)


MAKERS = {torch.reshape, Tensor.reshape, Tensor.view, torch.permute, Tensor.permute}
"""Functions that can make a tensor of too many axes, and are asked before it is there."""

OF_MANY: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((torch.reshape, Tensor.reshape, Tensor.view), _reshape),
    **dict.fromkeys((torch.permute, Tensor.permute), _permute),
    **dict.fromkeys((torch.transpose, Tensor.transpose, torch.swapaxes, Tensor.swapaxes), _transpose),
    **dict.fromkeys((torch.flatten, Tensor.flatten), _flat),
    **dict.fromkeys((torch.unbind, Tensor.unbind), _unbind),
    **dict.fromkeys((torch.chunk, Tensor.chunk), _chunk),
    **dict.fromkeys((torch.select, Tensor.select), selected),
    Tensor.__getitem__: _getitem,
    Tensor.__iter__: lambda x: iter(_unbind(x)),
    Tensor.contiguous: lambda x: x,
    **{function: _by_rows(function) for function in (F.layer_norm, F.linear)},
    **{
        function: _by_value(function)
        for function in (
            *(torch.add, Tensor.add, Tensor.__add__, torch.sub, Tensor.sub, torch.mul, Tensor.mul, Tensor.__mul__),
            *(F.dropout, F.gelu, F.relu, F.silu),
        )
    },
}
"""What a function computes of tensors of too many axes; NotImplemented where it cannot."""
