"""Small networks of torch's functions, and some that no graph can hold."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.coverage.cases import IMAGE, ROWS, SEQUENCE, Attention, Case, functions

SHAPES = functions(
    IMAGE,
    flatten=lambda x: x.flatten(1),
    view=lambda x: x.view(1, 3, 2, 90),
    reshape_to_rows=lambda x: x.reshape(1, 6, -1),
    permute=lambda x: x.permute(0, 2, 3, 1),
    transpose=lambda x: x.transpose(1, 2),
    unsqueeze=lambda x: x.unsqueeze(2),
    squeeze=lambda x: x.mean(2, keepdim=True).squeeze(2),
    cat_channels=lambda x: torch.cat([x, x * 2], 1),
    cat_rows=lambda x: torch.cat([x, x + 1], 2),
    stack=lambda x: torch.stack([x, -x], 1),
    split=lambda x: torch.split(x, [1, 2, 3], 1)[1] + 1,
    chunk=lambda x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1],
    slice=lambda x: x[:, 1:4, :, 2:],
    slice_step=lambda x: x[:, :, ::2, 1::2],
    index=lambda x: x[:, 2],
    select_last=lambda x: x[..., -1],
    narrow=lambda x: x.narrow(2, 1, 4),
    roll=lambda x: torch.roll(x, (1, 2), (2, 3)),
    flip=lambda x: x.flip(3),
    repeat=lambda x: x.repeat(1, 2, 1, 1),
    expand=lambda x: x[:, :1].expand(1, 6, 9, 10) + 1,
    tile=lambda x: torch.tile(x, (1, 1, 2, 1)),
    unbind=lambda x: x.unbind(1)[3] + 1,
    movedim=lambda x: x.movedim(1, 3),
    repeat_interleave=lambda x: x.repeat_interleave(2, dim=1),
    index_select=lambda x: x[:, [0, 2, 5]],
    tril=lambda x: torch.tril(x),
    window=lambda x: x.reshape(1, 6, 3, 3, 5, 2).permute(0, 2, 4, 3, 5, 1).reshape(1, 15, 6, 6),
)

ARITHMETIC = [
    *functions(
        IMAGE,
        add_scalar=lambda x: x + 1.5,
        scalar_minus=lambda x: 2 - x,
        divide=lambda x: 1 / (x.abs() + 1),
        power=lambda x: x**2,
        cube=lambda x: x**3,
        square_root=lambda x: (x * x + 1).sqrt(),
        rsqrt=lambda x: (x * x + 1).rsqrt(),
        exponential=torch.exp,
        logarithm=lambda x: torch.log(x.abs() + 1),
        log1p=lambda x: torch.log1p(x.abs()),
        expm1=torch.expm1,
        absolute=torch.abs,
        negative=torch.neg,
        sine=torch.sin,
        cosine=torch.cos,
        tangent=torch.tan,
        arctangent=torch.atan,
        floor=torch.floor,
        ceil=torch.ceil,
        rounding=torch.round,
        truncate=torch.trunc,
        sign=torch.sign,
        erf=torch.erf,
        clamp=lambda x: x.clamp(-0.5, 0.7),
        clamp_min=lambda x: x.clamp(min=0.1),
        remainder=lambda x: torch.remainder(x, 0.7),
        fmod=lambda x: torch.fmod(x, 0.7),
        floor_divide=lambda x: torch.floor_divide(x, 0.7),
        square=torch.square,
        reciprocal=lambda x: (x.abs() + 1).reciprocal(),
        channel_scale=lambda x: x * x.mean((2, 3), keepdim=True),
        row_scale=lambda x: x * x.mean(3, keepdim=True),
        where=lambda x: torch.where(x > 0, x, x * 0.1),
        masked_fill=lambda x: x.masked_fill(x < 0, -1.0),
        greater_as_number=lambda x: (x > 0.2).float(),
        maximum_scalar=lambda x: torch.maximum(x, torch.tensor(0.3)),
        mean_all=lambda x: x.mean(),
        mean_image=lambda x: x.mean((2, 3)),
        mean_channels=lambda x: x.mean(1),
        sum_keep=lambda x: x.sum(2, keepdim=True),
        maximum=lambda x: x.amax((2, 3)),
        minimum=lambda x: x.amin(1),
        product=lambda x: x.prod(3),
        norm=lambda x: x.norm(dim=1),
        variance=lambda x: x.var(dim=(2, 3)),
        deviation=lambda x: x.std(dim=1, unbiased=False),
        logsumexp=lambda x: x.logsumexp(1),
        max_value=lambda x: x.max(1)[0],
        cumsum=lambda x: x.cumsum(3),
        argmax=lambda x: x.argmax(1),
        topk=lambda x: x.topk(2, 1)[0],
        sort=lambda x: x.sort(1)[0],
        lerp=lambda x: torch.lerp(x, x * 2, 0.3),
        addcmul=lambda x: torch.addcmul(x, x, x, value=0.5),
    ),
    *functions(
        IMAGE,
        IMAGE,
        add=torch.add,
        subtract=torch.sub,
        multiply=torch.mul,
        maximum_of_two=torch.maximum,
        minimum_of_two=torch.minimum,
        atan2=torch.atan2,
        two_sums=lambda a, b: (a + b, a - b),
        where_of_two=lambda a, b: torch.where(a > b, a, b),
        cosine_similarity=lambda a, b: F.cosine_similarity(a, b),
    ),
    *functions(IMAGE, (6, 1, 1), broadcast_channels=lambda x, s: x * s),
    *functions(IMAGE, (1, 1, 10), broadcast_columns=lambda x, s: x + s),
]

PRODUCTS = [
    *functions(
        ROWS,
        heads_of_one_product=lambda x: F.scaled_dot_product_attention(
            *x.repeat(1, 1, 3).reshape(1, 7, 3, 2, 4).permute(2, 0, 3, 1, 4)
        ),
    ),
    *functions(
        ROWS,
        ROWS,
        matmul=lambda a, b: a @ b.transpose(1, 2),
        bmm=lambda a, b: torch.bmm(a, b.transpose(1, 2)),
        einsum_rows=lambda a, b: torch.einsum("bij,bkj->bik", a, b),
        outer_sum=lambda a, b: a[:, :, None] + b[:, None],
        baddbmm=lambda a, b: torch.baddbmm(a, a, b[:, :, :].transpose(1, 2) @ b),
    ),
    *functions(
        (2, 7, 8),
        (2, 7, 8),
        matmul_heads=lambda a, b: a @ b.transpose(-1, -2),
        einsum_heads=lambda a, b: torch.einsum("bhij,bhkj->bhik", a, b),
    ),
    *functions(
        (2, 7, 8),
        (2, 7, 8),
        (2, 7, 8),
        attention_function=F.scaled_dot_product_attention,
        attention_causal=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        attention_by_hand=lambda q, k, v: torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1) @ v,
    ),
    Case("multihead_attention", Attention, (ROWS,)),
    Case("multihead_attention_without_bias", lambda: Attention(bias=False), (ROWS,)),
    Case("transformer_layer", lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (ROWS,)),
    Case(
        "transformer_layer_first_norm",
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True),
        (ROWS,),
    ),
    Case("linear_of_rows", lambda: nn.Linear(8, 5), (ROWS,)),
]

SEVERAL = functions(
    IMAGE,
    pair=lambda x: (x.relu(), x + 1),
    nested=lambda x: [x.relu(), (x.mean((2, 3)), x * 2)],
    named=lambda x: {"boxes": x[:, :4] * 640, "scores": x[:, 4:].sigmoid()},
    the_same_twice=lambda x: (x * 2,) * 2,
    input_and_more=lambda x: (x, x.relu()),
    nothing=lambda x: x,
)


def _halving(x: torch.Tensor) -> torch.Tensor:
    while x.abs().max() > 0.5:
        x = x / 2
    return x


def _chosen(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if x.mean() < 0 else x - 1


def _counted(x: torch.Tensor) -> torch.Tensor:
    return x[: int(x.abs().sum()) % 2 + 1] * 3


DYNAMIC = functions(
    SEQUENCE,
    static=False,
    branch=_chosen,
    loop=_halving,
    item=lambda x: x / x.abs().max().item(),
    float_of=lambda x: x * float(x[0, 0, 0]),
    through_numpy=lambda x: x + torch.from_numpy(x.numpy()),
    through_list=lambda x: x + torch.tensor(x.tolist()),
    counted=_counted,
    masked=lambda x: x[x > 0].sum(),
    nonzero=lambda x: x.nonzero().float(),
    noise=lambda x: x + torch.randn_like(x),
    dropout_always=lambda x: F.dropout(x),
    unique=lambda x: torch.unique(x.round()),
)

CASES: tuple[Case, ...] = (*SHAPES, *ARITHMETIC, *PRODUCTS, *SEVERAL, *DYNAMIC)
