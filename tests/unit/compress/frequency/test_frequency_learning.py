"""From a request to a package, on the real networks and digits, as briefly as they can be trained."""

from __future__ import annotations

import dataclasses
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.cache import Cache
from bench.compress.frequency import layers, package, restore
from bench.compress.frequency.method import METHOD
from bench.compress.method import Request
from bench.compress.result import UNTRAINED, Compressed
from bench.data import digits
from bench.errors import BenchError, CorruptData, UnknownName, UsageError
from bench.networks import resolve
from bench.plan import Data
from bench.prepare.compression import compression
from bench.records import Progress
from tests.unit.compress.compress_kit import learning, learnt, small

BRIEF = Request("400", epochs=1)


class Watch:
    """Remembers what began, and how it went."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.words: list[str] = []

    def __call__(self, title: str) -> Progress:
        self.titles.append(title)
        return lambda done, words: self.words.append(words)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


def compressed(
    request: Request, cache: Cache, name: str = "lenet5", data: Path | None = None, weights: Path | None = None
) -> tuple[Compressed, Watch]:
    watch = Watch()
    network = resolve(name, weights=weights)
    return compression(network, Data(path=data) if data else None, "fr", request, cache, watch), watch


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the digits in the files of the full set."""
    folder, data = tmp_path_factory.mktemp("mnist"), digits.load()
    for name, images, labels in (
        ("train", data.train_inputs[::10], data.train_labels[::10]),
        ("t10k", data.test_inputs[::10], data.test_labels[::10]),
    ):
        pixels = (images * 255).astype(np.uint8)
        header = struct.pack(">4B3I", 0, 0, 8, 3, len(pixels), 28, 28)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        header = struct.pack(">4BI", 0, 0, 8, 1, len(labels))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())
    return folder


def test_training_makes_a_package_of_just_that_many_coefficients(cache: Cache, mnist: Path) -> None:
    first, watch = compressed(BRIEF, cache, data=mnist)
    stored = package.read(first.package)
    assert (stored.name, stored.coefficients, first.coefficients) == ("lenet5", 400, 400)
    assert first.parameter_ratio == 431_080 / 400
    assert first.byte_ratio == first.float32_bytes / len(first.package)
    assert 4 * 431_080 < first.float32_bytes < 4 * 431_080 + 100
    assert 2 * 431_080 < first.float16_bytes < 2 * 431_080 + 100
    assert first.tested == 100
    assert str(mnist) in first.source
    assert watch.titles == ["train lenet5, not compressed", "train lenet5 with 400 coefficients"]
    assert watch.words[-1].endswith(" right, 400 kept")
    assert not list(cache.path("checkpoints", "").glob("*.pt"))
    network = restore.restored(resolve("lenet5").learner(), stored)
    assert {name: site.frequency.kept for name, site in layers.sites(network).items()} == first.kept

    again, watch = compressed(BRIEF, cache, data=mnist)
    assert again == first
    assert watch.titles == []  # found in the cache
    fresh, watch = compressed(dataclasses.replace(BRIEF, fresh=True), cache, data=mnist)
    assert fresh == first
    assert watch.titles[-1].startswith("train")
    other, _ = compressed(dataclasses.replace(BRIEF, seed=2), cache, data=mnist)
    assert other.package != first.package


def test_a_target_in_bytes_bounds_the_file(cache: Cache, mnist: Path) -> None:
    made, _ = compressed(dataclasses.replace(BRIEF, target="1.2kB"), cache, data=mnist)
    assert 1190 <= len(made.package) <= 1200


@pytest.mark.parametrize(("budget", "target"), [("sensitivity", "400"), ("energy", "1.2kB")])
def test_a_budget_for_training_looks_at_a_network_trained_with_more(
    budget: str, target: str, cache: Cache, mnist: Path
) -> None:
    made, watch = compressed(dataclasses.replace(BRIEF, budget=budget, target=target), cache, data=mnist)
    trained = [title for title in watch.titles if title.endswith("coefficients")]
    assert len(trained) == 2
    assert trained[-1] == f"train lenet5 with {made.coefficients} coefficients"
    assert made.coefficients == 400 or 1150 <= len(made.package) <= 1200
    assert len(set(made.kept.values())) > 1  # not equally many each


@pytest.mark.parametrize("budget", ["energy", "sensitivity"])
def test_a_budget_looks_at_the_trained_network(budget: str, cache: Cache, mnist: Path) -> None:
    made, _ = compressed(Request("2000", budget=budget, one_shot=True), cache, "lenet300", mnist)
    assert made.coefficients == 2000
    assert len(set(made.kept.values())) > 1
    assert made.accuracy is not None
    assert made.accuracy_before is not None


def test_one_shot_is_the_truncated_dct_of_the_given_weights(cache: Cache, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = resolve("lenet300").build()
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    every = sum(site.weight.numel() for site in layers.sites(network).values())
    request = Request(str(every), one_shot=True)
    whole, _ = compressed(request, cache, "lenet300", weights=tmp_path / "weights.pt")
    restored = restore.restored(resolve("lenet300").build(), package.read(whole.package))
    for name, site in layers.sites(network).items():
        torch.testing.assert_close(layers.sites(restored)[name].weight, site.weight, atol=2e-3, rtol=0)
    assert whole.accuracy == pytest.approx(whole.accuracy_before, abs=0.005)
    assert whole.notes == ()


def test_fine_tuning_after_one_shot_makes_it_better(cache: Cache, mnist: Path) -> None:
    request = Request("3000", one_shot=True)
    cut, _ = compressed(request, cache, "lenet300", mnist)
    tuned, watch = compressed(dataclasses.replace(request, fine_tune=4), cache, "lenet300", mnist)
    assert cut.kept == tuned.kept
    assert cut.accuracy is not None
    assert tuned.accuracy is not None
    assert tuned.accuracy > cut.accuracy + 0.1
    assert tuned.accuracy_before == cut.accuracy_before
    assert watch.titles[-1] == "train lenet300 on with 3,000 coefficients"


def test_a_network_without_data_is_compressed_as_it_is(cache: Cache) -> None:
    made, _ = compressed(Request("100x", one_shot=True, budget="energy"), cache, "vae")
    assert made.published_ratio == pytest.approx(100, rel=1e-3)
    assert (made.accuracy, made.tested, made.notes) == (None, 0, (UNTRAINED,))


@pytest.mark.parametrize(
    ("name", "request_", "kind", "words"),
    [
        ("lenet6", Request("776"), UnknownName, "Did you mean lenet5"),
        ("lenet5", Request("776", budget="energetic"), UnknownName, "Did you mean energy"),
        ("lenet5", Request("many"), UsageError, "is not a compression target"),
        ("lenet5", Request("3"), UsageError, "cannot be shared among 4"),
        ("vae", Request("1000"), UsageError, "no data to train vae with\nAdd --data FOLDER, or .* --one-shot"),
        ("vae", Request("1000", one_shot=True, fine_tune=1), UsageError, "no data to train vae"),
        ("vae", Request("1000", one_shot=True, budget="sensitivity"), UsageError, "no data to train vae"),
        ("lenet5", Request("776", fine_tune=3), UsageError, "--fine-tune .*\nAdd --one-shot"),
        ("lenet5", Request("776", one_shot=True, epochs=3), UsageError, "--epochs .*\nUse --fine-tune"),
    ],
    ids=lambda value: "",
)
def test_what_cannot_be_done_is_said(
    name: str, request_: Request, kind: type[BenchError], words: str, cache: Cache
) -> None:
    with pytest.raises(kind) as caught:
        compressed(request_, cache, name)
    assert re.search(words, str(caught.value)), str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value: float, cache: Cache, tmp_path: Path) -> None:
    network = resolve("lenet300").build()
    network.load_state_dict(state := {**network.state_dict()})
    state["fc2.weight"][3, 4] = value
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(CorruptData, match=r"not finite: 1 of 30,000 values of fc2\.weight"):
        compressed(Request("2000", one_shot=True), cache, "lenet300", weights=tmp_path / "weights.pt")


@pytest.mark.parametrize("request_", [Request("3", epochs=1), Request("3", one_shot=True)])
def test_a_training_that_diverged_gives_no_package(request_: Request, tmp_path: Path) -> None:
    inputs = np.full((4, 6), np.nan)
    learner = learning(small(lambda: nn.Linear(6, 3), 6, trained=False), tmp_path, inputs, np.array([0, 1, 2, 0]))
    with pytest.raises(CorruptData, match=r"weight holds values that are not finite"):
        METHOD.compress(learner, request_)


def test_data_for_another_network_is_refused(cache: Cache, mnist: Path) -> None:
    with pytest.raises(UsageError, match=r"mnist0 is for classification, but unet does segmentation"):
        compressed(Request("759"), cache, "unet", mnist)


@pytest.mark.parametrize("one_shot", [False, True])
def test_an_untrained_network_gets_coefficients_with_which_it_computes_something(
    one_shot: bool, tmp_path: Path
) -> None:
    """The truncated weights of one would let signals die from layer to layer."""

    def make() -> nn.Module:
        deep = [part for _ in range(8) for part in (nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())]
        return nn.Sequential(nn.Conv2d(3, 16, 3), *deep)

    network = small(make, 3, 12, 12, trained=False)
    request = Request("200", one_shot=one_shot, seeded=True)
    made = METHOD.restored(network, METHOD.compress(learnt(network, tmp_path), request), "dense")
    outputs = made(torch.rand(1, 3, 12, 12))
    assert 0.05 < outputs.std() < 20
