"""A picture on its way to being an input, and the answer to it, as a machine computes them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.devices.transport import transfer_s
from bench.errors import RunnerFailed
from bench.measure import trial as trials
from bench.measure.station import Station
from bench.plan import Protocol
from bench.preprocess import Preprocess
from bench.records import Artifact, ArtifactFile, Precision, Subject, Trial


@dataclass(frozen=True, eq=False)
class Stages:
    """`sha256` is of the picture's file as it was read; `pixels` and `resized` are (H, W, C) of 8 bits, `input` is
    (C, H, W), `answers` are the network's outputs without a batch axis."""

    sha256: str
    pixels: NDArray[np.uint8]
    resized: NDArray[np.uint8]
    input: NDArray[np.float32]
    answers: tuple[NDArray[np.float32], ...]
    environment: dict[str, Any]


def stages(
    station: Station, artifact: Artifact, picture: ArtifactFile, preprocess: Preprocess, *, threads: int = 1,
    precision: Precision = "fp32",
) -> Stages:  # fmt: skip
    """What a machine, where the files are, makes of a picture and answers to it.

    Raises RunnerFailed, with `left` 8 for a picture that the runner does not decode, and what the transport raises.
    """
    subject = Subject(
        model=artifact.model, variant=artifact.variant, device=station.device.serial, runtime=artifact.runtime,
        threads=threads, precision=precision,
    )  # fmt: skip
    trial = Trial(subject=subject, pass_="accuracy")
    shape = artifact.inputs[0].shape
    reading, remote = trials.launched_artifact(
        trial, station, artifact, station.where, picture, Protocol(), 0,
        preprocess=preprocess.instructions(shape), stages=True,
    )  # fmt: skip
    told = reading.picture
    if told is None or not told.staged:
        raise RunnerFailed("the runner did not tell what became of the picture", "Run `bench clean`, then try again.")
    counts = [int(np.prod(one)) for one in (told.pixels, told.resized, shape)]
    due = counts[0] + counts[1] + 4 * counts[2]
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "stages")
        station.transport.pull(f"{remote}.stages", local, deadline_s=transfer_s(due), most=due)
        written = local.read_bytes()
    if len(written) != due:
        raise RunnerFailed(f"{len(written):,} bytes of a picture's stages came back; {due:,} were expected")
    answers = trials.fetched(station.transport, remote, artifact.outputs, 1)
    return Stages(
        told.sha256,
        np.frombuffer(written[: counts[0]], np.uint8).reshape(told.pixels),
        np.frombuffer(written[counts[0] : counts[0] + counts[1]], np.uint8).reshape(told.resized),
        np.frombuffer(written[counts[0] + counts[1] :], "<f4").reshape(shape),
        tuple(one[0] for one in answers),
        reading.environment,
    )
