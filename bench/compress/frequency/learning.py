"""From a network to its `.frq` package: trained with few coefficients from the start, or truncated and trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor, from_numpy, nn

from bench.compress import training, tuning
from bench.compress.checkpoint import Checkpoint
from bench.compress.frequency import budget, layers, nesting, norms, package, restore, sensitivity, train
from bench.compress.frequency.budget import Split
from bench.compress.frequency.int8 import quantize
from bench.compress.frequency.target import kept
from bench.compress.learner import Learner, with_epochs
from bench.compress.method import Request
from bench.compress.target import Target
from bench.errors import UsageError
from bench.networks.count import examples
from bench.networks.settle import settle
from bench.records import Progress

_TRIED = 256
"""Training samples over which `sensitivity` measures, and of which norms take their statistics."""
_VALUES = 2**22
"""Of inputs that a network is shown at once."""


def compress(learner: Learner, request: Request, target: Target, *, int8: bool = False, nested: bool = False) -> bytes:
    """The package of the learner's network, with coefficients in float16 or in 8 bits where that pays, or `nested`: in
    all capacities of `nesting`; see `Method.compress`."""
    job = _Job(learner, request, target, int8, nested)
    if request.seeded and learner.data is None and not learner.network.trained:
        return _seeded(job)
    return _one_shot(job) if request.one_shot else _trained(job)


def rounded(learner: Learner, finished: Path) -> bytes:
    """The finished package, whose coefficients are float16, with them in 8 bits where that pays. Raises UsageError for
    the package of another network and where 8 bits save nothing, CorruptData for a damaged one."""
    network, read = learner.network, package.read(finished.read_bytes())
    learner.stage(f"round the coefficients of {finished.name} to 8 bits")(1.0, "ready")
    made = restore.of_either_form(network, network.build(), read)
    quantize(made, lambda _: True)
    return package.write(layers.shipped(network.name, made))


@dataclass(frozen=True, eq=False)
class _Job:
    learner: Learner
    request: Request
    target: Target
    int8: bool
    nested: bool

    @property
    def name(self) -> str:
        return self.learner.network.name

    def untrained(self) -> nn.Module:
        """The form that FR trains, with its initial weights."""
        network = (self.learner.network.learner or self.learner.network.build)(self.request.seed)
        layers.check(network, self.name)
        return network

    def kept(self, network: nn.Module, split: Split) -> dict[str, int]:
        """What each weight of `network`, an ordinary one or the form that FR trains, keeps."""
        parameters = sum(parameter.numel() for parameter in self.learner.network.build().parameters())
        return kept(self.target, norms.folded(network), split, name=self.name, parameters=parameters, int8=self.int8)

    def split(self, network: nn.Module) -> Split:
        """The request's budget, by the weights of a trained `network`, compressed or not."""
        if self.request.budget != "sensitivity":
            return budget.budget(self.request.budget, network)
        if not self.request.labels:
            raise UsageError(
                "the budget sensitivity measures what the loss misses, which takes labels, and none are to be used",
                "Ask for the budget uniform or energy.",
            )
        train_on = self.learner.needed().train
        some = training.Images(*train_on.read(np.arange(min(_TRIED, len(train_on)))))
        self.learner.stage("measure which coefficients the network misses least")
        return sensitivity.sensitivity(network, lambda plain: training.mean_loss(plain, some))

    def packed(self, network: nn.Module, *, learnt: bool = False) -> bytes:
        """The package of a compressed network, its batch norms as two numbers a channel. One in several capacities that
        was `learnt` has learnt by what each batch made of its norms."""
        if self.nested:
            return package.write(nesting.packed(self.name, network, self._some() if learnt else None))
        folded = norms.folded(network)
        if self.int8:
            quantize(folded, self._fits)
        return package.write(layers.shipped(self.name, folded))

    def _some(self) -> Tensor:
        """Inputs of the training, as far as they fit in memory at once."""
        train_on = self.learner.needed().train
        sides = train_on.read(np.arange(1))[0].shape[1:]
        count = min(len(train_on), _TRIED, max(1, _VALUES // math.prod(sides)))
        return from_numpy(train_on.read(np.linspace(0, len(train_on) - 1, count).astype(np.int64))[0])

    def _fits(self, network: nn.Module) -> bool:
        """Whether a quantised network is within the target."""
        if self.target.kind == "bytes":
            return len(package.write(layers.shipped(self.name, network))) <= self.target.amount
        parameters = sum(parameter.numel() for parameter in self.learner.network.build().parameters())
        held = (site.frequency for site in layers.sites(network).values() if site.compressed)
        bytes_of_coefficients = sum(one.kept * (2 if one.scale is None else 1) for one in held)
        return self.target.kind != "ratio" or bytes_of_coefficients * self.target.amount <= 4 * parameters

    @property
    def key(self) -> tuple[str, ...]:
        """Of how numbers are stored; what is learnt depends on it."""
        if self.nested:
            return ("nested", str(nesting.CAPACITIES))
        return ("int8", repr(self.target)) if self.int8 else ()


def _trained(job: _Job) -> bytes:
    """By Frequency Regularization from the start."""
    job.learner.needed()
    network = job.untrained()
    kept = job.kept(network, budget.budget("uniform", norms.folded(network)))
    # What cannot be trained whole has no teacher, unless it came trained.
    learnt = tuning.lesson(job.learner, job.request)
    if job.request.budget != "uniform":
        kept = job.kept(network, job.split(_guide(job, kept, learnt)))
    return _regularized(job, kept, learnt)


def _guide(job: _Job, kept: Mapping[str, int], learnt: tuning.Lesson) -> nn.Module:
    """The network trained with several times as many coefficients as are asked for, equally many each: what its layers
    can do without shows there. What an ordinary network needs says little about it."""
    most = budget.sizes(job.untrained())
    more = {name: min(most[name], train.HEADROOM * few) for name, few in kept.items()}
    made = package.read(_regularized(replace(job, nested=False), more, learnt))
    return restore.restored(job.untrained(), made).eval()


def _regularized(job: _Job, kept: Mapping[str, int], learnt: tuning.Lesson) -> bytes:
    """The package of the network, trained with `kept` coefficients."""
    learner, network = job.learner, job.untrained()
    recipe = with_epochs(train.recipe(job.request.seed, learner.network.task), job.request.epochs)

    def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
        twin = learner.network.twin() if learner.network.twin else None
        train.train(
            network, learnt.train, kept, recipe, progress, twin=twin, int8=job.int8, nested=job.nested,
            teacher=learnt.teacher, matching=learnt.matching, test=learnt.test, checkpoint=checkpoint,
        )  # fmt: skip
        file.write_bytes(job.packed(network, learnt=True))

    title = f"train {job.name} with {sum(kept.values()):,} coefficients"
    parts = ("frequency", repr(kept), repr(recipe), repr(learner.network.trained), *learnt.key, *job.key)
    return learner.learned(job.request, title, "network.frq", parts, make).read_bytes()


def _one_shot(job: _Job) -> bytes:
    """By truncation of a trained network, and fine-tuning where that is asked for."""
    learner, request = job.learner, job.request
    network = learner.ordinary(request)
    layers.check(network, job.name)
    kept = job.kept(network, job.split(network))
    layers.compress(network, kept)
    if not request.fine_tune:
        if not job.int8:
            layers.round_to_half(network)
        return job.packed(network)
    learnt = tuning.lesson(learner, request)
    recipe = replace(train.recipe_of_fine_tuning(request.seed, learner.network.task), epochs=request.fine_tune)

    def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
        train.fine_tune(
            network, learnt.train, recipe, progress, int8=job.int8, nested=job.nested,
            teacher=learnt.teacher, matching=learnt.matching, test=learnt.test, checkpoint=checkpoint,
        )  # fmt: skip
        file.write_bytes(job.packed(network, learnt=True))

    title = f"train {job.name} on with {sum(kept.values()):,} coefficients"
    parts = ("fine-tune", repr(kept), repr(recipe), repr(learner.network.trained), *learnt.key, *job.key)
    return learner.learned(request, title, "network.frq", parts, make).read_bytes()


def _seeded(job: _Job) -> bytes:
    """Seeded coefficients, with which it computes as much as a trained network and answers nothing."""
    network = job.untrained()
    layers.compress(network, job.kept(network, budget.budget("uniform", norms.folded(network))))
    train.seed_coefficients(network, job.request.seed, train.ENERGY)
    layers.round_to_half(network)
    settle(network, *examples(job.learner.network.inputs, job.request.seed))
    return job.packed(network.eval())
