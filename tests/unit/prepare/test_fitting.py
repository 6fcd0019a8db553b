"""Files of the bytes that were asked for: the target of a package, found by trying."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from bench import compress, runtimes
from bench.cache import Cache
from bench.campaign.changes import Changes
from bench.compress.method import Request
from bench.errors import UsageError
from bench.prepare.case import RunHere
from bench.prepare.fitting import sizes, target
from tests.preparing import prepared, this_host
from tests.unit.compress.compress_kit import learnt, small

NET = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 36, 64), nn.ReLU(),
        nn.Linear(64, 4),
    )
"""


@pytest.fixture(scope="module")
def run_here() -> Iterator[RunHere]:
    with this_host() as run:
        yield run


def test_what_stands_beside_the_weights_is_taken_off() -> None:
    tried: list[int] = []

    def told(most: int) -> tuple[int, int]:
        tried.append(most)
        return most - 3, most - 3 + 400

    assert target(10_000, told) == 9_600
    assert tried == [10_000, 9_600]


def test_a_coarse_grain_stays_below() -> None:
    found = target(1_050, lambda most: (most // 300 * 300, most // 300 * 300 + 100))
    assert found // 300 * 300 + 100 == 1_000


def test_a_graph_that_leaves_nothing_is_refused_and_a_method_that_cannot_be_tried_is_asked_as_it_is() -> None:
    with pytest.raises(UsageError, match="900 bytes beside the weights"):
        target(800, lambda most: (most, most + 900))

    def never(most: int) -> tuple[int, int]:
        raise UsageError("it has no weights to try", "")

    assert target(800, never) == 800


def test_what_the_graph_leaves_too_little_of_is_told_in_the_bytes_that_were_asked_for() -> None:
    def told(most: int) -> tuple[int, int]:
        if most < 205:
            raise UsageError(f"{most} bytes are too few", "")
        return most, most + 275

    with pytest.raises(UsageError, match=r"275 of 300 bytes beside the weights, .*: 25 bytes are too few"):
        target(300, told)


def test_a_method_that_refuses_untrained_weights_is_tried_on_some(tmp_path: Path) -> None:
    network = small(lambda: nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3)), 1, 8, 8, trained=False)
    samples = (np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype(np.float32),)
    method, runtime = compress.method("prune"), runtimes.runtime("ncnn")
    asked = Request("1600B", epochs=5)
    package, files = sizes(learnt(network, tmp_path), method, "stock", runtime, samples, asked)
    assert package <= 1600
    assert 0 < files - package < 1000 or package - files < 400


def test_files_have_the_bytes_that_were_asked_for_and_what_cannot_be_is_left_out_with_its_reason(
    tmp_path: Path, run_here: RunHere
) -> None:
    (tmp_path / "net.py").write_text(NET)
    changes = Changes(
        [f"{tmp_path}/net.py:build"], methods=["fr", "dense-small"], sizes=["8x", "300B"], input=["1x12x12"],
        samples=4, label="mine",
    )  # fmt: skip
    found = prepared(changes, Cache(tmp_path / "cache"), run_here)
    fr, ordinary = found.artifact("fr:8x", "ncnn"), found.artifact("baseline", "ncnn")
    assert fr.made is not None
    assert fr.made.shipped == 4 * (16 * 9 + 16 + 576 * 64 + 64 + 64 * 4 + 4) // 8
    assert fr.deployed_bytes == pytest.approx(fr.made.shipped, rel=0.02)
    assert fr.missed is None
    assert ordinary.made is None
    assert ordinary.missed is None
    assert ordinary.downloaded_bytes is not None
    assert set(found.absent) == {"fr:300B", "dense-small:300B"}
    assert "beside the weights" in found.absent["fr:300B"]
    assert "cannot be scaled down" in found.absent["dense-small:300B"]
    assert {a.variant for a in found.artifacts} == set(found.expected) == {"baseline", "fr:8x", "dense-small:8x"}
    off = fr.model_copy(update={"made": fr.made.model_copy(update={"shipped": 2 * fr.made.shipped})})
    assert off.missed == pytest.approx(-0.5, abs=0.02)
