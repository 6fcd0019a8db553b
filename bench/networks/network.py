"""What there is to know of a network without building it. Importing this module does not import torch."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench import plan
from bench.errors import UsageError
from bench.guest import guest
from bench.preprocess import Preprocess
from bench.records import Task, Tensor

if TYPE_CHECKING:
    from torch import nn

SEED = 1
"""Of initial weights, unless another is asked for."""
MAX_VALUES = 2**28
"""The most values that one input may have: a gibibyte of float32."""


@dataclass(frozen=True)
class Seeded:
    """A function that builds a network, as `Network` calls it: the same seed gives the same initial weights."""

    make: Callable[[], nn.Module]

    def __call__(self, seed: int = SEED) -> nn.Module:
        """The network in evaluation mode. Raises UsageError when `make` returns something else, and CorruptData for
        weights that are not finite."""
        from torch import nn

        from bench.networks.weights import check_finite

        with _random_from(seed), guest():
            module = self.make()
        if not isinstance(module, nn.Module):
            raise UsageError(
                f"a network's function returned a {type(module).__name__}, not a torch.nn.Module",
                "Let it return the module itself.",
            )
        check_finite(module, "the network")
        return module.eval() if module.training else module


@contextmanager
def _random_from(seed: int) -> Iterator[None]:
    """Whatever draws random numbers draws those of the seed: torch, NumPy and Python, which go on as before
    afterwards."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@dataclass(frozen=True)
class Network:
    """A network and all that is needed to measure it.

    `name` labels it in results. `inputs` are those of one sample, without the batch axis; `smallest` is the least
    height and width that an image network takes, None when its size is fixed. `build` makes the module in evaluation
    mode from a seed (default 1), with initial weights or loaded ones. `sources` is everything that determines what
    `build` returns, for cache keys: files, text or bytes.

    `trained` says that `build` gives weights that were learnt: without them answers mean nothing, and only speed, size
    and fidelity are measured. `learns` says that bench trains the network on `data` before it measures it.

    `data` is the kind of built-in samples that it is shown: "digits", "vehicles", "photos", "enlarged", None for
    random values; `preprocess` is how a picture becomes its input. `coefficients` is how many coefficients Frequency
    Regularization keeps unless a plan says otherwise; `learner` makes the form that FR trains where that is not the
    ordinary one, `twin` a narrower network through which the learner's coefficients are learnt. `packages` are finished
    packages with the weights of compressed variants, by the target that each stands for; "" is the one that `--weights`
    names.

    `graph` is a file that is measured as it is (an ncnn `.param`, its `.bin` beside it, or `.onnx`): there is no torch
    module then, and `build` raises UsageError.
    """

    name: str
    title: str
    inputs: tuple[Tensor, ...]
    task: Task
    build: Callable[..., nn.Module]
    sources: tuple[Path | str | bytes, ...] = ()
    trained: bool = False
    learns: bool = False
    data: Literal["digits", "vehicles", "photos", "enlarged"] | None = None
    preprocess: Preprocess | None = None
    smallest: int | None = None
    coefficients: int | None = None
    learner: Callable[..., nn.Module] | None = None
    twin: Callable[..., nn.Module] | None = None
    packages: Mapping[str, Path] = field(default_factory=dict)
    graph: Path | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for form in ("build", "learner", "twin"):
            make = getattr(self, form)
            if make is not None and not isinstance(make, Seeded):
                object.__setattr__(self, form, Seeded(make))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input."""
        return self.inputs[0].shape

    def package_for(self, target: str | None) -> Path | None:
        """The finished package of that target; without one, of the network's own."""
        own = str(self.coefficients) if self.coefficients is not None else ""
        return (self.packages.get("") if target in (None, own) else None) or self.packages.get(target or own)

    def sized(self, input_size: tuple[int, int]) -> Network:
        """The same network for images of that height and width. Raises UsageError when it does not take them."""
        height, width = input_size
        if len(self.inputs) != 1 or len(self.shape) != 3:
            raise UsageError(
                f"{self.name} does not take one image, so a height and a width do not say its input",
                "Give its whole shape with --input.",
            )
        channels, own_height, own_width = self.shape
        if input_size == (own_height, own_width):
            return self
        if self.smallest is None:
            raise UsageError(
                f"{self.name} takes {own_height}×{own_width} pixels, not {height}×{width}",
                "Leave the input size out for this network.",
            )
        if min(height, width) < self.smallest:
            raise UsageError(
                f"{height}×{width} pixels is too small for {self.name}",
                f"Ask for at least {self.smallest}×{self.smallest}.",
            )
        resized = self.inputs[0].model_copy(update={"shape": (channels, height, width)})
        return replace(self, inputs=(resized,))


def checked(inputs: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The inputs. Raises UsageError for shapes that no input has."""
    inputs = tuple(inputs)
    for tensor in inputs:
        if not 1 <= len(tensor.shape) <= 4 or min(tensor.shape) < 1 or math.prod(tensor.shape) > MAX_VALUES:
            raise UsageError(
                f"an input cannot have the shape {'×'.join(map(str, tensor.shape)) or '()'}",
                f"Give 1 to 4 numbers from 1, {MAX_VALUES:,} values at most, without the batch: e.g. 3x224x224.",
            )
    return inputs


def parse_inputs(text: str) -> tuple[Tensor, ...]:
    """Inputs as `--input` has them: `3x224x224`, several separated by commas, whole numbers as `int32:128`.

    Raises UsageError.
    """
    try:
        return checked(plan.inputs_of(text))
    except ValueError:  # pydantic's own errors are such too
        raise UsageError(
            f"{text[:80]!r} is not the shape of an input",
            "Write e.g. 3x224x224 (channels, height, width), 1x16000, or int32:128; several with commas.",
        ) from None
