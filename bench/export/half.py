"""ncnn's .bin file with weights in float16: half the bytes, which ncnn widens to float32 when it loads them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from bench.export import graph


def stored(weights: bytes, blobs: Collection[graph.Blob]) -> bytes:
    """The .bin file `weights` of float32 with every blob in float16 that has a type word and loses nothing by it: all
    its values are float16 numbers. Blobs without a type word (biases, norms) are always float32.

    Raises ExportRefused unless the file holds exactly these blobs.
    """
    parts = []
    for blob, values in zip(blobs, graph.split(weights, blobs), strict=True):
        with np.errstate(over="ignore"):
            half = values.astype("<f2")
        if blob.typed and np.array_equal(half.astype("<f4"), values):
            data = half.tobytes()
            parts.append(graph.HALF + data + bytes(-len(data) % 4))
        else:
            parts.append(bytes(4 * blob.typed) + values.tobytes())
    return b"".join(parts)
