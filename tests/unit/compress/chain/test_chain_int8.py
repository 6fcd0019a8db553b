"""The chains that chains are for: pruned or decomposed, then in int8, calibrated by the network's own data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from bench import compress, runtimes
from bench.compress import Description, method
from bench.compress.chain.package import read
from bench.compress.method import Request
from bench.errors import UsageError
from tests.unit.compress.compress_kit import learning, learnt, small


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 5),
    )  # fmt: skip


NETWORK = small(convolutional, 3, 6, 6, task="classification")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    random = np.random.default_rng(1)
    inputs, answers = random.normal(size=(20, 3, 6, 6)), random.integers(0, 5, 20)
    learner = learning(NETWORK, tmp_path_factory.mktemp("cache"), inputs, answers)
    return method("prune,int8").compress(learner, Request("1800B", one_shot=True, fine_tune=1))


def test_a_pruned_network_is_calibrated_and_its_bytes_hold(package: bytes) -> None:
    assert 1200 < len(package) <= 1800
    assert [(link.method, link.packing) for link in read(package)] == [("prune", "emptied"), ("int8", "whole")]
    chain = method("prune,int8")
    for form in chain.executions:  # the first needs scales of inputs, which only calibration gives
        assert chain.restored(NETWORK, package, form)
    assert sum(chain.size(NETWORK, package).kept.values()) < 0.9 * len(package)


def test_without_data_it_has_no_form_that_needs_calibration(tmp_path: Path) -> None:
    chain = method("prune,int8")
    made = chain.compress(learnt(NETWORK, tmp_path), Request("4x", one_shot=True))
    assert read(made)[0].packing == "emptied"
    assert chain.restored(NETWORK, made, "weights")
    with pytest.raises(UsageError):
        chain.restored(NETWORK, made, "full")


@pytest.mark.parametrize("first", ["prune", "tucker", "distil", "dense-small"])
def test_forms_calibration_and_precision_are_those_of_the_last(first: str) -> None:
    chain, last, ncnn = method(f"{first},int8"), method("int8"), runtimes.runtime("ncnn")
    assert chain.executions == last.executions
    assert chain.calibrates  # type: ignore[attr-defined]
    for form in last.executions:
        assert compress.precision(f"{first},int8", form, ncnn) == compress.precision("int8", form, ncnn)
    assert compress.described(f"{first},int8-weights:4x") == Description(f"{first},int8", "weights", "4x")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("int8,prune", "Structure comes first: prune,int8."),
        ("half,int8", "Take one."),
        ("fr,int8", "Ask for fr-int8, which does both."),
        ("prune,tucker", "A chain is a method that changes the structure, then one that changes how numbers"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(name: str, fix: str) -> None:
    with pytest.raises(UsageError) as refused:
        method(name)
    assert refused.value.fix.startswith(fix)
