"""From the name of a network and a folder of data to what a method of compression works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.cache import Cache, content_key
from bench.compress.learner import Data, Learner, Stage
from bench.errors import CorruptData, UsageError
from bench.models import Form, ModelSpec, model

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@dataclass(frozen=True)
class _Input:
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Named:
    """A network of bench as a method sees it, with weights of the user's where there are any."""

    spec: ModelSpec
    weights: Path | None = None
    graph: Path | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def task(self) -> str:
        return self.spec.task

    @property
    def coefficients(self) -> int:
        return self.spec.coefficients

    @property
    def inputs(self) -> tuple[_Input, ...]:
        return (_Input(self.spec.input_shape),)

    @property
    def sources(self) -> tuple[Path | str | bytes, ...]:
        own = sorted((Path(__file__).parent / "models").rglob("*.py"))
        return (self.name, *own, *([self.weights] if self.weights else []))

    @property
    def build(self) -> Callable[[], nn.Module]:
        return self._build

    def _build(self) -> nn.Module:
        network = self.spec.build("ordinary").eval()
        return _loaded(network, self.weights) if self.weights else network

    @property
    def learner(self) -> Callable[[], nn.Module]:
        form: Form = "frequency"
        return lambda: self.spec.build(form)

    @property
    def twin(self) -> Callable[[], nn.Module] | None:
        return (lambda: self.spec.twin() or self.spec.build()) if self.spec.twin() else None


def learner(name: str, weights: Path | None, folder: Path | None, cache: Cache, stage: Stage) -> Learner:
    """The network of that name, with the state dict in `weights` and the data in `folder` where they are given; without
    a folder, with the data that bench has.

    Raises UnknownName, UsageError (data that does not suit) and CorruptData (data).
    """
    spec = model(name)
    return Learner(Named(spec, weights), cache, stage, _data(spec, folder, stage), learnt=weights is not None)


def _data(spec: ModelSpec, folder: Path | None, stage: Stage) -> Data | None:
    """What the network learns from; None where neither the user nor bench has any."""
    from bench.compress.training import Images

    if folder is not None:
        from bench import data

        stage(f"read {folder}")
        found = data.load(folder)
        if (found.task, found.train.shape) != (spec.task, spec.input_shape):
            raise UsageError(
                f"{folder} is for {found.task} of {'×'.join(map(str, found.train.shape))} values, and {spec.name} does "
                f"{spec.task} of {'×'.join(map(str, spec.input_shape))}",
                "Name a folder with data for this network.",
            )
        first = found.train.read(np.arange(min(16, len(found.train))))
        key = content_key(found.name, str(len(found.train)), *(np.ascontiguousarray(part).tobytes() for part in first))
        return Data(found.train, found.test, found.source, key)
    if spec.data == "vehicles":
        from bench.data import vehicles

        return Data(vehicles.to_train_on(), vehicles.to_test_on(), "200 drawn vehicles at 96×144", "vehicles")
    if not spec.trained:
        return None
    from bench.data import digits

    stage("read the digits")
    own = digits.load()
    train, test = Images(own.train_inputs, own.train_labels), Images(own.test_inputs, own.test_labels)
    return Data(train, test, digits.SOURCE, "digits")


def _loaded(network: nn.Module, file: Path) -> nn.Module:
    """`network` with the state dict in `file`. Raises UsageError (no such file, another network) and CorruptData."""
    import torch

    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", "Name the file of a state dict.") from None
    except Exception:  # of any kind: torch's reader walks over whatever the bytes say
        raise CorruptData(
            f"{file} is not a state dict", "Write it by torch.save(network.state_dict(), FILE)."
        ) from None
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        words = " ".join(str(error).split())
        raise UsageError(f"{file} is of another network: {words[:300]}", "Give this network's weights.") from None
    return network.eval()
