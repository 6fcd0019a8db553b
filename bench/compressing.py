"""From the name of a network to its `.frq` package: data, a training that can be interrupted, and what came of it."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.cache import Cache, content_key, sha256_file
from bench.errors import UnknownName, UsageError
from bench.networks import Network, resolve
from bench.networks.count import counts
from bench.records import Progress

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.checkpoint import Checkpoint
    from bench.compress.frequency.budget import Split
    from bench.compress.training import Recipe, Samples

BUDGETS = ("uniform", "energy", "sensitivity")
UNTRAINED = "No --weights were given: these are seeded ones, and what the network answers means nothing."
_HERE = Path(__file__).parent
_SMALL_MACS = 20_000_000
"""Layers of a network with fewer than so many multiply-adds only wait for each other on several threads, as those of a
twin do."""
_TRIED = 256
"""Training samples over which `sensitivity` measures."""

Stage = Callable[[str], Progress]
"""Is told the name of what begins, and gives the progress of it."""


@dataclass(frozen=True)
class Request:
    """What to compress, and how. `target` is what `Target.parse` reads.

    `one_shot`: take the trained network (`weights`, a state dict of the ordinary network; without, it is trained first
    where there is data) and truncate it, then train on for `fine_tune` epochs. Otherwise it is trained by FR from the
    seed, for `epochs` (the recipe's own when None). `data` is a folder that a reader knows; without, it is what bench
    has. `fresh` leaves aside what an earlier run has reached.
    """

    model: str
    target: str
    seed: int = 1
    epochs: int | None = None
    budget: str = "uniform"
    one_shot: bool = False
    fine_tune: int = 0
    weights: Path | None = None
    data: Path | None = None
    fresh: bool = False


@dataclass(frozen=True)
class Compressed:
    """A network that was compressed.

    `package` is the `.frq` file. `kept` counts the coefficients of each weight, `parameters` those of the ordinary
    network. `float32_bytes` and `float16_bytes` are the ordinary network's in the same container. `accuracy` is that of
    the network read back from the package, over `tested` samples of `source`: top-1, or mean Dice of maps; None without
    data. `accuracy_before` is the ordinary network's.
    """

    model: str
    package: bytes
    kept: Mapping[str, int]
    parameters: int
    float32_bytes: int
    float16_bytes: int
    accuracy: float | None
    accuracy_before: float | None
    tested: int
    source: str
    notes: tuple[str, ...] = ()

    @property
    def coefficients(self) -> int:
        return sum(self.kept.values())

    @property
    def parameter_ratio(self) -> float:
        """Parameters of the ordinary network for each coefficient that is kept."""
        return self.parameters / self.coefficients

    @property
    def published_ratio(self) -> float:
        """As the publication counts, a float16 coefficient is half a parameter, and biases are none."""
        return 2 * self.parameter_ratio

    @property
    def byte_ratio(self) -> float:
        """File to file, float32 against the package, all that the network needs on both sides."""
        return self.float32_bytes / len(self.package)

    def as_json(self) -> dict[str, Any]:
        told = ("model", "parameters", "float32_bytes", "float16_bytes", "accuracy", "accuracy_before", "tested")
        ratios = ("coefficients", "parameter_ratio", "published_ratio", "byte_ratio")
        return {
            **{name: getattr(self, name) for name in (*told, *ratios)},
            "bytes": len(self.package),
            "kept": dict(self.kept),
            "source": self.source,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class _Data:
    train: Samples
    test: Samples
    source: str
    key: str


def compress(request: Request, cache: Cache, stage: Stage) -> Compressed:
    """The network that `request` asks for, compressed: from the cache when it was made before, else made now.

    A training that was interrupted goes on where it was. Raises UnknownName (model, budget), UsageError (target,
    options that do not go together, data that does not suit), CorruptData (data, weights, checkpoint).
    """
    spec = resolve(request.model)
    _check(request)
    data = _data(spec, request.data, stage)
    with _threads(spec, cache):
        return (_one_shot if request.one_shot else _trained)(_Job(request, spec, data, cache, stage))


def _check(request: Request) -> None:
    if request.budget not in BUDGETS:
        raise UnknownName.of("budget", request.budget, BUDGETS)
    if not request.one_shot:
        for given, option in ((request.weights, "--weights"), (request.fine_tune, "--fine-tune")):
            if given:
                raise UsageError(f"{option} is for a network that is trained already", "Give --one-shot with it.")
    elif request.epochs is not None:
        raise UsageError(
            "--epochs is for training from the start, which --one-shot does not do",
            "Give --fine-tune with the number of epochs after the truncation.",
        )


def _data(spec: Network, folder: Path | None, stage: Stage) -> _Data | None:
    """What the network learns from; None where neither the user nor bench has any."""
    from bench.compress.training import Images

    if folder is not None:
        from bench import data

        stage(f"read {folder}")
        found = data.load(folder)
        if (found.task, found.train.shape) != (spec.task, spec.shape):
            raise UsageError(
                f"{folder} is for {found.task} of {'×'.join(map(str, found.train.shape))} values, and {spec.name} does "
                f"{spec.task} of {'×'.join(map(str, spec.shape))}",
                "Name a folder with data for this network.",
            )
        first = found.train.read(np.arange(min(16, len(found.train))))
        key = content_key(found.name, str(len(found.train)), *(np.ascontiguousarray(part).tobytes() for part in first))
        return _Data(found.train, found.test, found.source, key)
    if spec.data == "vehicles":
        from bench.data import vehicles

        return _Data(vehicles.to_train_on(), vehicles.to_test_on(), "200 drawn vehicles at 96×144", "vehicles")
    if not spec.learns:
        return None
    from bench.data import digits

    stage("read the digits")
    own = digits.load()
    train, test = Images(own.train_inputs, own.train_labels), Images(own.test_inputs, own.test_labels)
    return _Data(train, test, digits.SOURCE, "digits")


@contextmanager
def _threads(spec: Network, cache: Cache) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    counted = counts(spec, cache)
    if spec.twin or (counted and counted.macs < _SMALL_MACS):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, eq=False)
class _Job:
    request: Request
    spec: Network
    data: _Data | None
    cache: Cache
    stage: Stage

    def network(self) -> nn.Module:
        """The ordinary network with the initial weights of the request's seed."""
        return self.spec.build(self.request.seed)

    def learner(self) -> nn.Module:
        """The form of it that FR trains."""
        return (self.spec.learner or self.spec.build)(self.request.seed)

    def needed(self) -> _Data:
        """The data. Raises UsageError where there is none."""
        if self.data is None:
            raise UsageError(
                f"bench has no data to train {self.spec.name} with",
                "Give --data FOLDER, or compress trained weights as they are: --one-shot --weights FILE.",
            )
        return self.data

    def learned(
        self, title: str, file: str, parts: tuple[str, ...], make: Callable[[Checkpoint, Progress, Path], None]
    ) -> Path:
        """The `file` that `make` writes at the end of a training which `parts` determine, from the cache or made."""
        from bench.compress.checkpoint import Checkpoint
        from bench.compress.training import best_device

        sources = [path for room in ("networks", "data", "compress") for path in sorted((_HERE / room).rglob("*.py"))]
        common = (self.spec.name, self.needed().key, metadata.version("torch"), best_device().type)
        key = content_key(*common, str(self.request.seed), *parts, *sources)
        checkpoint = Checkpoint(self.cache.path("checkpoints", f"{key}.pt"))
        if self.request.fresh:
            checkpoint.remove()
            shutil.rmtree(self.cache.path("networks", key), ignore_errors=True)

        def build(folder: Path) -> None:
            again = ", from where it was interrupted (--fresh begins anew)" if checkpoint.path.is_file() else ""
            make(checkpoint, self.stage(title + again), folder / file)

        folder = self.cache.build("networks", key, build)
        checkpoint.remove()
        return folder / file

    def split(self, network: nn.Module) -> Split:
        """The request's budget, by the weights of a trained `network`, compressed or not."""
        from bench.compress.frequency import budget, sensitivity
        from bench.compress.training import Images, mean_loss

        if self.request.budget != "sensitivity":
            return budget.budget(self.request.budget, network)
        some = Images(*self.needed().train.read(np.arange(min(_TRIED, len(self.needed().train)))))
        self.stage("measure which coefficients the network misses least")
        return sensitivity.sensitivity(network, lambda plain: mean_loss(plain, some))


def _ordinary(job: _Job) -> nn.Module:
    """The ordinary network, trained without compression."""
    import torch

    from bench.compress import training

    network, data = job.network(), job.needed()
    recipe = training.recipe(job.request.seed)
    recipe = _with_epochs(recipe, min(recipe.epochs, job.request.epochs or recipe.epochs))

    def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
        training.fit(network, data.train, recipe, progress, test=data.test, checkpoint=checkpoint)
        torch.save(network.state_dict(), file)

    title = f"train {job.spec.name}, not compressed"
    file = job.learned(title, "state.pt", ("ordinary", repr(recipe)), make)
    network.load_state_dict(torch.load(file, weights_only=True))
    return network.eval()


def _trained(job: _Job) -> Compressed:
    """By Frequency Regularization from the start."""
    from bench.compress import training
    from bench.compress.frequency import layers, norms
    from bench.compress.frequency.budget import budget
    from bench.compress.frequency.target import Target

    data, target = job.needed(), Target.parse(job.request.target)
    network = job.learner()
    layers.check(network)
    plain = norms.folded(network)

    def shared(split: Split) -> dict[str, int]:
        return target.kept(
            plain, split, name=job.spec.name, parameters=sum(p.numel() for p in job.network().parameters())
        )

    kept = shared(budget("uniform", plain))
    # What learns through a twin is too large to be trained whole, only to be a teacher.
    teacher = None if job.spec.twin else _ordinary(job)
    if job.request.budget != "uniform":
        kept = shared(job.split(_guide(job, kept, teacher)))
    made = _regularized(job, kept, teacher)
    return _result(job, made, job.learner(), training.accuracy(teacher, data.test) if teacher else None)


def _guide(job: _Job, kept: Mapping[str, int], teacher: nn.Module | None) -> nn.Module:
    """The network trained with several times as many coefficients as are asked for, equally many each: what its layers
    can do without shows there. What an ordinary network needs says little about it."""
    from bench.compress.frequency import budget, package, restore, train

    most = budget.sizes(job.learner())
    more = {name: min(most[name], train.HEADROOM * few) for name, few in kept.items()}
    return restore.restored(job.learner(), package.read(_regularized(job, more, teacher))).eval()


def _regularized(job: _Job, kept: Mapping[str, int], teacher: nn.Module | None) -> bytes:
    """The package of the network, trained with `kept` coefficients."""
    from bench.compress.frequency import train

    network, data = job.learner(), job.needed()
    own = train.recipe_of_maps if job.spec.task == "segmentation" else train.recipe
    recipe = _with_epochs(own(job.request.seed), job.request.epochs)

    def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
        train.train(
            network, data.train, kept, recipe, progress,
            twin=job.spec.twin() if job.spec.twin else None, teacher=teacher, test=data.test, checkpoint=checkpoint,
        )  # fmt: skip
        file.write_bytes(_packed(job, network))

    title = f"train {job.spec.name} with {sum(kept.values()):,} coefficients"
    return job.learned(title, "network.frq", ("frequency", repr(kept), repr(recipe)), make).read_bytes()


def _one_shot(job: _Job) -> Compressed:
    """By truncation of a trained network, and fine-tuning where that is asked for."""
    from bench.compress import training
    from bench.compress.frequency import layers, norms, train
    from bench.compress.frequency.target import Target
    from bench.networks.weights import load

    request, target = job.request, Target.parse(job.request.target)
    weights = ""
    notes: tuple[str, ...] = ()
    if request.weights:
        network = job.network()
        notes = (f"{request.weights.name}: {load(network, request.weights)}",)
        weights = sha256_file(request.weights)
    elif job.data and (job.spec.learns or request.data):
        network = _ordinary(job)
    else:
        network, notes = job.network().eval(), (UNTRAINED,)
    layers.check(network)
    before = training.accuracy(network, job.data.test) if job.data else None
    teacher = copy.deepcopy(network)
    kept = target.kept(norms.folded(network), job.split(network), name=job.spec.name)
    layers.compress(network, kept)
    if not request.fine_tune:
        layers.round_to_half(network)
        return _result(job, _packed(job, network), job.network(), before, notes)
    data = job.needed()
    recipe = _with_epochs(train.recipe_of_fine_tuning(request.seed), request.fine_tune)

    def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
        train.fine_tune(network, data.train, recipe, progress, teacher=teacher, test=data.test, checkpoint=checkpoint)
        file.write_bytes(_packed(job, network))

    title = f"train {job.spec.name} on with {sum(kept.values()):,} coefficients"
    file = job.learned(title, "network.frq", ("fine-tune", weights, repr(kept), repr(recipe)), make)
    return _result(job, file.read_bytes(), job.network(), before, notes)


def _with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    return recipe if epochs is None else replace(recipe, epochs=epochs)


def _packed(job: _Job, network: nn.Module) -> bytes:
    """The package of a compressed network, its batch norms as two numbers a channel."""
    from bench.compress.frequency import layers, norms, package

    return package.write(layers.shipped(job.spec.name, norms.folded(network)))


def _result(job: _Job, data: bytes, plain: nn.Module, before: float | None, notes: tuple[str, ...] = ()) -> Compressed:
    """What is to be told of a package: all from its bytes."""
    from bench.compress import training
    from bench.compress.frequency import layers, norms, package, restore, size

    ordinary = job.network()
    whole = size.count(norms.folded(ordinary), job.spec.name)
    network = restore.restored(plain, package.read(data)).eval()
    return Compressed(
        model=job.spec.name,
        package=data,
        kept={name: site.frequency.kept for name, site in layers.sites(network).items() if site.compressed},
        parameters=sum(parameter.numel() for parameter in ordinary.parameters()),
        float32_bytes=whole.ordinary_bytes,
        float16_bytes=whole.bytes,
        accuracy=training.accuracy(network, job.data.test) if job.data else None,
        accuracy_before=before,
        tested=len(job.data.test) if job.data else 0,
        source=job.data.source if job.data else "",
        notes=notes,
    )


def write(compressed: Compressed, file: Path) -> None:
    """The package as `file`, whole or not at all. Raises UsageError where it cannot be written."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(compressed.package)
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{file} cannot be written: {error.strerror}", "Give --output another place.") from None
