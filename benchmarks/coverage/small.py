"""Small networks of one or two operators each, over the breadth of torch.nn and torch.nn.functional."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Shape = tuple[int, ...]
IMAGE: Shape = (6, 9, 10)
SEQUENCE: Shape = (6, 12)
ROWS: Shape = (7, 8)


@dataclass(frozen=True)
class Case:
    """A network, and the shapes of its inputs without a batch axis. `whole` inputs are whole numbers from 0 to 9.

    `static` is False where no fixed graph computes what the network does, so that it has to be refused.
    """

    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[Shape, ...]
    whole: bool = False
    static: bool = True


class Function(nn.Module):
    """A function as a network."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


class First(nn.Module):
    """The first of the results of a layer that has several."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(*inputs)[0]


class Attention(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x, x, x, need_weights=False)[0]


def _settled(norm: nn.Module) -> nn.Module:
    """A batch norm as training leaves it."""
    generator = torch.Generator().manual_seed(1)
    for name, low in (("running_mean", -1.0), ("running_var", 0.5), ("weight", 0.5), ("bias", -0.5)):
        getattr(norm, name).data.uniform_(low, low + 1.5, generator=generator)
    return norm


def _layers(shape: Shape, **layers: Callable[[], nn.Module]) -> list[Case]:
    return [Case(name, build, (shape,)) for name, build in layers.items()]


def _functions(*shapes: Shape, static: bool = True, **functions: Callable[..., Any]) -> list[Case]:
    def build(function: Callable[..., Any]) -> Callable[[], nn.Module]:
        return lambda: Function(function)

    return [Case(name, build(function), shapes, static=static) for name, function in functions.items()]


ACTIVATIONS = _layers(
    IMAGE,
    relu=nn.ReLU,
    relu6=nn.ReLU6,
    leaky_relu=lambda: nn.LeakyReLU(0.1),
    prelu=nn.PReLU,
    prelu_channels=lambda: nn.PReLU(6),
    elu=nn.ELU,
    celu=lambda: nn.CELU(0.7),
    selu=nn.SELU,
    gelu=nn.GELU,
    gelu_tanh=lambda: nn.GELU("tanh"),
    silu=nn.SiLU,
    mish=nn.Mish,
    sigmoid=nn.Sigmoid,
    tanh=nn.Tanh,
    hardtanh=lambda: nn.Hardtanh(-0.5, 0.8),
    hardsigmoid=nn.Hardsigmoid,
    hardswish=nn.Hardswish,
    softplus=nn.Softplus,
    softplus_beta=lambda: nn.Softplus(2.0),
    softsign=nn.Softsign,
    log_sigmoid=nn.LogSigmoid,
    softmax_channels=lambda: nn.Softmax(1),
    softmax_columns=lambda: nn.Softmax(-1),
    softmax2d=nn.Softmax2d,
    log_softmax=lambda: nn.LogSoftmax(1),
    softmin=lambda: nn.Softmin(1),
    glu=lambda: nn.GLU(1),
    hardshrink=nn.Hardshrink,
    softshrink=nn.Softshrink,
    tanhshrink=nn.Tanhshrink,
    threshold=lambda: nn.Threshold(0.1, 2.0),
)

NORMS = [
    *_layers(
        IMAGE,
        batch_norm2d_alone=lambda: _settled(nn.BatchNorm2d(6)),
        batch_norm2d_folded=lambda: nn.Sequential(nn.Conv2d(6, 4, 3), _settled(nn.BatchNorm2d(4))),
        batch_norm2d_after_relu=lambda: nn.Sequential(nn.Conv2d(6, 4, 3), nn.ReLU(), _settled(nn.BatchNorm2d(4))),
        batch_norm_of_the_batch=lambda: nn.BatchNorm2d(6, track_running_stats=False),
        group_norm=lambda: nn.GroupNorm(3, 6),
        instance_norm=lambda: nn.InstanceNorm2d(6),
        instance_norm_affine=lambda: nn.InstanceNorm2d(6, affine=True),
        layer_norm_image=lambda: nn.LayerNorm((6, 9, 10)),
        layer_norm_columns=lambda: nn.LayerNorm(10),
        local_response_norm=lambda: nn.LocalResponseNorm(3),
    ),
    *_layers(
        SEQUENCE,
        batch_norm1d=lambda: _settled(nn.BatchNorm1d(6)),
        layer_norm_rows=lambda: nn.LayerNorm(12),
        rms_norm=lambda: nn.RMSNorm(12),
    ),
    *_layers((8,), linear_batch_norm1d=lambda: nn.Sequential(nn.Linear(8, 5), _settled(nn.BatchNorm1d(5)))),
    *_functions(IMAGE, l2_normalize=lambda x: F.normalize(x, dim=1)),
    *_layers((4, 5, 6, 7), batch_norm3d=lambda: _settled(nn.BatchNorm3d(4))),
]

CONVOLUTIONS = [
    *_layers(
        IMAGE,
        conv2d=lambda: nn.Conv2d(6, 5, 3),
        conv2d_stride_dilation=lambda: nn.Conv2d(6, 5, (3, 2), stride=(2, 1), dilation=(1, 2), padding=(2, 1)),
        conv2d_same=lambda: nn.Conv2d(6, 5, 4, padding="same"),
        conv2d_groups=lambda: nn.Conv2d(6, 4, 3, groups=2),
        conv2d_depthwise=lambda: nn.Conv2d(6, 6, 3, groups=6, padding=1, bias=False),
        conv2d_multiplier=lambda: nn.Conv2d(6, 12, 3, groups=6),
        conv2d_reflect=lambda: nn.Conv2d(6, 5, 3, padding=1, padding_mode="reflect"),
        conv2d_replicate=lambda: nn.Conv2d(6, 5, 3, padding=1, padding_mode="replicate"),
        conv2d_circular=lambda: nn.Conv2d(6, 5, 3, padding=(1, 2), padding_mode="circular"),
        conv_transpose2d=lambda: nn.ConvTranspose2d(6, 5, 3, stride=2, padding=1, output_padding=1),
        conv_transpose2d_groups=lambda: nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2),
        conv_transpose2d_dilation=lambda: nn.ConvTranspose2d(6, 5, 3, dilation=2),
        linear_of_columns=lambda: nn.Linear(10, 4),
    ),
    *_layers(
        SEQUENCE,
        conv1d=lambda: nn.Conv1d(6, 5, 3, stride=2, padding=1),
        conv1d_depthwise=lambda: nn.Conv1d(6, 6, 3, groups=6),
        conv1d_causal=lambda: nn.Sequential(nn.ConstantPad1d((4, 0), 0.0), nn.Conv1d(6, 5, 3, dilation=2)),
        conv1d_circular=lambda: nn.Conv1d(6, 5, 3, padding=1, padding_mode="circular"),
        conv_transpose1d=lambda: nn.ConvTranspose1d(6, 5, 4, stride=2, padding=1),
    ),
    *_layers(
        (3, 5, 6, 7),
        conv3d=lambda: nn.Conv3d(3, 4, 3, padding=1),
        conv3d_stride=lambda: nn.Conv3d(3, 4, (1, 3, 3), stride=(1, 2, 2)),
        conv_transpose3d=lambda: nn.ConvTranspose3d(3, 4, 2, stride=2),
    ),
    *_layers((8,), linear=lambda: nn.Linear(8, 5), linear_without_bias=lambda: nn.Linear(8, 5, bias=False)),
    Case("bilinear", lambda: nn.Bilinear(5, 4, 3), ((5,), (4,))),
]

POOLING = [
    *_layers(
        IMAGE,
        max_pool2d=lambda: nn.MaxPool2d(2),
        max_pool2d_ceil=lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        max_pool2d_dilation=lambda: nn.MaxPool2d(3, 1, dilation=2),
        avg_pool2d=lambda: nn.AvgPool2d(3, 2, 1),
        avg_pool2d_ceil=lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True),
        avg_pool2d_not_counted=lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        avg_pool2d_ceil_not_counted=lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        avg_pool2d_divisor=lambda: nn.AvgPool2d(2, divisor_override=3),
        adaptive_avg_pool=lambda: nn.AdaptiveAvgPool2d(1),
        adaptive_avg_pool_uneven=lambda: nn.AdaptiveAvgPool2d((4, 3)),
        adaptive_max_pool=lambda: nn.AdaptiveMaxPool2d((3, 2)),
        lp_pool=lambda: nn.LPPool2d(2, 2),
        unfold=lambda: nn.Unfold(3, padding=1),
        pixel_shuffle=lambda: nn.Sequential(nn.Conv2d(6, 8, 1), nn.PixelShuffle(2)),
        channel_shuffle=lambda: nn.ChannelShuffle(3),
        zero_pad=lambda: nn.ZeroPad2d((1, 2, 0, 3)),
        reflection_pad=lambda: nn.ReflectionPad2d(2),
        replication_pad=lambda: nn.ReplicationPad2d((1, 0, 2, 1)),
        circular_pad=lambda: nn.CircularPad2d((1, 2, 3, 0)),
        constant_pad=lambda: nn.ConstantPad2d(1, 0.5),
        cropped=lambda: nn.ZeroPad2d((-1, -1, -2, 0)),
        upsample_nearest=lambda: nn.Upsample(scale_factor=2),
        upsample_size=lambda: nn.Upsample(size=(13, 17)),
        upsample_bilinear=lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        upsample_aligned=lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        upsample_bicubic=lambda: nn.Upsample(size=(18, 20), mode="bicubic"),
        dropout=nn.Dropout,
    ),
    *_layers((6, 8, 10), pixel_unshuffle=lambda: nn.PixelUnshuffle(2)),
    *_layers(
        SEQUENCE,
        max_pool1d=lambda: nn.MaxPool1d(3, 2),
        avg_pool1d=lambda: nn.AvgPool1d(2),
        adaptive_avg_pool1d=lambda: nn.AdaptiveAvgPool1d(1),
        upsample_linear=lambda: nn.Upsample(scale_factor=2, mode="linear"),
    ),
    *_layers(
        (3, 6, 6, 8),
        max_pool3d=lambda: nn.MaxPool3d(2),
        avg_pool3d=lambda: nn.AvgPool3d(2),
        adaptive_avg_pool3d=lambda: nn.AdaptiveAvgPool3d(1),
    ),
]

SHAPES = _functions(
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
    *_functions(
        IMAGE,
        add_scalar=lambda x: x + 1.5,
        scalar_minus=lambda x: 2 - x,
        divide=lambda x: 1 / (x.abs() + 1),
        power=lambda x: x**2,
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
    *_functions(
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
    *_functions(IMAGE, (6, 1, 1), broadcast_channels=lambda x, s: x * s),
    *_functions(IMAGE, (1, 1, 10), broadcast_columns=lambda x, s: x + s),
]

PRODUCTS = [
    *_functions(
        ROWS,
        ROWS,
        matmul=lambda a, b: a @ b.transpose(1, 2),
        bmm=lambda a, b: torch.bmm(a, b.transpose(1, 2)),
        einsum_rows=lambda a, b: torch.einsum("bij,bkj->bik", a, b),
        outer_sum=lambda a, b: a[:, :, None] + b[:, None],
        baddbmm=lambda a, b: torch.baddbmm(a, a, b[:, :, :].transpose(1, 2) @ b),
    ),
    *_functions(
        (2, 7, 8),
        (2, 7, 8),
        matmul_heads=lambda a, b: a @ b.transpose(-1, -2),
        einsum_heads=lambda a, b: torch.einsum("bhij,bhkj->bhik", a, b),
    ),
    *_functions(
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

RECURRENT = [
    Case("lstm", lambda: First(nn.LSTM(8, 5, batch_first=True)), (ROWS,)),
    Case("lstm_both_ways", lambda: First(nn.LSTM(8, 5, batch_first=True, bidirectional=True)), (ROWS,)),
    Case("lstm_two_layers", lambda: First(nn.LSTM(8, 5, 2, batch_first=True)), (ROWS,)),
    Case(
        "lstm_last",
        lambda: nn.Sequential(First(nn.LSTM(8, 5, batch_first=True)), Function(lambda x: x[:, -1])),
        (ROWS,),
    ),
    Case("lstm_states", lambda: nn.LSTM(8, 5, batch_first=True), (ROWS,)),
    Case("gru", lambda: First(nn.GRU(8, 5, batch_first=True)), (ROWS,)),
    Case("rnn", lambda: First(nn.RNN(8, 5, batch_first=True)), (ROWS,)),
    Case("embedding", lambda: nn.Embedding(10, 4), ((7,),), whole=True),
    Case(
        "embedding_mean",
        lambda: nn.Sequential(nn.Embedding(10, 4), Function(lambda x: x.mean(1)), nn.Linear(4, 3)),
        ((7,),),
        whole=True,
    ),
    Case("one_hot", lambda: Function(lambda x: F.one_hot(x, 10).float()), ((7,),), whole=True),
]

SEVERAL = _functions(
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


DYNAMIC = _functions(
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

CASES: tuple[Case, ...] = (
    *ACTIVATIONS,
    *NORMS,
    *CONVOLUTIONS,
    *POOLING,
    *SHAPES,
    *ARITHMETIC,
    *PRODUCTS,
    *RECURRENT,
    *SEVERAL,
    *DYNAMIC,
)
