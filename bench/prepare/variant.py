"""One variant of a network: its package, what torch computes with it, and its files for a runtime, each made once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench import compress, runtimes
from bench.cache import Cache, content_key, file_of, own_sources, sha256_file
from bench.compress.learner import Learner, Stage
from bench.compress.method import BY_DATA, Destination, Exported, Method, Narrowed, Request, Sight, begun
from bench.compress.result import unlabelled
from bench.confidence import Calibration
from bench.errors import ExportRefused
from bench.export.answers import Answers
from bench.networks import content
from bench.networks.network import Network
from bench.networks.own import task_of
from bench.plan import Case, Variant
from bench.prepare import fitting
from bench.prepare.compression import learner_of
from bench.prepare.download import with_downloads
from bench.prepare.making import made
from bench.prepare.samples import Samples, data_key, to_learn
from bench.records import Artifact, ArtifactFile, Made, Task, Tensor, Verified
from bench.runtimes.runtime import Shown
from bench.width import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


RunHere = Callable[[Artifact, ArtifactFile, int], tuple[NDArray[np.float32], ...]]
"""Runs an artifact on this host: the packed samples and how many they are → per output an array (N, *shape)."""
UNTRAINED = "untrained: speed and fidelity only"
ORDINARY = "stock"
"""The form in which a runtime executes a network that no method has changed."""


@dataclass(frozen=True, eq=False)
class Job:
    """One variant of a case to make. Everything that it gives is cached by the content of what it is made of."""

    network: Network
    case: Case
    variant: Variant
    runtimes: Sequence[str]
    shown: Samples
    cache: Cache
    run_here: RunHere
    stage: Stage

    @cached_property
    def method(self) -> Method | None:
        return compress.method(self.variant.method) if self.variant.method else None

    @property
    def execution(self) -> str:
        return self.variant.execution or ORDINARY

    @cached_property
    def given(self) -> Path | None:
        """A finished package with this variant's weights: the plan's, or the one that comes with the network where its
        target is asked for."""
        if self.method is None:
            return None
        own = self.network.package_for(self.variant.target)
        return self.variant.weights or (own if own is not None and made_by(self.method, own) else None)

    @cached_property
    def begun(self) -> Path | None:
        """The finished package of another method from which this variant's is made."""
        return begun(self.method, self.network, self.request) if self.method and self.given is None else None

    @cached_property
    def request(self) -> Request:
        """What is asked of the method; where files of a size are, with the target that gives these."""
        asked, method, shipped = request_of(self.variant, self.network), self.method, self.variant.shipped
        if method is None or shipped is None or self.given is not None:
            return asked
        runtime = runtimes.runtime(self.runtimes[-1])
        key = content_key(
            *self.network.sources, self.variant.method or "", self.execution, str(shipped), runtime.key(),
            repr(self.network.inputs), repr(asked), metadata.version("torch"),
            *own_sources("networks", "compress", "export", "prepare"),
        )  # fmt: skip

        def found() -> int:
            progress = self.stage(f"fit {self.case.label}, {self.variant.label} to {shipped:,} bytes")
            samples = tuple(array[:2] for array in self.shown.read())
            learner = learner_of(self.network, None, self.cache, self.stage, needs_data=False)

            def tried(most: int) -> fitting.Sizes:
                progress(0.5, f"{most:,} bytes of weights")
                return fitting.sizes(
                    learner, method, self.execution, runtime, samples, replace(asked, target=f"{most}B")
                )

            with one_thread():
                return fitting.target(shipped, tried)

        return replace(asked, target=f"{fitting.kept(self.cache, key, found)}B")

    @property
    def trained(self) -> bool:
        """Whether its answers mean something."""
        learns = self.method is not None and not self.request.one_shot and self.case.data is not None
        finished = self.given or self.begun
        return self.network.trained or self.network.learns or finished is not None or learns

    @cached_property
    def weights_key(self) -> str:
        """Of everything that determines the variant's weights, which all its forms share."""
        made = sha256_file(self.given) if self.given else repr(self.request) if self.method else ""
        data = data_key(self.network, self.case.data) if self.network.learns or self.method else ""
        made += sha256_file(self.begun) if self.begun else ""
        sources = own_sources("networks", "compress", "prepare")
        name = self.variant.method or ""
        return content_key(*self.network.sources, name, made, data, metadata.version("torch"), *sources)

    @property
    def key(self) -> str:
        """Of everything that determines what the variant computes."""
        width = self.narrowed.plan if self.narrowed else ""
        return content_key(self.weights_key, self.execution, repr(self.network.inputs), width)

    @property
    def shared_key(self) -> str:
        """Of what all forms and widths of the variant share."""
        return content_key(self.weights_key, repr(self.network.inputs))

    @cached_property
    def narrowed(self) -> Narrowed | None:
        """How the variant is computed at its width; None for the whole network. Raises what the method raises."""
        method, package, width = self.method, self.package(), self.variant.width
        if method is None or package is None or width is None or is_whole(width):
            return None
        key = content_key(
            self.shared_key, self.execution, json.dumps(width), self.shown.key, *own_sources("export", "width.py")
        )

        def make(folder: Path) -> None:
            sight = Sight(self.network.inputs, self.shown.read(), self.cache, self.shared_key)
            progress = self.stage(f"narrow {self.case.label}, {self.variant.label}")
            with one_thread():
                found = method.narrowed(self.network, package, self.execution, width, sight)
            (folder / "narrowed.json").write_text(json.dumps(asdict(found)), encoding="utf-8")
            progress(1.0, "ready")

        return Narrowed(**json.loads((self.cache.build("widths", key, make) / "narrowed.json").read_bytes()))

    def package(self) -> bytes | None:
        """The package of the variant's weights; None for the ordinary network. Raises what the method raises."""
        if self.given is not None:
            return self.given.read_bytes()
        return (self._made / "package").read_bytes() if self.method else None

    @property
    def made(self) -> Made | None:
        """How the package was made; of a finished one what the plan says. Raises what the method raises."""
        if self.method is None or self.given is not None:
            return self.variant.made
        how = Made.model_validate_json((self._made / "made.json").read_bytes())
        return how.model_copy(update={"shipped": self.variant.shipped})

    @property
    def _made(self) -> Path:
        """The folder of the package that is made here."""
        name, method = self.variant.method, self.method
        assert name is not None
        assert method is not None

        def make(folder: Path) -> None:
            package, how = made(name, method, self._learner(), self.request)
            (folder / "package").write_bytes(package)
            (folder / "made.json").write_text(how.model_dump_json(), encoding="utf-8")

        return self.cache.build("packages", self.weights_key, make)

    def module(self) -> nn.Module:
        """The eager network, which is what every runtime's answers are compared with."""
        if self.method is None:
            return self._learner().ordinary(self.request)
        package = self.package()
        assert package is not None
        if self.narrowed is None:
            return self.method.restored(self.network, package, self.execution)
        return self.method.restored(self.network, package, self.execution, self.narrowed)

    def reference(self, shown: Samples | None = None) -> Answers:
        """What the eager network answers to the samples, or to others that are `shown` to the very same network."""
        samples = shown or self.shown
        make = partial(self._reference, samples)
        folder = self.cache.build("references", content_key(self.key, samples.key), make)
        about = json.loads((folder / "about.json").read_bytes())
        outputs = tuple(Tensor.model_validate(tensor) for tensor in about["outputs"])
        values = tuple(np.load(folder / f"{tensor.name}.npy") for tensor in outputs)
        doubts = tuple(np.load(folder / f"{tensor.name}-doubt.npy") for tensor in outputs) if about["doubts"] else ()
        return Answers(outputs, tuple(about["places"]), values, doubts)

    def _reference(self, shown: Samples, folder: Path) -> None:
        from bench.export import eager, steps

        if self.network.graph is not None:
            found = self._answers_of(self.network.graph, shown)
        else:
            with one_thread():
                module, samples = self.module(), shown.read()
                found = eager.answers(module, samples)
                found = replace(found, doubts=steps.doubt(module, samples, found))
        for tensor, values in zip(found.outputs, found.values, strict=True):
            np.save(folder / f"{tensor.name}.npy", values)
        for tensor, doubt in zip(found.outputs, found.doubts, strict=False):
            np.save(folder / f"{tensor.name}-doubt.npy", doubt)
        about = {
            "outputs": [tensor.model_dump() for tensor in found.outputs],
            "places": list(found.places),
            "doubts": bool(found.doubts),
        }
        (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")

    def _answers_of(self, ready: Path, shown: Samples) -> Answers:
        """What a ready graph answers: an ONNX file by ONNX's own evaluator; a graph of a runtime, by that runtime here,
        since nothing else knows what it means."""
        from bench.export import given

        if content.kind(ready) == "onnx":
            return given.onnx_answers(ready, shown.read())
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files, outputs = runtimes.runtime(self.runtimes[0]).export_given(ready, self.network.inputs, folder)
            unknown = tuple(Tensor(name=output, shape=(0,)) for output in outputs)
            draft = _record(self, self.runtimes[0], Exported(files, "runtime", ORDINARY), unknown, folder, "other")
            found = self.run_here(draft, shown.file, len(shown.read()[0]))
        known = tuple(Tensor(name=t.name, shape=v.shape[1:]) for t, v in zip(unknown, found, strict=True))
        return Answers(known, outputs, tuple(found))

    @property
    def validated_by(self) -> str:
        """Changes with the validation part; empty where there is none, or where the network answers with no classes."""
        asked = self.case.data
        if asked is None or asked.validation is None or self.network.graph or self.network.task != "classification":
            return ""
        return data_key(self.network, asked)

    def calibration(self) -> Calibration | None:
        """The temperature of the variant's confidence, where a validation part was held out. Raises UsageError."""
        if not self.validated_by or not self.trained:
            return None
        from bench.compress import calibrating

        key = content_key(self.key, self.validated_by, *own_sources("confidence.py", "compress/calibrating.py"))

        def make(folder: Path) -> None:
            found = to_learn(self.network, self.case.data)
            assert found is not None
            assert found.validation is not None
            progress = self.stage(f"calibrate {self.case.label}, {self.variant.label}")
            with one_thread():
                made = calibrating.calibration(calibrating.told(self.module(), found.validation, self.network.name))
            (folder / "calibration.json").write_text(made.model_dump_json(), encoding="utf-8")
            progress(1.0, f"temperature {made.temperatures[0]:.3g}")

        folder = self.cache.build("calibrations", key, make)
        return Calibration.model_validate_json((folder / "calibration.json").read_bytes())

    def task(self) -> Task:
        """What the network does; of a ready graph, what its answers look like."""
        if self.network.graph is None:
            return self.network.task
        return task_of(self.network.inputs, self.reference().outputs)

    def unlabelled(self) -> tuple[str, ...]:
        """What is to be told of a variant that bench made without labels."""
        if self.method is None or self.given is not None or self.request.labels:
            return ()
        return unlabelled(self.request, self.network, self._learner().data)

    def _learner(self) -> Learner:
        request = self.request
        looks = request.fine_tune > 0 or request.budget in BY_DATA or getattr(self.method, "calibrates", False)
        needs_data = self.network.learns or not request.one_shot or looks
        return learner_of(
            self.network, self.case.data, self.cache, self.stage, needs_data=needs_data, labels=request.labels
        )


def made_by(method: Method, package: Path) -> bool:
    """Whether a file is a package of that method, by its content."""
    return f".{content.kind(package)}" == method.suffix


def request_of(variant: Variant, network: Network) -> Request:
    """What a variant asks of its method. Where the plan leaves it open, networks that bench has a training for are
    trained, and others are compressed as they are."""
    effort = variant.effort
    one_shot = effort.one_shot if effort.one_shot is not None else not network.learns
    return Request(
        target=variant.target, seed=effort.seed, epochs=effort.epochs, budget=effort.budget, one_shot=one_shot,
        fine_tune=effort.fine_tune, seeded=not (network.trained or network.learns), labels=effort.labels,
    )  # fmt: skip


def artifact(job: Job, runtime_name: str) -> Artifact:
    """The variant's files for a runtime, compared on this host with the eager network.

    Raises ExportRefused, ToolMissing, UsageError, CorruptData, and what `job.run_here` raises.
    """
    runtime = runtimes.runtime(runtime_name)
    # By its name too: two runtimes may load the same files, and each has to be proved.
    key = content_key(
        job.key, job.shown.key, runtime.name, runtime.key(), job.validated_by,
        *own_sources("export", "records.py", "confidence.py"),
    )  # fmt: skip

    def make(folder: Path) -> None:
        from bench.export import proof, steps

        title = f"export {job.case.label}, {job.variant.label} for {runtime.name}"
        progress = job.stage(title)
        expected = job.reference()
        shown = Shown(job.shown.read(), expected)
        with one_thread():
            made = _named(job, _exported(job, runtime_name, shown, folder), shown, folder)
        if made.calibration is None:
            made = replace(made, calibration=job.calibration())
        progress(0.7, "compare with torch")
        if told := steps.loose(job.network.name, expected):
            made = replace(made, notes=(*made.notes, told))
        draft = _record(job, runtime_name, made, expected.outputs, folder, job.task())
        verified: tuple[Verified, ...] = ()
        if not runtime.reference:
            found = job.run_here(draft, job.shown.file, len(expected.values[0]))
            verified = proof.compare(expected, found, draft.runtime)
        stored = draft.model_copy(update={"verified": verified, "files": made.files})
        (folder / "artifact.json").write_text(stored.model_dump_json(indent=1), encoding="utf-8")
        progress(1.0, "ready")

    folder = job.cache.build("artifacts", key, make)
    stored = Artifact.model_validate_json((folder / "artifact.json").read_bytes())
    # The same files serve whatever the plan calls them.
    labels = {"model": job.case.label, "variant": job.variant.label, "made": job.made}
    found = stored.model_copy(update=labels | {"files": _at(stored.files, folder)})
    # The reference runtime stands for the network as its author runs it, and what that reads is sent to nobody.
    return found if runtime.reference else with_downloads(found, job.cache, job.stage)


def _exported(job: Job, runtime_name: str, shown: Shown, folder: Path) -> Exported:
    runtime = runtimes.runtime(runtime_name)
    if job.network.graph is not None:
        files, _ = runtime.export_given(job.network.graph, job.network.inputs, folder)
        return Exported(files, "runtime", ORDINARY)
    if job.method is None:
        files = runtime.export(job.module(), job.network.inputs, shown, folder)
        return Exported(files, "runtime", ORDINARY)
    package = job.package()
    assert package is not None
    to = Destination(runtime, job.network.inputs, shown, folder, job.cache, job.shared_key)
    if job.narrowed is None:
        return job.method.export(job.network, package, job.execution, to)
    return job.method.export(job.network, package, job.execution, to, job.narrowed)


def _named(job: Job, made: Exported, shown: Shown, folder: Path) -> Exported:
    """With a file that says where each layer is in the author's network, where that can be told."""
    graph = next((folder / file.path.name for file in made.files if file.role == "graph"), None)
    if graph is None or job.network.graph is not None:
        return made
    from bench.export import modules

    path = folder / "modules.json"
    with suppress(ExportRefused):
        modules.write(job.network.build(), job.network.inputs, shown.samples, graph, path)
        return replace(made, files=(*made.files, file_of(path, "modules")))
    return made


def _record(
    job: Job, runtime_name: str, made: Exported, outputs: Sequence[Tensor], folder: Path, task: Task
) -> Artifact:
    from bench.networks.count import counts

    runtime = runtimes.runtime(runtime_name)
    network = job.network
    counted = counts(network, job.cache)
    kept = None
    if job.method is not None and (package := job.package()) is not None:
        kept = sum(job.method.size(network, package).kept.values())
        kept = job.narrowed.kept if job.narrowed and job.narrowed.kept is not None else kept
    return Artifact(
        model=job.case.label,
        variant=job.variant.label,
        runtime=runtime.name,
        ordinary=job.method is None,
        files=_at(made.files, folder),
        deployed=(*runtime.deployed, *made.roles),
        options=dict(made.options),
        calibration=made.calibration,
        cascade=made.cascade,
        weights_format=made.weights_format,
        execution=made.execution,
        inputs=network.inputs,
        outputs=tuple(outputs),
        task=task,
        parameters=counted.parameters if counted else None,
        macs=counted.macs if counted else None,
        coefficients=kept,
        trained=job.trained,
        side_step=_side_step(made, network.inputs, folder),
        width=job.narrowed.told if job.narrowed else None,
        notes=(*network.notes, *(() if job.trained else (UNTRAINED,)), *job.unlabelled(), *made.notes),
        precision=compress.precision(job.variant.method, job.execution, runtime),
    )


def _side_step(made: Exported, inputs: Sequence[Tensor], folder: Path) -> int | None:
    """By how much sides may differ from those of `inputs`; None unless the files are a graph that leaves them open."""
    from bench.export import graph, sizes

    for file in _at(made.files, folder):
        if content.kind(file.path) == "ncnn":
            return sizes.step(graph.parse(file.path.read_text(encoding="utf-8")), inputs)
    return None


def _at(files: Sequence[ArtifactFile], folder: Path) -> tuple[ArtifactFile, ...]:
    """The files, their paths in `folder`."""
    return tuple(file.model_copy(update={"path": folder / file.path}) for file in files)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: sums come out the same on every machine, and small layers do not wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
