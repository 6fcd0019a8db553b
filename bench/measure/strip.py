"""One sample of a network kept as pictures under each corruption that it is shown, small: they illustrate, and prove
nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from bench.corrupted import DriftRecord
from bench.measure.gallery import as_input
from bench.preprocess import Preprocess
from bench.records import ArtifactFile
from bench.results.pictures import Pictures

SIDE = 64
"""Pixels of the longer side of what is kept."""
LOOKED_AT = 50
"""Samples among which the one with the most contrast is chosen: on a dark one little is to be seen."""


def keep(
    pictures: Pictures, model: str, record: DriftRecord, sets: Sequence[ArtifactFile], preprocess: Preprocess | None
) -> None:
    """Store one sample as it is and in each severity of each corruption. `sets` are the packed files."""
    from bench.data import packed

    count = len(record.samples)
    first = packed.some(sets[0].path, range(min(count, LOOKED_AT)))[0]
    chosen = int(first.reshape(len(first), -1).std(axis=1).argmax())
    for one, file in zip(record.sets, sets, strict=True):
        places = [number * count + chosen for number in range(len(one.severities))]
        for severity, values in zip(one.severities, packed.some(file.path, places)[0], strict=True):
            if (picture := as_input(np.asarray(values), preprocess)) is not None:
                pictures.add(
                    _small(picture), model, record.samples[chosen], "corrupted", corruption=one.name, severity=severity
                )


def _small(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    if longest <= SIDE:
        return picture
    width, height = (max(1, round(side * SIDE / longest)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)
