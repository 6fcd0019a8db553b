"""A cascade as a method: a small network answers, and the ordinary one is asked where the small one is not sure."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.compress.cascade import target
from bench.compress.cascade.package import Package, read, write
from bench.compress.method import (
    Alters,
    Destination,
    Exported,
    Intended,
    Method,
    Narrowed,
    Ordinary,
    Request,
    Size,
    module_of,
)
from bench.errors import BenchError, ExportRefused, UsageError
from bench.runtimes.runtime import NO_FILE, Shown

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.cascade.target import Asked
    from bench.compress.learner import Learner
    from bench.networks import Network
    from bench.records import ArtifactFile

_RECORDED = 64
"""Samples with which each of both networks is recorded; the cascade is then compared on all of them."""


class CascadeMethod(Ordinary):
    """The small network is this one made smaller by another method (`bench.compress.cascade.target`), from the same
    data and with the same effort; the ordinary network is as trained. The threshold is the lowest that keeps the
    accuracy asked for on the validation part, which neither of both was trained on, at the temperature that fits the
    small one there.
    """

    name = "cascade"
    title = "a cascade"
    suffix = ".cascade"
    alone = "a cascade has two networks itself"
    alters: Alters = "both"
    calibrates = True

    def check(self, request: Request) -> None:
        asked = target.parsed(request.target or target.DEFAULT)
        _inner(_method(asked), asked, request)

    def check_intended(self, intended: Intended) -> None:
        """See `Method`; the small network's refusals too."""
        if not intended.held_out:
            raise _none_held_out(intended.network)
        asked = target.parsed(intended.request.target or target.DEFAULT)
        method = _method(asked)
        if own := getattr(method, "check_intended", None):
            inner = _inner(method, asked, intended.request)
            own(replace(intended, request=inner, execution=method.executions[0], width=None))

    def default_target(self, network: Network) -> str | None:
        return target.DEFAULT

    def compress(self, learner: Learner, request: Request) -> bytes:
        import numpy as np

        from bench.compress import calibrating, tensors
        from bench.confidence import Cascade, chances

        asked = target.parsed(request.target or target.DEFAULT)
        network, method = learner.network, _method(asked)
        module_of(network, self)
        data = learner.needed()
        if data.validation is None:
            raise _none_held_out(network)
        if not learner.trained:
            raise UsageError(
                f"a cascade of {network.name} needs its trained weights", "Name them (--weights FILE), or let it learn."
            )
        robust = learner.ordinary(request)
        small = method.compress(learner, _inner(method, asked, request))
        progress = learner.stage(f"choose the threshold of {network.name}")
        first = calibrating.told(_restored(method, network, small), data.validation, f"{network.name}, {asked.small},")
        second = calibrating.told(robust, data.validation, network.name)
        cold, warm = calibrating.temperature(first), calibrating.temperature(second)
        sure = chances(first.scores, cold).max(axis=1)
        goal = asked.accuracy(float(second.right.mean()))
        threshold = calibrating.threshold(sure, first.right, second.right, goal)
        if threshold is None:
            raise UsageError(
                f"an accuracy of {goal:.2%} is out of reach: on the {len(sure):,} validation samples {network.name} "
                f"alone has {second.right.mean():.2%}",
                "Ask for less, e.g. -0.5pt: half a point less than it has.",
            )
        which = (sure < threshold).astype(np.int64)
        answers = calibrating.Told(np.where(which[:, None] == 1, second.scores, first.scores), first.labels)
        cascade = Cascade(
            small=asked.small, threshold=threshold, temperature=cold, goal=asked.goal, samples=len(sure),
            accuracy=(float(first.right.mean()), float(second.right.mean()), float(answers.right.mean())),
            asked=float(which.mean()),
        )  # fmt: skip
        calibration = calibrating.calibrated((cold, warm), which, answers)
        progress(1.0, f"{threshold:.3f}: asks for {cascade.asked:.0%} of the samples")
        return write(
            Package(cascade, calibration, asked.method, small, tensors.pack(tensors.lasting(robust), self.name))
        )

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        from bench.compress.cascade.module import Both

        found = read(package)
        small, robust = self._both(network, found)
        return Both(small, robust, found.cascade.threshold, found.cascade.temperature).eval()

    def size(self, network: Network, package: bytes) -> Size:
        from bench.compress import tensors

        found = read(package)
        small = self._small(found).size(network, found.small)
        robust = {name: one.numel() for name, one in tensors.unpack(found.robust).items() if tensors.is_weight(one)}
        kept = {f"small.{name}": count for name, count in small.kept.items()} | robust
        chosen = found.cascade
        told = (
            f"On {chosen.samples:,} validation samples {network.name} is asked for {chosen.asked:.1%}, where the "
            f"confidence of {chosen.small} is below {chosen.threshold:.3f}: both have {chosen.accuracy[2]:.2%} right, "
            f"the small one alone {chosen.accuracy[0]:.2%}, {network.name} alone {chosen.accuracy[1]:.2%}."
        )
        return replace(small, kept=kept, layers={}, notes=(*small.notes, told))

    def export(
        self, network: Network, package: bytes, execution: str, to: Destination, narrowed: Narrowed | None = None
    ) -> Exported:
        found = read(package)
        small, robust = self._both(network, found)
        half = bool(getattr(self._small(found), "float16", False))
        files = [*_written(robust, to, half=False)]
        own = dict(zip(to.runtime.roles, ("small_graph", "small_weights"), strict=True))
        added = []
        with tempfile.TemporaryDirectory(prefix="bench-cascade-") as name:
            for file in _written(small, replace(to, folder=Path(name)), half=half):
                if file.role not in to.runtime.deployed:
                    continue
                if file.role not in own or file.role == NO_FILE:
                    raise ExportRefused(
                        f"{to.runtime.title} needs a {file.role} too, of which a job names one, and a cascade has two",
                        "Ask for the cascade with runtime ncnn.",
                    )
                path = to.folder / f"small-{file.path.name}"
                path.write_bytes((Path(name) / file.path).read_bytes())
                added.append(file.model_copy(update={"role": own[file.role], "path": Path(path.name)}))
        options = {
            "threshold": f"{found.cascade.threshold:.9f}",
            "temperature": f"{found.cascade.temperature:.9f}",
            "cycle": "samples",
        }
        roles = tuple(file.role for file in added)
        return Exported(
            (*files, *added), "runtime", "stock", roles=roles, options=options, cascade=found.cascade,
            calibration=found.calibration,
        )  # fmt: skip

    def _both(self, network: Network, found: Package) -> tuple[nn.Module, nn.Module]:
        from bench.compress import tensors

        robust = module_of(network, self)
        tensors.load(robust, tensors.unpack(found.robust))
        return _restored(self._small(found), network, found.small), robust.eval()

    def _small(self, found: Package) -> Method:
        return _method(target.Asked(found.method, None, ""))


def _none_held_out(network: Network) -> UsageError:
    return UsageError(
        f"a cascade of {network.name} chooses its threshold on samples that trained nothing and test nothing, and none "
        "are held out",
        "Hold out a part of the training data: --validation 0.2 (in a plan: data = { validation = 0.2, … }).",
    )


def _method(asked: Asked) -> Method:
    """The small network's method. Raises UnknownName, and UsageError for one that stands alone."""
    from bench import compress

    method = compress.method(asked.method)
    if why := getattr(method, "alone", ""):
        raise UsageError(f"{asked.method} cannot be the small network of a cascade: {why}", target.FORMS)
    return method


def _inner(method: Method, asked: Asked, request: Request) -> Request:
    """What is asked of the small network's method. One that trains from the start alone does that, though the ordinary
    network comes with its weights. Raises what the method refuses."""
    inner = replace(request, target=asked.target)
    if inner.one_shot and not inner.fine_tune:
        try:
            method.check(inner)
        except BenchError:
            inner = replace(inner, one_shot=False)
    method.check(inner)
    return inner


def _restored(method: Method, network: Network, package: bytes) -> nn.Module:
    return method.restored(network, package, method.executions[0]).eval()


def _written(module: nn.Module, to: Destination, *, half: bool) -> tuple[ArtifactFile, ...]:
    """The files of one of both networks. It is recorded with some of the samples."""
    from bench.export import eager

    some = tuple(array[:_RECORDED] for array in to.samples.samples)
    return to.runtime.export(module, to.inputs, Shown(some, eager.answers(module, some)), to.folder, half=half)


METHOD = CascadeMethod()
