"""The opponent of every compression: a network of the same family, only smaller, trained like the large one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bench.compress.method import Alters, Narrowed, Ordinary, Request, Size, module_of
from bench.compress.target import Target
from bench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.checkpoint import Checkpoint
    from bench.compress.dense_small.structure import Widths
    from bench.compress.learner import Learner
    from bench.networks import Network
    from bench.records import Progress

_FORMS = "Say it as a ratio (20x), a number of parameters (20000) or the bytes of the whole package (16kB)."


class DenseSmall(Ordinary):
    """All groups of channels that can only go together are made narrower by one factor, and that network is trained
    from the start. A package holds the widths and, in float16, all parameters, batch norms folded (package.py).

    Its targets are those of FR: with `20x` its parameters in float16 take a twentieth of what those of the ordinary
    network take in float32; biases count on both sides.
    """

    name = "dense-small"
    title = "a small dense network"
    alters: Alters = "structure"
    float16 = True

    def check(self, request: Request) -> None:
        if request.target is not None:
            _parsed(request.target)
        if request.budget != "uniform":
            raise UsageError(
                f"dense-small shares its target by one scale for all layers, but the budget {request.budget} was asked",
                "Leave the budget out.",
            )
        if request.fine_tune or (request.one_shot and not request.seeded):
            raise UsageError(
                "dense-small trains a smaller network from the start and keeps nothing of trained weights",
                "Leave --one-shot and --fine-tune out and name --data (in a plan: effort = { one_shot = false }).",
            )

    def compress(self, learner: Learner, request: Request) -> bytes:
        self.check(request)
        network = learner.network
        ordinary = module_of(network, self)
        if request.target is None:
            raise UsageError(f"{network.name} needs a target: how small it is to be", _FORMS)
        if learner.data is None and not request.seeded:
            raise UsageError(f"there is no data to train {network.name} with", "Add --data FOLDER.")
        widths = _widths(network, ordinary, _parsed(request.target))
        return _seeded(network, request, widths) if learner.data is None else _trained(learner, request, widths)

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress.dense_small.package import read

        module_of(network, self)
        return read(network, package)

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress.tensors import is_weight

        made = self.restored(network, package, self.executions[0])
        kept = {name: weight.numel() for name, weight in made.named_parameters() if is_weight(weight)}
        return dataclasses.replace(super().size(network, package), kept=kept)


def _parsed(text: str) -> Target:
    return Target.parse(text, _FORMS)


def _widths(network: Network, ordinary: nn.Module, target: Target) -> Widths:
    """Of the widest network of the family that is within the target. Raises UsageError."""
    from bench.compress.dense_small import package, scaling, structure
    from bench.networks.count import examples

    found = structure.sites(ordinary)
    groups = scaling.groups(ordinary, examples(network.inputs), network.name)
    folded = package.folded(network, ordinary)
    parameters = sum(parameter.numel() for parameter in ordinary.parameters())
    most = int(2 * parameters / target.amount if target.kind == "ratio" else target.amount)
    unit = "bytes" if target.kind == "bytes" else "parameters"

    def amount(kept: scaling.Kept) -> int:
        planned = package.planned(folded, scaling.widths(found, groups, kept), 2 * len(found))
        return planned[1] if unit == "bytes" else planned[0]

    whole = amount(tuple(group.channels for group in groups))
    if whole <= most:
        raise UsageError(
            f"{network.name} as it is has {whole:,} {unit} in float16, no more than the {most:,} of the target",
            "Ask for a smaller one, or measure it with the method half.",
        )
    kept = scaling.fitting(groups, lambda tried: amount(tried) <= most)
    if kept is None:
        least = amount(tuple(group.step for group in groups))
        raise UsageError(
            f"{network.name} cannot be scaled down to {most:,} {unit}: with the fewest channels that it works with, it "
            f"has {least:,}",
            f"Ask for {least:,}{'B' if unit == 'bytes' else ''} or more.",
        )
    return scaling.widths(found, groups, kept)


def _seeded(network: Network, request: Request, widths: Widths) -> bytes:
    """Seeded weights, with which it computes as much as a trained network and answers nothing."""
    from bench.compress.dense_small import package, structure
    from bench.compress.dense_small.recipe import initial
    from bench.networks.count import examples
    from bench.networks.settle import settle

    made = structure.resized(initial(network, request.seed), widths)
    settle(made, *examples(network.inputs, request.seed))
    return package.write(network, widths, made)


def _trained(learner: Learner, request: Request, widths: Widths) -> bytes:
    from bench.compress import training, tuning
    from bench.compress.dense_small import package, structure
    from bench.compress.dense_small.recipe import initial, recipe
    from bench.compress.learner import with_epochs

    network = learner.network
    made = structure.resized(initial(network, request.seed), widths)
    parts = with_epochs(recipe(request.seed, network.task), request.epochs)
    learnt = tuning.lesson(learner, request)

    def make(checkpoint: Checkpoint, progress: Progress, file: Path) -> None:
        training.fit(
            made, learnt.train, parts, progress,
            teacher=learnt.teacher, matching=learnt.matching, test=learnt.test, checkpoint=checkpoint,
        )  # fmt: skip
        file.write_bytes(package.write(network, widths, made.eval()))

    total = sum(parameter.numel() for parameter in made.parameters())
    title = f"train a small {network.name} with {total:,} parameters"
    key = ("dense-small", repr(widths), repr(parts), repr(network.trained), *learnt.key)
    return learner.learned(request, title, "network.safetensors", key, make).read_bytes()


METHOD = DenseSmall()
