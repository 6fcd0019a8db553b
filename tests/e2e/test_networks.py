"""Every network that bench knows, exported and run by the real runner, small."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.cache import Cache
from bench.campaign.changes import Changes
from bench.networks import names, resolve
from bench.prepare.case import RunHere
from tests.preparing import prepared, this_host

ELSEWHERE = {"lenet300", "lenet5", "unet"}
"""Networks that are trained first, or have tests of their own."""
LARGE = {"alexnet", "resnet34", "vgg16", "vae"}
"""Here some of the FR variants are enough."""
SIZES = {"mobilenetv2": (64, 64), "unet-small": (32, 48)}
PACKAGES = {"efficientnet-lite0": "efficientnet_lite_pytorch"}


@pytest.fixture(scope="module")
def run_here() -> Iterator[RunHere]:
    with this_host() as run:
        yield run


@pytest.mark.parametrize("name", sorted(set(names()) - ELSEWHERE))
def test_the_runner_computes_what_torch_does(name: str, run_here: RunHere, tmp_path: Path) -> None:
    if name in PACKAGES and importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"the package {PACKAGES[name]} is not installed")
    variants = ["baseline", "fr-factored", "fr-auto"]
    if resolve(name).coefficients is None or name in PACKAGES:
        variants = ["baseline"]
    elif name not in LARGE:
        variants = ["baseline", "fr-dense", "fr-resident", "fr-auto"]
    found = prepared(Changes([name], variants, input_size=SIZES.get(name), samples=2), Cache(tmp_path), run_here)
    ours = {a.variant: a for a in found.artifacts if a.runtime == "ncnn"}
    for variant, artifact in ours.items():
        assert all(verified.headroom <= 0.5 for verified in artifact.verified)
        (outputs,) = found.expected[variant].outputs
        # Samples are told apart: an answer made of biases alone would agree with anything.
        assert outputs.std(axis=0).max() > 1e-2 * np.abs(outputs).max()
    baseline, *compressed = (ours[variant] for variant in variants)
    for artifact in compressed:
        first = compressed[0]
        assert artifact.coefficients == first.coefficients
        assert artifact.deployed_bytes < baseline.deployed_bytes / 10
        (one,), (other,) = (found.expected[a.variant].outputs for a in (artifact, first))
        assert np.abs(one - other).max() <= 1e-4 * np.abs(other).max()
