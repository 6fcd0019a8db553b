"""Small networks of torch's layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.coverage.cases import IMAGE, ROWS, SEQUENCE, Case, Cell, First, Function, Positions, functions, layers


def _settled(norm: nn.Module) -> nn.Module:
    """A batch norm as training leaves it."""
    generator = torch.Generator().manual_seed(1)
    for name, low in (("running_mean", -1.0), ("running_var", 0.5), ("weight", 0.5), ("bias", -0.5)):
        getattr(norm, name).data.uniform_(low, low + 1.5, generator=generator)
    return norm


ACTIVATIONS = layers(
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
    *layers(
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
    *layers(
        SEQUENCE,
        batch_norm1d=lambda: _settled(nn.BatchNorm1d(6)),
        layer_norm_rows=lambda: nn.LayerNorm(12),
        rms_norm=lambda: nn.RMSNorm(12),
    ),
    *layers((8,), linear_batch_norm1d=lambda: nn.Sequential(nn.Linear(8, 5), _settled(nn.BatchNorm1d(5)))),
    *functions(IMAGE, l2_normalize=lambda x: F.normalize(x, dim=1)),
    *layers((4, 5, 6, 7), batch_norm3d=lambda: _settled(nn.BatchNorm3d(4))),
    *layers(
        SEQUENCE, instance_norm1d=lambda: nn.InstanceNorm1d(6, affine=True), group_norm1d=lambda: nn.GroupNorm(2, 6)
    ),
    *layers(
        IMAGE,
        instance_norm_tracked=lambda: nn.InstanceNorm2d(6, track_running_stats=True),
        group_norm_plain=lambda: nn.GroupNorm(6, 6, affine=False),
    ),
]

CONVOLUTIONS = [
    *layers(
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
    *layers(
        SEQUENCE,
        conv1d=lambda: nn.Conv1d(6, 5, 3, stride=2, padding=1),
        conv1d_depthwise=lambda: nn.Conv1d(6, 6, 3, groups=6),
        conv1d_causal=lambda: nn.Sequential(nn.ConstantPad1d((4, 0), 0.0), nn.Conv1d(6, 5, 3, dilation=2)),
        conv1d_circular=lambda: nn.Conv1d(6, 5, 3, padding=1, padding_mode="circular"),
        conv_transpose1d=lambda: nn.ConvTranspose1d(6, 5, 4, stride=2, padding=1),
    ),
    *layers(
        (3, 5, 6, 7),
        conv3d=lambda: nn.Conv3d(3, 4, 3, padding=1),
        conv3d_stride=lambda: nn.Conv3d(3, 4, (1, 3, 3), stride=(1, 2, 2)),
        conv_transpose3d=lambda: nn.ConvTranspose3d(3, 4, 2, stride=2),
    ),
    *layers((8,), linear=lambda: nn.Linear(8, 5), linear_without_bias=lambda: nn.Linear(8, 5, bias=False)),
    Case("bilinear", lambda: nn.Bilinear(5, 4, 3), ((5,), (4,))),
]

POOLING = [
    *layers(
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
    *layers((6, 8, 10), pixel_unshuffle=lambda: nn.PixelUnshuffle(2)),
    *layers(
        SEQUENCE,
        max_pool1d=lambda: nn.MaxPool1d(3, 2),
        avg_pool1d=lambda: nn.AvgPool1d(2),
        adaptive_avg_pool1d=lambda: nn.AdaptiveAvgPool1d(1),
        upsample_linear=lambda: nn.Upsample(scale_factor=2, mode="linear"),
    ),
    *layers(
        (3, 6, 6, 8),
        max_pool3d=lambda: nn.MaxPool3d(2),
        avg_pool3d=lambda: nn.AvgPool3d(2),
        adaptive_avg_pool3d=lambda: nn.AdaptiveAvgPool3d(1),
    ),
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
    Case("lstm_cell", lambda: Cell(nn.LSTMCell(8, 5)), (ROWS,)),
    Case("gru_cell", lambda: Cell(nn.GRUCell(8, 5)), (ROWS,)),
    Case("embedding_of_positions", lambda: Positions(10, 7, 8), ((7,),), whole=True),
    Case("embedding_of_rows", lambda: nn.Embedding(10, 4), ((3, 5),), whole=True),
    Case("one_hot", lambda: Function(lambda x: F.one_hot(x, 10).float()), ((7,),), whole=True),
]

CASES: tuple[Case, ...] = (*ACTIVATIONS, *NORMS, *CONVOLUTIONS, *POOLING, *RECURRENT)
