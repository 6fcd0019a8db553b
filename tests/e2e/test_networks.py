"""Every network that bench knows, exported and run by the real runner, small."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from bench.export.artifact import RunNative
from bench.station import desktop_station, native_outputs

from bench.cache import Cache
from bench.networks import names, resolve
from bench.plan import Case
from bench.prepare import VARIANTS, prepare

ELSEWHERE = {"lenet300", "lenet5", "unet"}
"""Networks that are trained first, or have tests of their own."""
LARGE = {"alexnet", "resnet34", "vgg16", "vae"}
"""Here some of the FR variants are enough."""
SIZES = {"mobilenetv2": (64, 64)}


@pytest.fixture(scope="module")
def run_native() -> RunNative:
    return partial(native_outputs, desktop_station(Cache(), lambda *_: None))


@pytest.mark.parametrize("name", sorted(set(names()) - ELSEWHERE))
def test_the_runner_computes_what_torch_does(name: str, run_native: RunNative, tmp_path: Path) -> None:
    variants = ("baseline", "fr-factored", "fr-auto") if name in LARGE else tuple(VARIANTS)
    case = Case(model=name, variants=variants, input_size=SIZES.get(name))
    prepared = prepare(case, Cache(tmp_path), run_native, lambda *_: None)
    for artifact in prepared.artifacts:
        assert 0 < artifact.verified_max_abs_delta <= artifact.tolerance / 2
        reference = prepared.references[artifact.variant]
        # Images are told apart: an answer made of biases alone would agree with anything.
        assert reference.std(axis=0).max() > 1e-2 * np.abs(reference).max()
    baseline, *compressed = prepared.artifacts
    first = compressed[0]
    for artifact in compressed:
        assert artifact.coefficients == resolve(name).coefficients
        assert artifact.deployed_bytes < baseline.deployed_bytes / 15
        assert artifact.file("weights").sha256 == first.file("weights").sha256
        delta = np.abs(prepared.references[artifact.variant] - prepared.references[first.variant])
        assert delta.max() <= 1e-4 * np.abs(prepared.references[first.variant]).max()
