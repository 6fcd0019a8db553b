"""One network and one picture made ready to be looked at step by step: what the desktop has at each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.cache import Cache
from bench.compress.learner import Stage
from bench.errors import UsageError, naming
from bench.export.answers import Answers
from bench.networks.network import Network
from bench.plan import Plan
from bench.prepare import variant as one
from bench.prepare.samples import samples
from bench.prepare.variant import RunHere
from bench.preprocess import DEFAULT, Preprocess
from bench.records import Artifact, ArtifactFile

if TYPE_CHECKING:
    from bench.export.intermediates import Part


class Wanted(Protocol):
    """A checked plan of one case with one variant, on one picture."""

    @property
    def plan(self) -> Plan: ...
    @property
    def networks(self) -> dict[str, Network]: ...


@dataclass(frozen=True, eq=False)
class Looked:
    """`pixels` (H, W) or (H, W, 3) are the decoded picture, `lossy` where its format is, `samples` the packed input
    made of it by `preprocess`, `expected` what the eager network answers, `parts` what its modules compute."""

    artifact: Artifact
    samples: ArtifactFile
    preprocess: Preprocess
    pixels: NDArray[np.uint8]
    lossy: bool
    expected: Answers
    parts: tuple[Part, ...]


def looked(wanted: Wanted, cache: Cache, runtime: str, run_here: RunHere, stage: Stage) -> Looked:
    """Raises UsageError for a network that does not take one picture, CorruptData, and what preparing a case does."""
    from bench.data.readers import pictures

    case = wanted.plan.cases[0]
    network, asked = wanted.networks[case.label], case.data
    path = asked.path if asked else None
    if path is None or not path.is_file():
        raise UsageError(f"{path} is not a picture", "Name one picture's file.")
    with naming(case.label):
        shown = samples(network, asked, cache)
        preprocess = shown.record.preprocess
        if preprocess is None:
            raise UsageError(
                f"{path} does not become the network's input as a picture", "Name a JPEG, PNG or BMP file."
            )
        decoded = pictures.decoded(path)
        untaught = case.model_copy(update={"data": None})  # a picture is nothing to learn from
        job = one.Job(network, untaught, (case.variants or ())[0], (runtime,), shown, cache, run_here, stage)
        artifact = one.artifact(job, runtime)
        expected = job.reference()
        found = _parts(job, shown.read())
    return Looked(artifact, shown.file, preprocess or DEFAULT, np.asarray(decoded), _is_jpeg(path), expected, found)


def _parts(job: one.Job, inputs: tuple[NDArray[Any], ...]) -> tuple[Part, ...]:
    """Of a ready graph nobody knows modules."""
    if job.network.graph is not None:
        return ()
    from bench.export.intermediates import parts

    with one.one_thread():
        return tuple(parts(job.module(), inputs))


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == b"\xff\xd8\xff"
