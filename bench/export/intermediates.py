"""What the parts of an eager network compute on the way, by the names that its author gave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.errors import UsageError
from bench.export import eager
from bench.guest import guest

MOST_BYTES = 2**31
"""Of all that the parts computed."""


class Part(NamedTuple):
    """The output of a module that has no others in it: `name` as in `named_modules`, `kind` its class, `values` without
    the batch axis. One that is called several times is there several times."""

    name: str
    kind: str
    values: NDArray[np.float32]


def parts(network: nn.Module, samples: Sequence[NDArray[Any]]) -> list[Part]:
    """What the modules of `network` compute for the first sample of its inputs, (N, *shape) each, in the order of their
    calls. Raises UsageError where that is more than MOST_BYTES, and what the network raises."""
    found: list[Part] = []
    size = 0

    def keep(name: str, module: nn.Module, returned: object) -> None:
        nonlocal size
        if not isinstance(returned, torch.Tensor) or not returned.dtype.is_floating_point or returned.shape[:1] != (1,):
            return
        size += 4 * returned.numel()
        if size > MOST_BYTES:
            raise UsageError(
                f"the layers of the network have more than {MOST_BYTES / 1e9:.1f} GB of values",
                "Give a smaller --input-size.",
            )
        found.append(Part(name, type(module).__name__, returned[0].detach().float().numpy().copy()))

    def hook(name: str) -> Any:
        return lambda module, given, returned: keep(name, module, returned)

    leaves = [(name, one) for name, one in network.named_modules() if not any(True for _ in one.children())]
    handles = [one.register_forward_hook(hook(name or type(one).__name__)) for name, one in leaves]
    try:
        with torch.inference_mode(), guest():
            eager.evaluating(network)(*eager.arguments(samples, 0))
    finally:
        for handle in handles:
            handle.remove()
    return found
