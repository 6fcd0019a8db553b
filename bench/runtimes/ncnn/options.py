"""What is built of ncnn, and what is left out so that a first build takes minutes."""

from __future__ import annotations

import re
from pathlib import Path

_LAYERS = """
    AbsVal BatchNorm Bias BinaryOp Cast Clip Concat Convolution Convolution1D ConvolutionDepthWise
    ConvolutionDepthWise1D Crop Deconvolution Deconvolution1D DeconvolutionDepthWise Dequantize Dropout ELU Eltwise
    Embed Erf ExpandDims Flatten GELU Gemm GroupNorm HardSigmoid HardSwish InnerProduct Input InstanceNorm Interp
    LRN LayerNorm MatMul MemoryData Mish MultiHeadAttention Noop PReLU Packing Padding Permute PixelShuffle Pooling
    Pooling1D Quantize ReLU Reduction Requantize Reshape SDPA Scale ShuffleChannel Sigmoid Slice Softmax Softplus
    Split Squeeze Swish TanH Tile UnaryOp
"""
LAYERS = frozenset(_LAYERS.split())
"""Enough for convolutional networks, U-Nets, autoencoders and vision transformers."""

_COMMON = {
    "CMAKE_BUILD_TYPE": "Release",
    "NCNN_BUILD_BENCHMARK": "OFF",
    "NCNN_BUILD_EXAMPLES": "OFF",
    "NCNN_BUILD_TOOLS": "OFF",
    "NCNN_C_API": "OFF",
    "NCNN_DISABLE_EXCEPTION": "OFF",
    "NCNN_DISABLE_RTTI": "OFF",
    "NCNN_PIXEL": "OFF",
    "NCNN_PIXEL_AFFINE": "OFF",
    "NCNN_PIXEL_DRAWING": "OFF",
    "NCNN_PIXEL_ROTATE": "OFF",
    "NCNN_PLATFORM_API": "OFF",
    "NCNN_SIMPLEOMP": "ON",  # zig has no libomp, and one threading everywhere keeps phones and hosts comparable
    "NCNN_VULKAN": "OFF",
    "NCNN_WEIGHT_QUANT": "OFF",
}

_VARIANTS = {
    "x86": {
        "NCNN_AVX2": "OFF",
        "NCNN_AVX512": "OFF",
        "NCNN_AVXNECONVERT": "OFF",
        "NCNN_AVXVNNI": "OFF",
        "NCNN_AVXVNNIINT16": "OFF",
        "NCNN_AVXVNNIINT8": "OFF",
        "NCNN_FMA4": "OFF",
        "NCNN_XOP": "OFF",
    },
    "arm64": {
        "NCNN_ARM84BF16": "OFF",
        "NCNN_ARM84I8MM": "OFF",
        "NCNN_ARM86SVE": "OFF",
    },
    "arm": {},
}


def options(architecture: str) -> dict[str, str]:
    """CMake options for `x86`, `arm64` or `arm`, the layers aside. Variants not switched off are ncnn's defaults."""
    return _COMMON | _VARIANTS[architecture]


def left_out_layers(source: Path) -> tuple[str, ...]:
    """The layers of ncnn's `source` that are not built, in alphabetical order."""
    listed = re.findall(r"ncnn_add_layer\((\w+)", (source / "src" / "CMakeLists.txt").read_text())
    return tuple(sorted(set(listed) - LAYERS))
