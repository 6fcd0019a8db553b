"""A network layer by layer on a machine: what each layer took, and what it answered."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.devices.transport import transfer_s
from bench.errors import RunnerFailed
from bench.measure import trial as trials
from bench.measure.layer_lines import Blob, Layers, LayerTime
from bench.measure.station import Station
from bench.plan import Protocol
from bench.records import Artifact, ArtifactFile, Precision, Subject, Trial

MOST_BYTES = 2**31
"""Of the values of all layers; larger networks are looked at with a smaller picture."""
ONCE = Protocol(warmup_iterations=0, warmup_seconds=0, min_iterations=1, min_seconds=0, max_iterations=1)
"""Where the values count, and not the times."""


def timed(
    station: Station, artifact: Artifact, samples: ArtifactFile, protocol: Protocol, *, threads: int = 1,
    precision: Precision = "fp32", mask: int = 0,
) -> Layers:  # fmt: skip
    """The layers of an artifact, timed in one launch on a machine where its files are.

    Raises RunnerFailed, with `left` 8 where its runtime cannot (the contract's `unsupported`), and what the transport
    raises.
    """
    trial = _trial(station, artifact, threads, precision)
    reading, _ = trials.launched_artifact(trial, station, artifact, station.where, samples, protocol, mask)
    return _layers(reading.layers)


def answered(
    station: Station, artifact: Artifact, samples: ArtifactFile, *, threads: int = 1, precision: Precision = "fp32"
) -> Iterator[tuple[LayerTime, tuple[NDArray[np.float32], ...]]]:
    """Every layer of an artifact in the order of execution, with the values of its outputs for the first sample, one
    layer at a time in memory: each array has its blob's shape. A deferred layer has none.

    Raises what `timed` does, and RunnerFailed for a network whose values are beyond MOST_BYTES.
    """
    trial = _trial(station, artifact, threads, precision)
    reading, remote = trials.launched_artifact(
        trial, station, artifact, station.where, samples, ONCE, 0, layer_answers=True
    )
    layers = _layers(reading.layers).layers
    due = 4 * sum(blob.values for layer in layers for blob in layer.outputs)
    if due > MOST_BYTES:
        raise RunnerFailed(
            f"the layers of {artifact.model} have {due / 1e9:.1f} GB of values, more than {MOST_BYTES / 1e9:.1f} GB",
            "Give a smaller --input-size.",
        )
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "layers")
        station.transport.pull(remote, local, deadline_s=transfer_s(due), most=due)
        if (size := local.stat().st_size) != due:
            raise RunnerFailed(f"{size:,} bytes of the layers' values came back; {due:,} were expected")
        with local.open("rb") as file:
            for layer in layers:
                yield layer, tuple(_read(np.fromfile(file, "<f4", blob.values), blob) for blob in layer.outputs)


def _read(values: NDArray[np.float32], blob: Blob) -> NDArray[np.float32]:
    if values.size != math.prod(blob.shape):
        raise RunnerFailed(f"the values of {blob.name} end too early")
    return values.reshape(blob.shape)


def _trial(station: Station, artifact: Artifact, threads: int, precision: Precision) -> Trial:
    subject = Subject(
        model=artifact.model, variant=artifact.variant, device=station.device.serial, runtime=artifact.runtime,
        threads=threads, precision=precision,
    )  # fmt: skip
    return Trial(subject=subject, pass_="profile")


def _layers(found: Layers | None) -> Layers:
    if found is None:
        raise RunnerFailed("the runner printed no layers", "Run `bench clean`, then the same command.")
    return found
