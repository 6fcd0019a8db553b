"""What a target means for a given network: how many coefficients each of its weights keeps."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

from bench.compress.target import Target
from bench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.frequency.budget import Split

FORMS = "Say it as a ratio (1110x), a number of coefficients (776) or the bytes of the whole package (1.6kB)."


def parsed(text: str) -> Target:
    """The target that FR understands by `text`.

    A `ratio` is that of the publication: bytes of the parameters in float32 to bytes of the coefficients in float16.
    There LeNet-5 (431,080 parameters) with 776 coefficients is 1110×. Biases and norms are in the first but, as there,
    not in the second. `bytes` are the size of the `.frq` file, biases and norms too. Raises UsageError.
    """
    return Target.parse(text, FORMS)


def kept(
    target: Target,
    network: nn.Module,
    split: Split,
    *,
    name: str = "",
    parameters: int | None = None,
    int8: bool = False,
) -> dict[str, int]:
    """How many coefficients each site of `network`, not compressed yet, keeps: shared by `split`.

    `name` is what the package will be called. `parameters` are those of the ordinary network, where this is
    another form of it. With `int8` a coefficient takes one byte instead of two. Raises UsageError for what this
    network cannot be.
    """
    from bench.compress.frequency.budget import sizes

    least, most = len(sizes(network)), sum(sizes(network).values())
    if target.kind == "bytes":
        return _within_bytes(target, network, split, name, least, most, int8)
    if target.kind == "ratio":
        parameters = parameters or sum(parameter.numel() for parameter in network.parameters())
        each = 1 if int8 else 2
        total = math.floor(4 * parameters / (each * target.amount))
        if not least <= total <= most:
            raise UsageError(
                f"this network of {parameters:,} parameters cannot become {target.amount:g} times smaller: that is "
                f"{total:,} coefficients for {least} weight tensors",
                f"Ask for a ratio between {math.ceil(400 * parameters / (each * most)) / 100:g}x "
                f"and {math.floor(4 * parameters / (each * least))}x.",
            )
        return split(total)
    if not least <= target.amount <= most:
        raise UsageError(
            f"{target.amount:,.0f} coefficients cannot be shared among {least} weight tensors with {most:,} weights",
            f"Ask for between {least} and {most:,}.",
        )
    return split(int(target.amount))


def _within_bytes(
    target: Target, network: nn.Module, split: Split, name: str, least: int, most: int, int8: bool
) -> dict[str, int]:
    from bench.compress.frequency.size import planned_bytes

    def too_large(total: int) -> bool:
        return planned_bytes(network, split(total), name, int8=int8) > target.amount

    smallest = planned_bytes(network, split(least), name, int8=int8)
    if smallest > target.amount:
        raise UsageError(
            f"{target.amount:,.0f} bytes are too few for this network: with a single coefficient in each of its "
            f"{least} weight tensors, its biases and norms make {smallest:,}",
            f"Ask for {smallest:,}B or more.",
        )
    # Each further coefficient takes two bytes at least, or one.
    most = min(most, least + (int(target.amount) - smallest) // (1 if int8 else 2))
    end = least + bisect.bisect_left(range(least, most + 1), True, key=too_large)
    # Tensors that keep equally many share a line of the file, so a larger total can take fewer bytes.
    further = range(min(end + least, most), end - 1, -1)
    return split(next((total for total in further if not too_large(total)), end - 1))
