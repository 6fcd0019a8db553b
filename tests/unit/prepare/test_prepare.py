"""Prepare, whole: real samples, real pnnx, the real native runner of this host."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from bench.export.artifact import Array, RunNative
from bench.station import desktop_station, native_outputs

from bench.cache import Cache
from bench.compress.frequency import layers, package, train
from bench.data import packed
from bench.data.vehicles import SHOWN
from bench.errors import CorruptData, ExportRefused, UnknownName, UsageError
from bench.networks import resolve
from bench.plan import Case
from bench.prepare import UNTRAINED, Prepared, prepare, weights_of

UNET = Case(model="unet", input_size=(32, 48))


@pytest.fixture(scope="module")
def run_native() -> RunNative:
    return partial(native_outputs, desktop_station(Cache(), lambda *_: None))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def unet(cache: Cache, run_native: RunNative) -> Prepared:
    return prepare(UNET, cache, run_native, lambda *_: None)


def test_every_variant_is_there_and_proven(unet: Prepared) -> None:
    assert tuple(a.variant for a in unet.artifacts) == UNET.variants
    for a in unet.artifacts:
        assert a.parameters == 31_043_586
        assert a.output_shape == (2, 32, 48)
        assert a.trained == (a.variant != "baseline")
        assert (UNTRAINED in a.notes) == (a.variant == "baseline")
        assert a.tolerance == pytest.approx(1e-3 * a.verified_max_abs_reference)
        assert 0 < a.verified_max_abs_delta <= 0.1 * a.tolerance
        reference = unet.references[a.variant]
        assert reference.shape == (SHOWN, 2, 32, 48)
        assert np.abs(reference).max() == pytest.approx(a.verified_max_abs_reference)
        # Neither dead nor blown up, and both classes are among the answers of the network.
        assert 0.1 < reference.std() < 100
        for file in a.files:
            assert file.bytes == file.path.stat().st_size
            assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()


def test_dense_and_factored_are_one_network_in_one_package(unet: Prepared) -> None:
    _, dense, factored = unet.artifacts
    assert dense.coefficients == factored.coefficients == 759
    assert dense.file("weights").sha256 == factored.file("weights").sha256
    assert dense.file("graph").sha256 == factored.file("graph").sha256
    a, b = unet.references["fr-dense"], unet.references["fr-factored"]
    assert np.abs(a - b).max() <= 1e-4 * np.abs(a).max()
    stored = package.read(dense.file("weights").path.read_bytes())
    assert (stored.name, len(stored.tensors), stored.coefficients) == ("unet", 23, 759)


def test_the_baseline_is_the_ordinary_network(unet: Prepared) -> None:
    baseline = unet.artifacts[0]
    assert baseline.coefficients is None
    assert (baseline.weights_format, baseline.execution) == ("runtime", "stock")
    assert baseline.file("weights").bytes > 4 * 31_000_000
    assert baseline.deployed_bytes > 5000 * unet.artifacts[2].deployed_bytes


def test_samples_are_packed(unet: Prepared) -> None:
    assert packed.read(unet.samples)[0].shape == (SHOWN, 3, 32, 48)
    assert unet.labels is not None
    assert unet.labels.shape == (SHOWN, 32, 48)
    assert "vehicles" in unet.source


def test_a_second_time_costs_neither_torch_nor_a_runner(unet: Prepared, cache: Cache) -> None:
    program = """
import json, sys
from pathlib import Path
from bench.cache import Cache
from bench.plan import Case
from bench.prepare import prepare
found = prepare(Case(model="unet", input_size=(32, 48)), Cache(Path(sys.argv[1])), None, lambda *_: None)
heavy = [name for name in ("torch", "sklearn", "mlxtend") if name in sys.modules]
print(json.dumps([heavy, [a.model_dump(mode="json") for a in found.artifacts]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(cache.root)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    heavy, artifacts = json.loads(done.stdout)
    assert heavy == []
    assert artifacts == [a.model_dump(mode="json") for a in unet.artifacts]


def test_what_the_phone_gets_is_the_same_from_an_empty_cache(
    unet: Prepared, run_native: RunNative, tmp_path: Path
) -> None:
    case = UNET.model_copy(update={"variants": ("fr-factored",)})
    again = prepare(case, Cache(tmp_path), run_native, lambda *_: None).artifacts[0]
    first = unet.artifacts[2]
    for role in ("graph", "weights"):
        assert again.file(role).sha256 == first.file(role).sha256


def test_a_runner_that_computes_something_else_is_noticed(run_native: RunNative, tmp_path: Path) -> None:
    """One wrong output of all is enough, and nothing of the refused artifact stays in the cache."""

    def wrong(*job: object) -> Array:
        outputs = run_native(*job).copy()  # type: ignore[arg-type]
        outputs[1234] += 0.01 * np.abs(outputs).max()
        return outputs

    cache = Cache(tmp_path)
    case = UNET.model_copy(update={"variants": ("fr-factored",)})
    with pytest.raises(ExportRefused, match="differ from torch"):
        prepare(case, cache, wrong, lambda *_: None)
    assert not [path for path in (tmp_path / "artifacts").iterdir() if path.is_dir()]


def test_progress_only_grows(run_native: RunNative, tmp_path: Path) -> None:
    seen: list[float] = []
    case = UNET.model_copy(update={"variants": ("fr-factored", "fr-dense")})
    prepare(case, Cache(tmp_path), run_native, lambda done, _: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_weights_of_ones_own_are_measured_whatever_their_number(
    unet: Prepared, cache: Cache, run_native: RunNative, tmp_path: Path
) -> None:
    """A package with fewer coefficients than the one that comes with bench."""
    network = resolve("unet").learner()
    layers.compress(network, train.targets(network, 200))
    train.seed_coefficients(network, 3, train.ENERGY)
    layers.round_to_half(network)
    own = tmp_path / "own.frq"
    own.write_bytes(package.write(layers.shipped("unet", network)))
    case = UNET.model_copy(update={"variants": ("fr-factored",), "weights": own})
    (found,) = prepare(case, cache, run_native, lambda *_: None).artifacts
    assert (found.coefficients, found.trained) == (200, True)
    stored = package.read(found.file("weights").path.read_bytes())
    assert sorted(t.values.tobytes() for t in stored.tensors) == sorted(
        t.values.tobytes() for t in package.read(own.read_bytes()).tensors
    )
    assert found.file("weights").sha256 != unet.artifacts[2].file("weights").sha256


def test_weights_that_cannot_be_measured_are_refused(tmp_path: Path) -> None:
    pretrained = files("bench") / "pretrained" / "unet.frq"
    damaged = tmp_path / "damaged.frq"
    damaged.write_bytes(pretrained.read_bytes()[:-1])
    for weights, refusal, words in (
        (tmp_path / "none.frq", UsageError, "cannot be read"),
        (damaged, CorruptData, "check sum"),
    ):
        with pytest.raises(refusal, match=words):
            weights_of(resolve("unet"), Case(model="unet", weights=weights))
    with pytest.raises(UsageError, match="a package of unet, not of lenet5"):
        weights_of(resolve("lenet5"), Case(model="lenet5", weights=Path(str(pretrained))))
    with pytest.raises(UsageError, match="both weights and a number"):
        weights_of(resolve("unet"), Case(model="unet", weights=damaged, coefficients=759))


def test_only_the_shipped_number_of_coefficients_needs_no_training() -> None:
    assert weights_of(resolve("unet"), Case(model="unet")) is not None
    assert weights_of(resolve("unet"), Case(model="unet", coefficients=760)) is None
    assert weights_of(resolve("vgg16"), Case(model="vgg16")) is None


def test_unknown_names_sizes_and_totals_are_refused(run_native: RunNative, cache: Cache) -> None:
    def attempt(**keys: object) -> None:
        prepare(Case(**keys), cache, run_native, lambda *_: None)  # type: ignore[arg-type]

    with pytest.raises(UnknownName, match="unknown network 'unett'"):
        attempt(model="unett")
    with pytest.raises(UnknownName, match="Did you mean fr-dense"):
        attempt(model="unet", variants=("fr-dens",))
    with pytest.raises(UsageError, match="takes 28×28"):
        attempt(model="lenet5", input_size=(32, 32))
    with pytest.raises(UsageError, match="cannot be shared among 23"):
        attempt(model="unet", input_size=(32, 48), variants=("fr-dense",), coefficients=5)
