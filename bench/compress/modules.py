"""Compression of any module in Python, by every method alike, without files or a plan."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn

from bench import compress as methods
from bench.cache import Cache
from bench.compress.learner import Data, Learner, Stage
from bench.compress.method import Request, Size
from bench.compress.result import restored
from bench.compress.training import Images
from bench.errors import UsageError
from bench.networks.network import Network, checked
from bench.records import Task, Tensor


class Smaller(NamedTuple):
    """`module` computes what `package` says, in evaluation and in the first of the method's forms that it can have;
    `size` is how much it keeps."""

    module: nn.Module
    package: bytes
    size: Size


def compressed(
    module: nn.Module,
    method: str,
    shapes: Sequence[tuple[int, ...]],
    *,
    request: Request | None = None,
    data: Images | None = None,
    stage: Stage = lambda title: lambda done, words: None,
) -> Smaller:
    """A trained `module` made smaller by a method, or a chain of two (`prune,int8`); it is left as it is.

    `shapes` are those of its inputs, float32 and without the batch. `request` says how far and with how much effort; by
    default the weights are compressed as they are, to the method's own target. `data` are what it is tuned and
    calibrated with: inputs (N, *shape) and their answers, classes or values.

    Raises UnknownName, UsageError and CorruptData as `bench compress` does.
    """
    member, asked = methods.method(method), request or Request(one_shot=True)
    inputs = checked(Tensor(name=f"in{number}", shape=tuple(shape)) for number, shape in enumerate(shapes))
    own = copy.deepcopy(module).cpu().eval()
    network = Network(
        "network", type(module).__name__, inputs, _task(data), build=lambda: copy.deepcopy(own), trained=True
    )
    member.check(asked)
    with tempfile.TemporaryDirectory() as folder:
        learnt = None if data is None else Data(data, data, "the given samples", "given")
        package = member.compress(Learner(network, Cache(Path(folder)), stage, learnt), asked)
    _, made = restored(member, network, package)
    return Smaller(made, package, member.size(network, package))


def _task(data: Images | None) -> Task:
    """What the answers are of. Raises UsageError where they do not go with the inputs."""
    if data is None:
        return "other"
    if len(data.inputs) != len(data.answers) or not len(data):
        raise UsageError(
            f"{len(data.inputs):,} inputs have {len(data.answers):,} answers", "Give one answer for each input."
        )
    if data.answers.dtype.kind == "f":
        return "reconstruction"
    return "classification" if data.answers.ndim == 1 else "segmentation"
