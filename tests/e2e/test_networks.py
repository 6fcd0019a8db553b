"""Every network that bench knows, exported in every variant and run by the real runner, small."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cache import Cache
from bench.export.artifact import RunNative
from bench.models import MODELS, model
from bench.plan import Case
from bench.prepare import VARIANTS, prepare
from bench.station import desktop_station, native_outputs

TRAINED_ELSEWHERE = {"lenet5", "lenet300", "unet"}
"""Networks that take minutes to prepare; what they use of export and runner is tested with theirs."""
SMALL = {"mobilenetv2": (64, 64)}
"""Sizes at which a network takes a second instead of many."""


@pytest.fixture(scope="module")
def run_native() -> RunNative:
    return partial(native_outputs, desktop_station(Cache(), lambda *_: None))


@pytest.mark.parametrize("name", sorted(MODELS.keys() - TRAINED_ELSEWHERE))
def test_the_runner_computes_what_torch_does(name: str, run_native: RunNative, tmp_path: Path) -> None:
    case = Case(model=name, input_size=SMALL.get(name))
    prepared = prepare(case, Cache(tmp_path), run_native, lambda *_: None)
    for artifact in prepared.artifacts:
        assert 0 < artifact.verified_max_abs_delta <= artifact.tolerance / 2
        reference = prepared.references[artifact.variant]
        # Images are told apart: an answer of biases alone would agree with anything.
        assert reference.std(axis=0).max() > 1e-2 * np.abs(reference).max()
    assert [artifact.variant for artifact in prepared.artifacts] == list(VARIANTS)
    _, dense, factored = prepared.artifacts
    assert dense.coefficients == model(name).coefficients
    assert dense.file("weights").sha256 == factored.file("weights").sha256
    assert dense.deployed_bytes < prepared.artifacts[0].deployed_bytes / 15
    torch.testing.assert_close(*(torch.from_numpy(prepared.references[f"fr-{kind}"]) for kind in ("dense", "factored")))
