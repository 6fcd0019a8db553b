"""Functions of values: activations, norms, products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.export.equivalents.table import LARGE, follows, of


@of(F.softplus)
def _softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return NotImplemented if beta == 1 else F.softplus(x * beta) / beta


@of(F.softsign)
def _softsign(x: Tensor) -> Tensor:
    return x * (x.abs() + 1).reciprocal()


@of(F.softmin)
def _softmin(x: Tensor, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    return F.softmax(x * -1, dim)


@of(F.tanhshrink)
def _tanhshrink(x: Tensor) -> Tensor:
    return x + x.tanh() * -1


@of(F.threshold, torch.threshold)
def _threshold(x: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    return torch.where(x > threshold, x, value)


@of(torch.remainder, Tensor.remainder, Tensor.__mod__)
def _remainder(a: Any, b: Any) -> Any:
    return a - torch.floor(a / b) * b if follows(a, b) else NotImplemented


@of(torch.lerp, Tensor.lerp)
def _lerp(a: Tensor, b: Tensor, weight: float | Tensor) -> Tensor:
    return a + (b - a) * weight


@of(torch.addcmul, Tensor.addcmul)
def _addcmul(a: Tensor, b: Tensor, c: Tensor, *, value: float = 1) -> Tensor:
    return a + b * c * value


@of(torch.addcdiv, Tensor.addcdiv)
def _addcdiv(a: Tensor, b: Tensor, c: Tensor, *, value: float = 1) -> Tensor:
    return a + b / c * value


@of(torch.baddbmm, Tensor.baddbmm)
def _baddbmm(a: Tensor, b: Tensor, c: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return a * beta + torch.bmm(b, c) * alpha


@of(torch.var, Tensor.var)
def _var(x: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float = 1) -> Tensor:
    axes = tuple(range(1, x.dim())) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    count = math.prod(x.shape[axis] for axis in axes)
    squares = (x - x.mean(axes, keepdim=True)) ** 2
    return squares.sum(axes, keepdim=keepdim) / (count - (correction if unbiased else 0))


@of(torch.std, Tensor.std)
def _std(x: Tensor, *args: Any, **options: Any) -> Any:
    return torch.var(x, *args, **options).sqrt()


@of(F.cosine_similarity)
def _cosine_similarity(a: Tensor, b: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    norms = ((a * a).sum(dim) * (b * b).sum(dim)).sqrt()
    return (a * b).sum(dim) / norms.clamp(min=eps)


@of(F.bilinear)
def _bilinear(a: Tensor, b: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    out, first, second = weight.shape
    rows = F.linear(a, weight.transpose(1, 2).reshape(out * second, first)).reshape(*a.shape[:-1], out, second)
    result = (rows * b.unsqueeze(-2)).sum(-1)
    return result if bias is None else result + bias


@of(F.layer_norm)
def _layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Any:
    if len(normalized_shape) == 1:
        return NotImplemented
    flat = x.flatten(-len(normalized_shape))
    weight, bias = (each if each is None else each.flatten() for each in (weight, bias))
    return F.layer_norm(flat, flat.shape[-1:], weight, bias, eps).reshape(x.shape)


@of(F.batch_norm)
def _batch_norm(
    x: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None = None, bias: Tensor | None = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, *_: Any,
) -> Any:  # fmt: skip
    if mean is not None:
        return NotImplemented
    return F.instance_norm(x, None, None, weight, bias, eps=eps)  # the batch is one sample


@of(F.scaled_dot_product_attention)
def _attention(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    **rest: Any,
) -> Any:  # fmt: skip
    if is_causal:
        attn_mask = torch.full((q.shape[-2], k.shape[-2]), -LARGE).triu(1)
    elif q.dim() != 4 or q.shape[0] == 1:
        return NotImplemented
    if q.dim() != 4 or q.shape[0] == 1:
        return F.scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, **rest)
    # Of several windows: each has its own heads.
    heads = q.shape[0] * q.shape[1]
    if attn_mask is not None:
        attn_mask = attn_mask.expand(*q.shape[:3], k.shape[2]).reshape(1, heads, q.shape[2], k.shape[2])
    q1, k1, v1 = (each.reshape(1, heads, *each.shape[2:]) for each in (q, k, v))
    return F.scaled_dot_product_attention(q1, k1, v1, attn_mask, dropout_p, **rest).reshape(*q.shape[:3], v.shape[3])


@of(F.one_hot)
def _one_hot(x: Tensor, num_classes: int = -1) -> Any:
    return NotImplemented if num_classes < 0 else F.embedding(x, torch.eye(num_classes))


@of(F.normalize)
def _normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Any:
    if p != 2 or (dim == 1 and x.shape[0] == 1):
        return NotImplemented
    return x * (x * x).sum(dim, keepdim=True).clamp(min=eps**2).rsqrt()
