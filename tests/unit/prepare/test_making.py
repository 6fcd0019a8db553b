"""What stands beside a package: how it was made, and how many bytes of it are downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zstandard
from torch import nn

from bench import compress
from bench.cache import Cache, sha256_file
from bench.compress.learner import Learner, Training
from bench.compress.method import Request
from bench.measure.trial import measure
from bench.plan import Protocol
from bench.prepare.download import with_downloads
from bench.prepare.making import made
from bench.records import Artifact, ArtifactFile, Expected, Progress, Subject, Trial
from tests.preparing import stage
from tests.unit.compress.compress_kit import learning, learnt, small


def net(seed: int = 0) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 3)
    )


def pupil(folder: Path, *, trained: bool = False) -> Learner:
    dice = np.random.default_rng(1)
    network = small(net, 1, 8, 8, trained=trained, task="classification")
    return learning(network, folder, dice.normal(size=(40, 1, 8, 8)), np.arange(40) % 3)


def test_a_package_that_is_trained_tells_epochs_and_pictures_and_the_ordinary_networks_are_not_its_own(
    tmp_path: Path,
) -> None:
    for name in ("dense-small", "fr"):
        _, how = made(name, compress.method(name), pupil(tmp_path), Request("8x", seed=3, epochs=2))
        assert (how.method, how.target, how.seed) == (name, "8x", 3)
        assert (how.epochs, how.pictures, how.labels) == (2, 40, True)
    learner = pupil(tmp_path)
    _, half = made("half", compress.method("half"), learner, Request(epochs=2))
    assert [one.ordinary for one in learner.trainings] == [True]
    assert (half.epochs, half.pictures, half.labels, half.target) == (0, 0, False, None)


def test_a_training_from_the_cache_counts_with_the_seconds_that_it_once_took(tmp_path: Path) -> None:
    asked = Request("8x", epochs=60)
    first, then = (made("distil", compress.method("distil"), pupil(tmp_path), asked)[1] for _ in range(2))
    (ordinary, own), again = (learner_trainings(tmp_path, asked) for _ in range(2))
    assert ordinary.ordinary
    assert not own.ordinary
    assert again[1].seconds == own.seconds
    assert first.seconds is not None
    assert then.seconds is not None
    assert min(first.seconds, then.seconds) >= own.seconds > again[1].now_s


def learner_trainings(folder: Path, asked: Request) -> list[Training]:
    learner = pupil(folder)
    made("distil", compress.method("distil"), learner, asked)
    return learner.trainings


def test_fine_tuning_of_trained_weights_counts_its_epochs(tmp_path: Path) -> None:
    _, how = made("fr", compress.method("fr"), pupil(tmp_path, trained=True), Request("4x", one_shot=True, fine_tune=3))
    assert (how.epochs, how.pictures) == (3, 40)
    _, plain = made("fr", compress.method("fr"), learnt(small(net, 1, 8, 8), tmp_path), Request("4x", one_shot=True))
    assert (plain.epochs, plain.pictures, plain.labels) == (0, 0, False)
    assert plain.seconds is not None


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    text, noise = tmp_path / "graph", tmp_path / "weights"
    text.write_bytes(b"Convolution conv 1 1 a b\n" * 400)
    noise.write_bytes(np.random.default_rng(0).bytes(5_000_000))
    files = tuple(
        ArtifactFile(role=path.name, path=path, sha256=sha256_file(path), bytes=path.stat().st_size)
        for path in (text, noise)
    )
    return Artifact(
        model="net", variant="baseline", runtime="ncnn", ordinary=True, files=files, deployed=("graph", "weights"),
        inputs=(), outputs=(), task="other",
    )  # fmt: skip


def test_what_is_downloaded_is_each_file_by_zstd_19(artifact: Artifact, tmp_path: Path) -> None:
    titles: list[str] = []
    cache = Cache(tmp_path / "cache")

    def told(title: str) -> Progress:
        titles.append(title)
        return stage(title)

    packed = with_downloads(artifact, cache, told)
    for file in packed.files:
        whole = zstandard.ZstdCompressor(level=19, threads=1).compress(file.path.read_bytes())
        assert file.zstd == len(whole)
    assert packed.file("graph").zstd < 100 < 5_000_000 < packed.file("weights").zstd  # type: ignore[operator]
    assert packed.downloaded_bytes == sum(file.zstd or 0 for file in packed.files)
    assert titles == ["pack weights as for a download"]
    for file in artifact.files:
        file.path.unlink()
    assert with_downloads(artifact, cache, stage) == packed, "packed once, by content"


def test_both_sizes_are_samples_of_the_size_pass_where_both_are_known(artifact: Artifact, tmp_path: Path) -> None:
    packed = with_downloads(artifact, Cache(tmp_path / "cache"), stage)
    trial = Trial(subject=Subject(model="net", variant="baseline", device="desktop", runtime="ncnn"), pass_="size")
    for one, metrics in ((artifact, ["deployed"]), (packed, ["deployed", "downloaded"])):
        done = measure(trial, None, one, one.files[0], Expected((), None), Protocol(), "any")  # type: ignore[arg-type]
        assert [sample.metric for sample in done.measurement.samples] == metrics
    assert packed.downloaded_bytes is not None
    assert done.measurement.samples[1].value == packed.downloaded_bytes < packed.deployed_bytes * 1.001
