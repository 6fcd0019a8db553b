"""What a method gets: a network, what it can learn from, and trainings that are made once and can be interrupted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.cache import Cache, content_key
from bench.compress.method import Request
from bench.errors import UsageError
from bench.networks import Network
from bench.networks.count import counts, examples
from bench.records import Progress

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.checkpoint import Checkpoint
    from bench.compress.training import Recipe, Samples

_SMALL_MACS = 20_000_000
"""With fewer multiply-adds than this, as a twin has, several threads mostly wait for each other."""

AGAIN_EPOCHS, AGAIN_RATE = 5, 5e-4
"""Of a network that is trained and learns from added pictures too: it is not to forget the rest."""
ORDINARY = "ordinary"
"""The first part of the key of a training that is not a method's."""
_TOLD = "training.json"

Stage = Callable[[str], Progress]
"""Called with the name of a stage; returns what to call with its progress."""

Make = Callable[["Checkpoint", Progress, Path], None]
"""Writes a file at the end of a training."""


@dataclass(frozen=True, eq=False)
class Data:
    """What a network learns from and is tested on. `key` changes with either; `source` is for a reader. Unless it is
    `labelled`, no answers are known: nothing is scored, and only another network's answers can be learnt. `validation`
    is what neither trains nor tests, where something was held out."""

    train: Samples
    test: Samples
    source: str
    key: str
    labelled: bool = True
    added: FromField | None = None
    validation: Samples | None = None


class FromField(NamedTuple):
    """Pictures from where the network is at work: those `learnt`, which are among `Data.train`, and those held `apart`,
    which nothing learns from. `without` is the data without any of them."""

    learnt: Samples
    apart: Samples
    source: str
    notes: tuple[str, ...]
    without: Data


@dataclass(frozen=True)
class Training:
    """One that a package rests on: of the `ordinary` network or by a method, `epochs` over `pictures`; `seconds` are
    those of its first time, whether or not it is now from the cache, and `now_s` those spent on it this time."""

    ordinary: bool
    epochs: int
    pictures: int
    seconds: float
    now_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Learner:
    """A network that is to be compressed; `data` is None where there is nothing to train it with. `trainings` grows by
    each that was asked for."""

    network: Network
    cache: Cache
    stage: Stage
    data: Data | None = None
    trainings: list[Training] = field(default_factory=list)

    @property
    def trainable(self) -> bool:
        """Whether the ordinary network can be trained here: what learns through a twin is too large for that."""
        return self.data is not None and self.data.labelled and self.network.twin is None

    @property
    def trained(self) -> bool:
        """Whether the answers of `ordinary` mean something: its weights are trained already, or are now."""
        return self.network.trained or self.trainable

    def needed(self) -> Data:
        """The data. Raises UsageError where there is none, and for a network with several inputs."""
        if len(self.network.inputs) != 1:
            raise UsageError(
                f"{self.network.name} has {len(self.network.inputs)} inputs, and bench trains networks with one",
                "Compress trained weights as they are: --one-shot --weights FILE.",
            )
        if self.data is None:
            raise UsageError(
                f"there is no data to train {self.network.name} with",
                "Add --data FOLDER, or compress trained weights as they are: --one-shot --weights FILE.",
            )
        return self.data

    def ordinary(self, request: Request) -> nn.Module:
        """The ordinary network in evaluation mode: as it was trained before, else trained now by the request's seed and
        at most its epochs, else, where it is not `trainable`, with its initial weights and settled norms. Where
        pictures were added to the data, it is then trained on with them, for AGAIN_EPOCHS or the request's epochs if
        these are fewer."""
        import torch

        from bench.compress import training
        from bench.networks.settle import settle

        network = self.network.build(request.seed)
        if not self.trained:
            settle(network, *examples(self.network.inputs))
        more = self.data.added if self.data and self.trainable else None
        if more is None and (self.network.trained or not self.trainable):
            return network
        data, recipe = self.needed(), training.recipe(request.seed, self.network.task)
        if more is not None:
            network = replace(self, data=more.without).ordinary(request)
            recipe = replace(recipe, rate=AGAIN_RATE, epochs=AGAIN_EPOCHS)
        recipe = with_epochs(recipe, min(recipe.epochs, request.epochs or recipe.epochs))

        def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
            training.fit(network, data.train, recipe, progress, test=data.test, checkpoint=checkpoint)
            torch.save(network.state_dict(), file)

        title = f"train {self.network.name}{' on, with the added pictures' if more else ''}, not compressed"
        parts = (ORDINARY, repr(recipe), more.without.key) if more else (ORDINARY, repr(recipe))
        file = self.learned(request, title, "state.pt", parts, make)
        network.load_state_dict(torch.load(file, weights_only=True))
        return network.eval()

    def learned(self, request: Request, title: str, file: str, parts: tuple[str, ...], make: Make) -> Path:
        """The `file` that `make` writes at the end of a training which `parts`, the network and the data determine:
        from the cache, or made now under that title. A training that was interrupted goes on where it was."""
        from bench.compress.checkpoint import Checkpoint
        from bench.compress.training import best_device

        own = sorted(Path(__file__).parent.rglob("*.py"))
        common = (self.network.name, self.needed().key, metadata.version("torch"), best_device().type)
        key = content_key(*common, str(request.seed), *parts, *self.network.sources, *own)
        checkpoint = Checkpoint(self.cache.path("checkpoints", f"{key}.pt"))
        if request.fresh:
            checkpoint.remove()
            shutil.rmtree(self.cache.path("networks", key), ignore_errors=True)

        def build(folder: Path) -> None:
            again = ", from where it was interrupted (--fresh starts over)" if checkpoint.path.is_file() else ""
            with self._threads():
                make(checkpoint, self.stage(title + again), folder / file)
            ordinary = parts[:1] == (ORDINARY,)
            told = Training(ordinary, checkpoint.epochs, checkpoint.pictures, checkpoint.seconds)
            (folder / _TOLD).write_text(json.dumps(asdict(told)), encoding="utf-8")

        begun = time.monotonic()
        folder = self.cache.build("networks", key, build)
        told = Training(**json.loads((folder / _TOLD).read_bytes()))
        self.trainings.append(replace(told, now_s=time.monotonic() - begun))
        checkpoint.remove()
        return folder / file

    @contextmanager
    def _threads(self) -> Iterator[None]:
        import torch

        before, counted = torch.get_num_threads(), counts(self.network, self.cache)
        if self.network.twin or (counted and counted.macs < _SMALL_MACS):
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    """The recipe with another number of epochs where one is given."""
    return recipe if epochs is None else replace(recipe, epochs=epochs)
