"""What is built of ncnn, and for which CPUs."""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path

_LEFT_OUT = """
    ArgMax BNLL DetectionOutput InverseSpectrogram PSROIPooling PriorBox Proposal ROIAlign ROIPooling Reorg SPP
    Spectrogram StatisticsPooling Threshold YoloDetectionOutput Yolov3DetectionOutput
"""
LEFT_OUT = frozenset(_LEFT_OUT.split())
"""Layers that are not built: heads of detectors of the Caffe era, and spectrograms."""

COMMON = {
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
"""CMake options of every build."""

GPU = {"NCNN_VULKAN": "ON", "NCNN_SIMPLEVK": "ON", "NCNN_SYSTEM_GLSLANG": "OFF"}
"""Those of a build for GPUs, instead: with ncnn's own loader of drivers, and the compiler of shaders that comes with
its source, for shaders are compiled where they run."""

_NEEDS = {
    "x86": {
        "NCNN_AVX": {"avx"},
        "NCNN_FMA": {"fma"},
        "NCNN_F16C": {"f16c"},
        "NCNN_AVX2": {"avx2", "fma"},
        "NCNN_AVXVNNI": {"avx_vnni"},
        "NCNN_AVX512": {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"},
        "NCNN_AVX512VNNI": {"avx512_vnni"},
        "NCNN_AVX512BF16": {"avx512_bf16"},
    },
    "arm64": {
        "NCNN_ARM82": {"asimdhp"},
        "NCNN_ARM82DOT": {"asimddp"},
        "NCNN_ARM82FP16FML": {"asimdfhm"},
        "NCNN_ARM84BF16": {"bf16"},
        "NCNN_ARM84I8MM": {"i8mm"},
    },
    "arm": {"NCNN_VFPV4": {"vfpv4"}},
}
"""The kernels that are built where possible, each with the features of a CPU that it needs, in Linux's names."""

KERNELS = frozenset(option for options in _NEEDS.values() for option in options)

_NEVER = {
    "x86": (
        "NCNN_AVX512FP16", "NCNN_AVXNECONVERT", "NCNN_AVXVNNIINT16", "NCNN_AVXVNNIINT8", "NCNN_FMA4", "NCNN_XOP"
    ),
    "arm64": ("NCNN_ARM86SVE",),
    "arm": (),
}  # fmt: skip


def kernels(architecture: str, features: Set[str] | None = None) -> dict[str, str]:
    """CMake options that choose the code for single CPU generations of `x86`, `arm64` or `arm`.

    With the `features` of one CPU, only what this CPU runs; without, code for every CPU, which chooses when it starts.
    """
    chosen = dict.fromkeys(_NEVER[architecture], "OFF")
    for option, needed in _NEEDS[architecture].items():
        chosen[option] = "ON" if features is None or needed <= features else "OFF"
    if features is not None:
        chosen["NCNN_RUNTIME_CPU"] = "OFF"
        if chosen.get("NCNN_AVX512") == "ON":
            chosen["NCNN_AVXVNNI"] = "OFF"  # ncnn compiles one of the two
    return chosen


def left_out_layers(source: Path) -> tuple[str, ...]:
    """The layers of ncnn's `source` that are not built, in alphabetical order."""
    listed = re.findall(r"ncnn_add_layer\((\w+)", (source / "src" / "CMakeLists.txt").read_text())
    return tuple(sorted(LEFT_OUT.intersection(listed)))
