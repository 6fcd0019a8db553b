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


@of(torch.pow, Tensor.pow, Tensor.__pow__)
def _pow(x: Any, exponent: Any) -> Any:
    """ncnn takes the logarithm of the base, which may be negative."""
    if not isinstance(exponent, int | float) or exponent != int(exponent) or not 3 <= exponent <= 8:
        return NotImplemented
    return math.prod([x] * (int(exponent) - 1), start=x)


@of(torch.outer, torch.ger, Tensor.outer)
def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a.unsqueeze(1) * b.unsqueeze(0)


@of(torch.frac, Tensor.frac)
def _frac(x: Tensor) -> Tensor:
    return x - torch.trunc(x)


@of(torch.log2, Tensor.log2)
def _log2(x: Tensor) -> Tensor:
    return torch.log(x) / math.log(2)


@of(torch.exp2, Tensor.exp2)
def _exp2(x: Tensor) -> Tensor:
    return torch.exp(x * math.log(2))


@of(torch.erfc, Tensor.erfc)
def _erfc(x: Tensor) -> Tensor:
    return 1 - torch.erf(x)


@of(torch.var_mean)
def _var_mean(x: Tensor, dim: Any = None, *args: Any, keepdim: bool = False, **options: Any) -> tuple[Tensor, Tensor]:
    axes = tuple(range(1, x.dim())) if dim is None else dim
    return torch.var(x, axes, *args, keepdim=keepdim, **options), x.mean(axes, keepdim=keepdim)


@of(torch.std_mean)
def _std_mean(x: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(x, *args, **options)
    return variance.sqrt(), mean


@of(F.pairwise_distance)
def _pairwise_distance(a: Tensor, b: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    difference = a - b + eps
    return (difference * difference).sum(-1, keepdim=keepdim).sqrt() if p == 2 else NotImplemented


@of(F.instance_norm)
def _instance_norm(
    x: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    if running_mean is not None and not use_input_stats:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    if x.dim() != 3:
        return NotImplemented
    return F.instance_norm(x.unsqueeze(2), None, None, weight, bias, True, momentum, eps).squeeze(2)


@of(F.group_norm)
def _group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Any:
    if weight is not None:
        return NotImplemented
    return F.group_norm(x, num_groups, torch.ones(x.shape[1]), torch.zeros(x.shape[1]), eps)


@of(torch.lstm_cell)
def _lstm_cell(
    x: Tensor, states: Sequence[Tensor], w_x: Tensor, w_h: Tensor, b_x: Tensor | None = None, b_h: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    h, c = states
    into, forget, cell, out = (F.linear(x, w_x, b_x) + F.linear(h, w_h, b_h)).chunk(4, 1)
    c = forget.sigmoid() * c + into.sigmoid() * cell.tanh()
    return out.sigmoid() * c.tanh(), c


@of(torch.gru_cell)
def _gru_cell(
    x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor | None = None, b_h: Tensor | None = None
) -> Tensor:
    reset_x, update_x, new_x = F.linear(x, w_x, b_x).chunk(3, 1)
    reset_h, update_h, new_h = F.linear(h, w_h, b_h).chunk(3, 1)
    update = (update_x + update_h).sigmoid()
    new = (new_x + (reset_x + reset_h).sigmoid() * new_h).tanh()
    return new + update * (h - new)


@of(torch.rnn_tanh_cell)
def _rnn_tanh_cell(
    x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor | None = None, b_h: Tensor | None = None
) -> Tensor:
    return (F.linear(x, w_x, b_x) + F.linear(h, w_h, b_h)).tanh()
