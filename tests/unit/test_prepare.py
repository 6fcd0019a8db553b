"""Prepare, whole: real samples, real pnnx, the real native runner of this host."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bench.cache import Cache
from bench.compress.frequency import package
from bench.data import packed
from bench.errors import ExportRefused, UnknownName, UsageError
from bench.export.artifact import Array, RunNative
from bench.plan import Case
from bench.prepare import UNTRAINED, VARIANTS, Prepared, prepare
from bench.station import desktop_station, native_outputs

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
    assert [a.variant for a in unet.artifacts] == list(VARIANTS)
    for a in unet.artifacts:
        assert a.parameters == 31_043_586
        assert a.output_shape == (2, 32, 48)
        assert not a.trained
        assert UNTRAINED in a.notes
        assert a.tolerance == pytest.approx(1e-3 * a.verified_max_abs_reference)
        assert 0 < a.verified_max_abs_delta <= 0.1 * a.tolerance
        reference = unet.references[a.variant]
        assert reference.shape == (4, 2, 32, 48)
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
    assert dense.file("graph").sha256 != factored.file("graph").sha256
    a, b = unet.references["fr-dense"], unet.references["fr-factored"]
    assert np.abs(a - b).max() <= 1e-4 * np.abs(a).max()
    stored = package.read(dense.file("weights").path.read_bytes())
    assert (stored.name, len(stored.tensors), stored.coefficients) == ("unet", 23, 759)


def test_the_baseline_is_the_ordinary_network(unet: Prepared) -> None:
    baseline = unet.artifacts[0]
    assert baseline.coefficients is None
    assert (baseline.weights_format, baseline.execution) == ("ncnn", "stock")
    assert baseline.file("weights").bytes > 4 * 31_000_000
    assert baseline.deployed_bytes > 5000 * unet.artifacts[2].deployed_bytes


def test_samples_are_packed(unet: Prepared) -> None:
    assert packed.read(unet.samples).shape == (4, 3, 32, 48)
    assert unet.labels is None
    assert "photographs" in unet.source


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


def test_unknown_names_sizes_and_totals_are_refused(run_native: RunNative, cache: Cache) -> None:
    def attempt(**keys: object) -> None:
        prepare(Case(**keys), cache, run_native, lambda *_: None)  # type: ignore[arg-type]

    with pytest.raises(UnknownName, match="unknown model 'unett'"):
        attempt(model="unett")
    with pytest.raises(UnknownName, match="Did you mean fr-dense"):
        attempt(model="unet", variants=("fr-dens",))
    with pytest.raises(UsageError, match="takes 28×28"):
        attempt(model="lenet5", input_size=(32, 32))
    with pytest.raises(UsageError, match="cannot be shared over 23"):
        attempt(model="unet", input_size=(32, 48), variants=("fr-dense",), coefficients=5)
