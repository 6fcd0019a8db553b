"""From the name of a network to files that a phone can run: samples, training, export and its proof, all cached.

The only importer of models, data, compress and export together. torch and they are imported only when something has
to be made: a second run reads a few files and is instant.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from bench.cache import Cache, content_key, sha256_file
from bench.compress.frequency import package
from bench.errors import UnknownName, UsageError
from bench.networks import Network, resolve
from bench.plan import Case
from bench.records import Artifact, ArtifactFile, Execution, Progress

if TYPE_CHECKING:
    from torch import nn

    from bench.export.artifact import RunNative
    from bench.export.cost import Shape
    from bench.exporting import Explained

VARIANTS: Mapping[str, Execution] = {
    "baseline": "stock",
    "fr-dense": "dense",
    "fr-factored": "factored",
    "fr-resident": "resident",
    "fr-auto": "resident",
}
UNTRAINED = "untrained: speed and fidelity only"
SEED = 1
_HERE = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Prepared:
    """One network, ready to be measured.

    `artifacts` in the order of the case's variants; `samples` the packed test inputs; `labels` their classes (N,), or
    those of their pixels (N, H, W), where there are any; `references` what torch computes for them, (N, …) float32 per
    variant; `source` where they come from.
    """

    artifacts: tuple[Artifact, ...]
    samples: Path
    labels: NDArray[np.int64] | None
    references: Mapping[str, NDArray[np.float32]]
    source: str


def prepare(case: Case, cache: Cache, run_native: RunNative, progress: Progress) -> Prepared:
    """Everything that `case` needs, made or found in the cache.

    Raises UnknownName (model, variant), UsageError (size, coefficients, weights), CorruptData (weights),
    ExportRefused, ToolMissing, and what `run_native` raises.
    """
    spec = resolve(case.model, input_size=case.input_size)
    for variant in case.variants:
        if variant not in VARIANTS:
            raise UnknownName.of("variant", variant, VARIANTS)
    total = case.coefficients or spec.coefficients or 1
    weights = weights_of(spec, case)
    samples = _samples(spec, cache)
    folders: dict[str, Path] = {}
    for number, variant in enumerate(case.variants):

        def part(done: float, words: str, number: int = number, variant: str = variant) -> None:
            progress((number + done) / len(case.variants), f"{variant}: {words}")

        folders[variant] = _variant(_Job(spec, variant, total, weights, samples), cache, run_native, part)
    progress(1.0, "ready")
    labels = samples / "labels.npy"
    return Prepared(
        tuple(_artifact(folder) for folder in folders.values()),
        samples / "samples.bin",
        np.load(labels) if labels.is_file() else None,
        {variant: np.load(folder / "reference.npy") for variant, folder in folders.items()},
        (samples / "source.txt").read_text(encoding="utf-8"),
    )


def weights_of(spec: Network, case: Case) -> Path | None:
    """The package that the FR variants have their weights of: the case's own, or the one that comes with bench where
    it has as many coefficients as are asked for. None where they have to be trained.

    Raises UsageError and CorruptData for a package that is not there, damaged, or of another network.
    """
    if case.weights is not None and case.coefficients is not None:
        raise UsageError(
            f"{case.model} is given both weights and a number of coefficients", "Leave one out; a package has its own."
        )
    path = case.weights or spec.package
    if path is None:
        return None
    found = read_package(path)
    if case.weights is None and found.coefficients != (case.coefficients or spec.coefficients):
        return None
    if found.name != spec.name:
        raise UsageError(f"{path} is a package of {found.name}, not of {spec.name}", f"Measure it as {found.name}.")
    return path


@dataclass(frozen=True)
class _Job:
    """One variant to make.

    `total` counts FR coefficients; `weights` is the package that has them, if any; `samples` is the folder of the test
    samples.
    """

    spec: Network
    variant: str
    total: int
    weights: Path | None
    samples: Path

    @property
    def is_fr(self) -> bool:
        return self.variant != "baseline"

    @property
    def package(self) -> Path | None:
        """What has the weights of this very variant."""
        return self.weights if self.is_fr else None

    @property
    def trained(self) -> bool:
        return self.spec.learns or self.package is not None or (self.spec.trained and not self.is_fr)

    @property
    def shape(self) -> Shape:
        return _image(self.spec)

    @property
    def network_key(self) -> str:
        """Of everything that determines the network's weights."""
        kept = sha256_file(self.package) if self.package else str(self.total) if self.is_fr else ""
        sources = (*self.spec.sources, *_sources("networks", "data", "compress", "prepare.py"))
        return content_key(self.spec.name, kept, str(SEED), metadata.version("torch"), *sources)

    @property
    def export_key(self) -> str:
        """Of everything that determines the exported graph and package, which the FR variants share."""
        versions = (metadata.version("pnnx"), repr(self.spec.inputs))
        sources = _sources("export", "exporting.py", "records.py")
        return content_key(self.network_key, self.samples.name, *versions, *sources)

    @property
    def key(self) -> str:
        """Of everything that determines the variant's files."""
        return content_key(self.export_key, self.variant)


def _image(spec: Network) -> Shape:
    channels, height, width = spec.shape
    return channels, height, width


def _sources(*names: str) -> list[Path]:
    """The program's own files of these names, folders whole."""
    found = ([path] if path.is_file() else sorted(path.rglob("*.py")) for path in (_HERE / name for name in names))
    return [path for group in found for path in group]


def _samples(spec: Network, cache: Cache) -> Path:
    """The folder with the network's test samples: samples.bin, labels.npy where there are labels, source.txt."""

    def make(folder: Path) -> None:
        from bench import data
        from bench.data import packed

        chosen = data.samples(spec.data or "photos", _image(spec))
        packed.write(folder / "samples.bin", chosen.inputs)
        if chosen.labels is not None:
            np.save(folder / "labels.npy", chosen.labels)
        (folder / "source.txt").write_text(chosen.source, encoding="utf-8")

    return cache.build("samples", content_key(spec.data or "", repr(spec.shape), *_sources("data")), make)


def _artifact(folder: Path) -> Artifact:
    stored = Artifact.model_validate_json((folder / "artifact.json").read_bytes())
    files = tuple(file.model_copy(update={"path": folder / file.path}) for file in stored.files)
    return stored.model_copy(update={"files": files})


def _variant(job: _Job, cache: Cache, run_native: RunNative, progress: Progress) -> Path:
    """The folder of a variant: its files, reference.npy and artifact.json (paths within the folder)."""

    def make(folder: Path) -> None:
        from bench.data import packed
        from bench.export import artifact

        with _one_thread():
            inputs = packed.read(job.samples / "samples.bin")
            network = _network(job, inputs, cache, progress)
            progress(0.8, "export")
            if job.is_fr:
                weights, coefficients = _export_fr(job, network, folder, cache)
            else:
                artifact.export_ordinary(network, job.shape, folder)
                weights, coefficients = "weights.bin", None
            progress(0.9, "compare with torch")
            reference = artifact.reference(folder / "network.pt", inputs)
            weights_format: Literal["ncnn", "frq"] = "frq" if job.is_fr else "ncnn"
            execution = VARIANTS[job.variant]
            files = {"graph": folder / "graph.param", "weights": folder / weights}
            verified = artifact.verify(run_native, files, (weights_format, execution), inputs, reference)
        np.save(folder / "reference.npy", reference)
        record = Artifact(
            model=job.spec.name,
            variant=job.variant,
            files=(
                _file(folder / "graph.param", "graph"),
                _file(folder / weights, "weights"),
                _file(folder / "network.pt", "torchscript"),
            ),
            weights_format=weights_format,
            execution=execution,
            input_shape=job.shape,
            output_shape=reference.shape[1:],
            task=job.spec.task,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            coefficients=coefficients,
            trained=job.trained,
            notes=() if job.trained else (UNTRAINED,),
            verified_max_abs_delta=verified.max_abs_delta,
            verified_max_abs_reference=verified.max_abs_reference,
            tolerance=verified.tolerance,
        )
        (folder / "artifact.json").write_text(record.model_dump_json(indent=1), encoding="utf-8")

    return cache.build("artifacts", job.key, make)


def _file(path: Path, role: Literal["graph", "weights", "torchscript"]) -> ArtifactFile:
    return ArtifactFile(role=role, path=Path(path.name), sha256=sha256_file(path), bytes=path.stat().st_size)


def _export_fr(job: _Job, network: nn.Module, folder: Path, cache: Cache) -> tuple[str, int]:
    """Graph, TorchScript and weights.frq of a compressed network; returns the latter's name and its coefficients.

    All FR variants are of one export.
    """
    from bench import exporting
    from bench.export import graph

    def make(shared: Path) -> None:
        exporting.export_fr(job.spec.name, network, job.shape, shared)

    shared = cache.build("exports", job.export_key, make)
    exported = exporting.read(shared)
    shutil.copyfile(shared / "weights.frq", folder / "weights.frq")
    execution = VARIANTS[job.variant]
    if execution == "resident":
        chosen = exporting.rewrite(exported, job.shape, "cheapest" if job.variant == "fr-auto" else "all")
        graph.write(chosen.graph, folder / "graph.param")
    else:
        shutil.copyfile(shared / "graph.param", folder / "graph.param")
    exporting.trace_fr(network, job.shape, execution, folder / "network.pt")
    return "weights.frq", exported.package.coefficients


def _network(job: _Job, inputs: NDArray[np.float32], cache: Cache, progress: Progress) -> nn.Module:
    """The network of a variant: from its package, else trained where it can be, else seeded; FR layers compressed."""
    import torch

    from bench.compress.frequency import layers, train
    from bench.networks.settle import settle

    network = (job.spec.learner or job.spec.build)(SEED) if job.is_fr else job.spec.build(SEED)
    if job.package:
        return _restored(job.spec, job.package)
    if job.spec.trained and not job.is_fr:
        return network
    if not job.spec.learns:
        if job.is_fr:
            layers.compress(network, train.targets(network, job.total))
            train.seed_coefficients(network, SEED, train.ENERGY)
            layers.round_to_half(network)
        settle(network, torch.from_numpy(inputs[:1]))
        return network.eval()

    def make(folder: Path) -> None:
        from bench.compress import training
        from bench.data import digits

        def share(done: float, words: str) -> None:
            progress(0.8 * done, words)

        data = digits.load()
        samples = training.Images(data.train_inputs, data.train_labels)
        learner = copy.deepcopy(network)
        if job.is_fr:
            train.train(learner, samples, train.targets(learner, job.total), train.recipe(SEED), share)
        else:
            training.fit(learner, samples, training.recipe(SEED), share)
        torch.save(learner.state_dict(), folder / "state.pt")

    folder = cache.build("networks", job.network_key, make)
    if job.is_fr:
        layers.compress(network, train.targets(network, job.total))
    network.load_state_dict(torch.load(folder / "state.pt", weights_only=True))
    return network.eval()


def explained(path: Path, input_size: tuple[int, int] | None, progress: Progress) -> tuple[Explained, ...]:
    """How each layer of the network in a package runs in the fr-auto variant, and why, at a height and width.

    Raises UsageError, UnknownName, CorruptData (the package), ToolMissing, ExportRefused.
    """
    from bench import exporting

    found = read_package(path)
    spec = resolve(found.name, input_size=input_size)
    progress(0.1, "export")
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        exporting.export_fr(spec.name, _restored(spec, path), _image(spec), Path(folder))
        progress(0.9, "compare costs")
        return exporting.explain(exporting.read(Path(folder)), _image(spec))


def read_package(path: Path) -> package.Package:
    """The package in that file. Raises UsageError when there is none, CorruptData when it is damaged."""
    try:
        return package.read(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "Name a .frq package.") from None


def _restored(spec: Network, path: Path) -> nn.Module:
    """The network in that package, in the form in which it was compressed: the one of FR, or else the ordinary one."""
    from bench.compress.frequency.restore import restored

    found = read_package(path)
    try:
        return restored((spec.learner or spec.build)(), found).eval()
    except UsageError:
        return restored(spec.build(), found).eval()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: sums come out the same on every machine, and small layers do not wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
