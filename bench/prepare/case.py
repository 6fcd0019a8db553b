"""A case of a plan, made ready: its samples, and each of its variants for each runtime that measures it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from bench.cache import Cache
from bench.compress.learner import Stage
from bench.corrupted import DriftRecord
from bench.errors import BenchError, HostFull, naming
from bench.networks.network import Network
from bench.plan import Case, Data, Protocol
from bench.prepare import drift
from bench.prepare import variant as one
from bench.prepare.drift import Drifted
from bench.prepare.samples import Samples, samples
from bench.prepare.variant import RunHere
from bench.records import Artifact, ArtifactFile, Expected, SamplesRecord, Trial


@dataclass(frozen=True, eq=False)
class Prepared:
    """One network, ready to be measured. `expected` is by variant: what the eager network answers to the samples.
    `absent` are optional variants that could not be made, each with the reason; `unmade`, by variant and runtime, files
    that are not there for one of several runtimes. `pictures` are the samples as they are in their files, for phones
    that are to preprocess them, by `instructions`; `picture_names` are those of the files."""

    artifacts: tuple[Artifact, ...]
    samples: ArtifactFile
    samples_record: SamplesRecord
    expected: Mapping[str, Expected]
    notes: tuple[str, ...]
    absent: Mapping[str, str] = field(default_factory=dict)
    unmade: Mapping[tuple[str, str], str] = field(default_factory=dict)
    pictures: ArtifactFile | None = None
    instructions: str = ""
    picture_names: tuple[str, ...] = ()
    drifted: tuple[Drifted, ...] = ()
    """Sets of corrupted samples, by the launch of the pass `drift`."""

    def shown(self, trial: Trial) -> tuple[ArtifactFile, Expected]:
        """The samples of a trial, and what is known of the right answers to them."""
        one = self.drifted[trial.launch] if trial.pass_ == "drift" else self
        return one.samples, one.expected[trial.subject.variant]

    def artifact(self, variant: str, runtime: str) -> Artifact:
        """Raises StopIteration for what was not prepared."""
        return next(a for a in self.artifacts if (a.variant, a.runtime) == (variant, runtime))

    def files(self, runtimes: Collection[str]) -> tuple[ArtifactFile, ...]:
        """What a device with these runtimes needs beside their programs."""
        shown = (self.samples,) if self.pictures is None else (self.samples, self.pictures)
        drifted = (one.samples for one in self.drifted)
        return (*shown, *drifted, *chain.from_iterable(a.needed for a in self.artifacts if a.runtime in runtimes))


def case(
    asked: Case,
    network: Network,
    runtimes: Mapping[str, Sequence[str]],
    cache: Cache,
    run_here: RunHere,
    stage: Stage,
    spared: Collection[str] = (),
    *,
    pictures: bool = False,
    protocol: Protocol | None = None,
) -> Prepared:
    """Everything that a case needs, made or found in the cache. `runtimes` are those of each variant, by its label; of
    those that are `spared`, some may be unable to execute it, if another one is not. With `pictures` phones are to
    preprocess the samples. The `protocol` says which of them are corrupted, and how.

    Raises UsageError (data, targets, weights), CorruptData, ExportRefused, ToolMissing, and what `run_here` raises.
    """
    with naming(asked.label):
        shown = samples(network, asked.data, cache)
        coded = shown.coded(cache) if pictures else None
        drifted = _drifted(asked, shown, protocol or Protocol(), cache, stage)
    artifacts: list[Artifact] = []
    expected: dict[str, Expected] = {}
    answered: list[dict[str, Expected]] = [{} for _ in drifted[1]]
    absent: dict[str, str] = {}
    unmade: dict[tuple[str, str], str] = {}
    for variant in asked.variants or ():
        job = one.Job(network, asked, variant, runtimes[variant.label], shown, cache, run_here, stage)
        try:
            with naming(f"{asked.label}, {variant.label}"):
                made, refused = _made(job, spared)
                answers = _expected(job, shown)
                if drifted[1]:
                    drift.refuse(asked.label, job.task(), shown.labels is not None)
                further = list(_further(job, drifted[1]))
        except BenchError as error:
            if not variant.optional or isinstance(error, HostFull):
                raise
            absent[variant.label] = error.what
            continue
        artifacts += made
        unmade |= {(variant.label, name): why for name, why in refused.items()}
        expected[variant.label] = answers
        for of_set, one_set in zip(answered, further, strict=True):
            of_set[variant.label] = one_set
    record = shown.record
    if artifacts and artifacts[0].task == "reconstruction":
        record = record.model_copy(update={"unaltered": _unaltered(shown)})
    if drifted[0]:
        record = record.model_copy(update={"drift": drifted[0]})
    how = shown.record.preprocess.instructions(network.shape) if coded and shown.record.preprocess else ""
    notes = (*network.notes, *_indifferent(asked.label, expected))
    names = tuple(path.name for path in shown.files)
    sets = tuple(Drifted(one.file, given) for one, given in zip(drifted[1], answered, strict=True))
    return Prepared(tuple(artifacts), shown.file, record, expected, notes, absent, unmade, coded, how, names, sets)


def _drifted(
    asked: Case, shown: Samples, protocol: Protocol, cache: Cache, stage: Stage
) -> tuple[DriftRecord | None, tuple[Samples, ...]]:
    if not protocol.drift:
        return None, ()
    severities, seed = drift.wanted(protocol.drift), asked.data.seed if asked.data else Data().seed
    return drift.sets(asked.label, shown, severities, protocol.drift_samples, seed, cache, stage)


def _made(job: one.Job, spared: Collection[str]) -> tuple[list[Artifact], dict[str, str]]:
    """The files of a variant for each of its runtimes, and why a spared one has none. Raises where all of these, or
    another, have none."""
    made: list[Artifact] = []
    refused: dict[str, BenchError] = {}
    for name in job.runtimes:
        try:
            made.append(one.artifact(job, name))
        except BenchError as error:
            if name not in spared or isinstance(error, HostFull):
                raise
            refused[name] = error
    if refused and not any(artifact.runtime in spared for artifact in made):
        raise next(iter(refused.values()))
    return made, {name: error.what for name, error in refused.items()}


_ALIKE = 1e-4
"""Answers to different samples that differ by less than this part of the largest are alike."""


def _indifferent(label: str, expected: Mapping[str, Expected]) -> tuple[str, ...]:
    """A sentence for variants whose answers hardly depend on the sample: another network might answer so, too."""
    alike = [
        variant
        for variant, one in expected.items()
        if all(
            len(values) > 1 and values.size and np.ptp(values, axis=0).max() <= _ALIKE * np.abs(values).max()
            for values in one.outputs
        )
    ]
    if not alike:
        return ()
    names = ", ".join(alike)
    return (
        f"{label} ({names}) answers every sample alike, so that its answers agree says little of whether it is the "
        "same network.",
    )


def _unaltered(shown: Samples) -> dict[str, tuple[float, ...]]:
    """How far each input is from its target, where both are pictures of one shape."""
    inputs = shown.read()
    if shown.labels is None or len(inputs) != 1 or inputs[0].shape != shown.labels.shape:
        return {}
    apart = inputs[0].astype(np.float64) - shown.labels.astype(np.float64)
    return {"squared_error": tuple(map(float, (apart**2).reshape(len(apart), -1).mean(axis=1)))}


def _further(job: one.Job, sets: Sequence[Samples]) -> Iterator[Expected]:
    """What is known of the right answers to each of the corrupted sets."""
    if sets:
        progress = job.stage(f"answers of {job.case.label}, {job.variant.label} to corrupted samples")
        for number, shown in enumerate(sets):
            progress(number / len(sets), f"set {number + 1} of {len(sets)}")
            yield _expected(job, shown)
        progress(1.0, "ready")


def _expected(job: one.Job, shown: Samples) -> Expected:
    found = job.reference(shown)
    shown.check(job.task(), found.outputs[0].shape)
    return Expected(found.values, shown.labels, found.doubts)
