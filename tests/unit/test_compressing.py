"""From a request to a package, on the real networks and digits, as briefly as they can be trained."""

from __future__ import annotations

import dataclasses
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import compressing
from bench.cache import Cache
from bench.compress.frequency import layers, package, restore
from bench.compressing import UNTRAINED, Compressed, Request
from bench.data import digits
from bench.errors import BenchError, CorruptData, UnknownName, UsageError
from bench.networks import resolve
from bench.records import Progress

BRIEF = Request("lenet5", "400", epochs=1)


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


def compressed(request: Request, cache: Cache) -> tuple[Compressed, Watch]:
    watch = Watch()
    return compressing.compress(request, cache, watch), watch


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
    request = dataclasses.replace(BRIEF, data=mnist)
    first, watch = compressed(request, cache)
    stored = package.read(first.package)
    assert (stored.name, stored.coefficients, first.coefficients) == ("lenet5", 400, 400)
    assert first.parameter_ratio == 431_080 / 400
    assert first.byte_ratio == first.float32_bytes / len(first.package)
    assert 4 * 431_080 < first.float32_bytes < 4 * 431_080 + 100
    assert 2 * 431_080 < first.float16_bytes < 2 * 431_080 + 100
    assert first.tested == 100
    assert str(mnist) in first.source
    assert watch.titles == [
        f"read {mnist}", "train lenet5, not compressed", "train lenet5 with 400 coefficients"
    ]  # fmt: skip
    assert watch.words[-1].endswith(" right, 400 kept")
    assert not list(cache.path("checkpoints", "").glob("*.pt"))
    network = restore.restored(resolve("lenet5").learner(), stored)
    assert {name: site.frequency.kept for name, site in layers.sites(network).items()} == first.kept

    again, watch = compressed(request, cache)
    assert again == first
    assert watch.titles == [f"read {mnist}"]  # found in the cache
    fresh, watch = compressed(dataclasses.replace(request, fresh=True), cache)
    assert fresh == first
    assert watch.titles[-1].startswith("train")
    other, _ = compressed(dataclasses.replace(request, seed=2), cache)
    assert other.package != first.package


def test_a_target_in_bytes_bounds_the_file(cache: Cache, mnist: Path) -> None:
    made, _ = compressed(dataclasses.replace(BRIEF, target="1.2kB", data=mnist), cache)
    assert 1190 <= len(made.package) <= 1200


@pytest.mark.parametrize(("budget", "target"), [("sensitivity", "400"), ("energy", "1.2kB")])
def test_a_budget_for_training_looks_at_a_network_trained_with_more(
    budget: str, target: str, cache: Cache, mnist: Path
) -> None:
    made, watch = compressed(dataclasses.replace(BRIEF, budget=budget, target=target, data=mnist), cache)
    trained = [title for title in watch.titles if title.endswith("coefficients")]
    assert len(trained) == 2
    assert trained[-1] == f"train lenet5 with {made.coefficients} coefficients"
    assert made.coefficients == 400 or 1150 <= len(made.package) <= 1200
    assert len(set(made.kept.values())) == 4  # not equally many each


@pytest.mark.parametrize("budget", ["energy", "sensitivity"])
def test_a_budget_looks_at_the_trained_network(budget: str, cache: Cache, mnist: Path) -> None:
    request = Request("lenet300", "2000", budget=budget, one_shot=True, data=mnist)
    made, _ = compressed(request, cache)
    assert made.coefficients == 2000
    assert len(set(made.kept.values())) == 3
    assert made.accuracy is not None
    assert made.accuracy_before is not None


def test_one_shot_is_the_truncated_dct_of_the_given_weights(cache: Cache, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = resolve("lenet300").build()
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    every = sum(site.weight.numel() for site in layers.sites(network).values())
    request = Request("lenet300", str(every), one_shot=True, weights=tmp_path / "weights.pt")
    whole, _ = compressed(request, cache)
    restored = restore.restored(resolve("lenet300").build(), package.read(whole.package))
    for name, site in layers.sites(network).items():
        torch.testing.assert_close(layers.sites(restored)[name].weight, site.weight, atol=2e-3, rtol=0)
    assert whole.accuracy == pytest.approx(whole.accuracy_before, abs=0.005)
    assert whole.notes == ("weights.pt: state_dict → 6 tensors",)


def test_fine_tuning_after_one_shot_mends_it(cache: Cache, mnist: Path) -> None:
    request = Request("lenet300", "3000", one_shot=True, data=mnist)
    cut, _ = compressed(request, cache)
    mended, watch = compressed(dataclasses.replace(request, fine_tune=4), cache)
    assert cut.kept == mended.kept
    assert cut.accuracy is not None
    assert mended.accuracy is not None
    assert mended.accuracy > cut.accuracy + 0.1
    assert mended.accuracy_before == cut.accuracy_before
    assert watch.titles[-1] == "train lenet300 on with 3,000 coefficients"


def test_a_network_without_data_is_compressed_as_it_is(cache: Cache) -> None:
    made, _ = compressed(Request("vae", "100x", one_shot=True, budget="energy"), cache)
    assert made.published_ratio == pytest.approx(100, rel=1e-3)
    assert (made.accuracy, made.tested, made.notes) == (None, 0, (UNTRAINED,))


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        (Request("lenet6", "776"), UnknownName, "Did you mean lenet5"),
        (Request("lenet5", "776", budget="energetic"), UnknownName, "Did you mean energy"),
        (Request("lenet5", "many"), UsageError, "is no target"),
        (Request("lenet5", "3"), UsageError, "cannot be shared over 4"),
        (Request("vae", "1000"), UsageError, "no data to train vae with\nGive --data FOLDER, or .* --one-shot"),
        (Request("vae", "1000", one_shot=True, fine_tune=1), UsageError, "no data to train vae"),
        (Request("vae", "1000", one_shot=True, budget="sensitivity"), UsageError, "no data to train vae"),
        (Request("lenet5", "776", fine_tune=3), UsageError, "--fine-tune .*\nGive --one-shot"),
        (Request("lenet5", "776", weights=Path("w.pt")), UsageError, "--weights .*\nGive --one-shot"),
        (Request("lenet5", "776", one_shot=True, epochs=3), UsageError, "--epochs .*\nGive --fine-tune"),
        (Request("lenet5", "776", one_shot=True, weights=Path("none.pt")), UsageError, "there is no file none.pt"),
        (Request("lenet5", "776", data=Path("none")), UsageError, "none cannot be read as a folder"),
    ],
    ids=lambda value: "",
)  # fmt: skip
def test_what_cannot_be_done_is_said(
    request_: Request, kind: type[BenchError], words: str, cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as caught:
        compressed(request_, cache)
    assert re.search(words, str(caught.value)), str(caught.value)


def test_weights_of_another_network_or_none_at_all_are_refused(cache: Cache, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save(resolve("lenet300").build().state_dict(), file)
    with pytest.raises(UsageError, match=r"weights\.pt is a state dict of another network"):
        compressed(Request("lenet5", "776", one_shot=True, weights=file), cache)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CorruptData, match=r"weights\.pt is a damaged"):
        compressed(Request("lenet5", "776", one_shot=True, weights=file), cache)


def test_data_for_another_network_is_refused(cache: Cache, mnist: Path) -> None:
    with pytest.raises(UsageError, match=r"classification of 1×28×28 values, and unet does segmentation of 3×320×480"):
        compressed(Request("unet", "759", data=mnist), cache)


def test_a_package_is_written_whole_or_not_at_all(cache: Cache, mnist: Path, tmp_path: Path) -> None:
    made, _ = compressed(dataclasses.replace(BRIEF, data=mnist), cache)
    compressing.write(made, tmp_path / "network.frq")
    assert (tmp_path / "network.frq").read_bytes() == made.package
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        compressing.write(made, tmp_path / "missing" / "network.frq")
    with pytest.raises(UsageError, match="cannot be written: Is a directory"):
        compressing.write(made, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["network.frq"]
