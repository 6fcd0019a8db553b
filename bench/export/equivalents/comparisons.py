"""Comparisons and what they choose: ncnn has no truth values, so they are 1.0 where they hold and 0.0 elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.export.equivalents.table import LARGE, follows, of


@of(torch.gt, Tensor.gt, Tensor.__gt__, torch.greater)
def _greater(a: Any, b: Any) -> Any:
    return _sign(a, b).clamp(min=0) if follows(a, b) else NotImplemented


@of(torch.lt, Tensor.lt, Tensor.__lt__, torch.less)
def _less(a: Any, b: Any) -> Any:
    return _sign(b, a).clamp(min=0) if follows(a, b) else NotImplemented


@of(torch.ge, Tensor.ge, Tensor.__ge__, torch.greater_equal)
def _at_least(a: Any, b: Any) -> Any:
    return 1 - _sign(b, a).clamp(min=0) if follows(a, b) else NotImplemented


@of(torch.le, Tensor.le, Tensor.__le__, torch.less_equal)
def _at_most(a: Any, b: Any) -> Any:
    return 1 - _sign(a, b).clamp(min=0) if follows(a, b) else NotImplemented


@of(torch.eq, Tensor.eq, Tensor.__eq__)
def _equal(a: Any, b: Any) -> Any:
    return 1 - _sign(a, b).abs() if follows(a, b) else NotImplemented


@of(torch.ne, Tensor.ne, Tensor.__ne__, torch.not_equal)
def _unequal(a: Any, b: Any) -> Any:
    return _sign(a, b).abs() if follows(a, b) else NotImplemented


@of(torch.logical_not, Tensor.logical_not, Tensor.__invert__, torch.bitwise_not)
def _not(a: Tensor) -> Any:
    return 1 - a if a.is_floating_point() and follows(a) else NotImplemented


@of(torch.logical_and, Tensor.logical_and, Tensor.__and__)
def _and(a: Any, b: Any) -> Any:
    return _number(a) * _number(b) if follows(a, b) else NotImplemented


@of(torch.logical_or, Tensor.logical_or, Tensor.__or__)
def _or(a: Any, b: Any) -> Any:
    return torch.maximum(_number(a), _number(b)) if follows(a, b) else NotImplemented


@of(torch.where, Tensor.where)
def _where(condition: Tensor, a: Any = None, b: Any = None) -> Any:
    if a is None:
        return NotImplemented
    if isinstance(condition, Tensor) and not follows(condition) and not follows(a) and not follows(b):
        return NotImplemented
    mask = _number(condition)
    return mask * _finite(a) + (1 - mask) * _finite(b)


@of(torch.masked_fill, Tensor.masked_fill, Tensor.masked_fill_)
def _masked_fill(x: Tensor, mask: Tensor, value: Any) -> Any:
    return torch.where(mask, value, x) if follows(x) or follows(mask) else NotImplemented


def _sign(a: Any, b: Any) -> Tensor:
    return torch.sign(a - b)


def _number(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and not value.is_floating_point() else value


def _finite(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value if follows(value) else value.clamp(-LARGE, LARGE)
    return min(max(value, -LARGE), LARGE)
