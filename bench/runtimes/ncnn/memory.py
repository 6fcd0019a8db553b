"""What a process of our runner takes at most with a network, from what ncnn does with weights and convolutions.

At least the weights as they are in the file and the activations are there. ncnn brings weights into the order in which
it multiplies; for Winograd's method, which it takes for 3×3 convolutions of step 1 and more than a few channels, they
become up to 64 values for 9, and pictures 36 for 16: which tiles it takes depends on the picture and the processor.
Other convolutions may copy each window of their input (im2col), but for those of one pixel and of one channel each.
Where measured networks lay between the two is in docs/inspect.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.export.layout import Layout, Operation

PROGRAM = 1_800_000
"""Bytes of the runner itself that are resident."""
_MORE = 1_000_000
"""Bytes that it may take more, for samples and answers."""
_FLOAT = 4
_FEW = 8
"""Channels up to which, in and out, Winograd's method is not used."""


_MARGIN = 1.05
"""Of the larger bound: pages that are begun, and what an allocator keeps."""


def expected(layout: Layout) -> tuple[int, int]:
    """Between which bytes the resident memory's peak (VmHWM) lies, in float32 on one thread."""
    convolutions = [one for one in layout.operations if len(one.weight) == 4 and len(one.given) == 3]
    more = sum(_FLOAT * math.prod(one.weight) * (64 / 9 - 1) for one in convolutions if _by_winograd(one))
    at_work = max(one.live + (_workspace(one) if one in convolutions else 0) for one in layout.operations)
    most = PROGRAM + _MORE + 2 * layout.weights + more + at_work
    return PROGRAM + layout.weights + layout.peak, round(_MARGIN * most)


def _by_winograd(one: Operation) -> bool:
    out, channels, *kernel = one.weight
    plain = one.name == "conv2d" and kernel == [3, 3] and one.groups == 1 and set(one.stride) <= {1}
    return plain and max(out, channels) > _FEW


def _workspace(one: Operation) -> float:
    """Bytes of copies while it runs."""
    given, after, kernel = math.prod(one.given), math.prod(one.shapes[0]), math.prod(one.weight[2:])
    if _by_winograd(one):
        return _FLOAT * (given + after) * 36 / 16
    if one.groups > 1 or kernel == 1:
        return 0.0
    if one.name == "conv2d":
        return _FLOAT * kernel * one.given[0] * math.prod(one.shapes[0][1:])
    return _FLOAT * kernel * one.shapes[0][0] * math.prod(one.given[1:])
