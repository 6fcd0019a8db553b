"""What an extreme learning machine learns from, as files for the runner; and the same solved for on this computer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.cache import Cache, content_key, file_of, own_sources
from bench.compress.elm import learning
from bench.compress.elm.method import classes_of
from bench.errors import UsageError
from bench.learnt import Right
from bench.networks.network import Network
from bench.plan import Data
from bench.prepare.samples import data_key, to_learn
from bench.records import ArtifactFile, Progress

if TYPE_CHECKING:
    from bench.compress.learner import Data as ToLearn
    from bench.compress.learner import Stage

ALPHAS = learning.ALPHAS
_ROLES = ("samples", "held", "test")


@dataclass(frozen=True, eq=False)
class Lesson:
    """Packed samples with their classes, by role: `samples`, `held` (to choose a regularisation by, where there are
    several) and `test`; how many classes there are, and the data's words."""

    files: dict[str, ArtifactFile]
    classes: int
    source: str
    data: ToLearn


def lesson(network: Network, asked: Data | None, seed: int, alphas: Sequence[float], cache: Cache) -> Lesson:
    """Raises UsageError for a network or data that such a machine does not learn from, CorruptData."""
    from bench.data import packed

    classes = classes_of(network)
    found = to_learn(network, asked)
    if found is None:
        raise UsageError(f"there is no data to learn {network.name}'s task from", "Add --data FOLDER.")
    several = len(alphas) > 1
    key = content_key(
        *network.sources, data_key(network, asked), str(seed), str(several), *own_sources("data", "compress"), "lesson"
    )

    def make(folder: Path) -> None:
        whole = learning.part_of(found.train)
        test = learning.part_of(found.test)
        for part in (whole, test):
            learning.refuse_beyond(part, classes, found.source)
        fit, held = learning.parts(whole, seed, alphas)
        learning.refuse_unteachable(fit, found.source)
        for role, shown in zip(_ROLES, (fit, held, test), strict=True):
            if shown is not None:
                packed.write(folder / f"{role}.bin", (shown.inputs, shown.labels.astype(np.int64)[:, None]))

    folder = cache.build("lessons", key, make)
    files = {
        role: file_of(path, role).model_copy(update={"path": path})
        for role in _ROLES
        if (path := folder / f"{role}.bin").is_file()
    }
    return Lesson(files, classes, found.source, found)


def solved(taught: Lesson, neurons: int, seed: int, alphas: Sequence[float], progress: Progress) -> Right:
    """The same machine by numpy and scipy in float64 on this computer, scored as it is shipped."""
    from bench.data import packed

    def part(role: str) -> learning.Part | None:
        if role not in taught.files:
            return None
        inputs, labels = packed.read(taught.files[role].path)
        return learning.Part(inputs.astype(np.float32), labels[:, 0].astype(np.int64))

    fit, test = part("samples"), part("test")
    assert fit is not None
    assert test is not None
    found = learning.learn(fit, part("held"), taught.classes, neurons, seed, alphas, progress)
    return Right(right=learning.right_of(found.package, test), of=len(test), alpha=found.alpha)


def ordinary(network: Network, taught: Lesson, seed: int, cache: Cache, stage: Stage) -> Right | None:
    """The network itself on the same test samples: trained before, else now, by bench's recipe; None for one whose
    weights mean nothing."""
    from bench.compress import training
    from bench.compress.learner import Learner
    from bench.compress.method import Request

    learner = Learner(network, cache, stage, taught.data)
    if not learner.trained:
        return None
    of = len(taught.data.test)
    return Right(right=round(of * training.accuracy(learner.ordinary(Request(seed=seed)), taught.data.test)), of=of)
