"""`--add`: pictures from the field learnt too, and both networks scored on those that neither has seen."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.command import bench

NET = """
from torch import nn
def build():
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    return nn.Sequential(*layers)
"""
NAMES = ("blue", "green", "red")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A network, `data` of three colours in the light, and a `field` of the same in the dark."""
    (tmp_path / "net.py").write_text(NET)
    random = np.random.default_rng(1)
    for folder, light, each in (("data", 200, 30), ("field", 40, 30)):
        for channel, name in ((2, "blue"), (1, "green"), (0, "red")):
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(each):
                shown = random.integers(0, light // 2, (8, 8, 3))
                shown[..., channel] += light // 5
                path = tmp_path / folder / name / f"{number}.png"
                Image.fromarray(shown.astype(np.uint8)).save(path)
                time = 10_000 * (NAMES.index(name) * each + number)
                os.utime(path, (time, time))
    return tmp_path


def compress(place: Path, *more: str | Path, status: int = 0) -> str:
    done = bench(
        "compress", "net.py:build", "--input", "3x8x8", "--data", "data", "--method", "half", "--epochs", "2",
        "-o", "out.safetensors", "--json", *more, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=place, status=status,
    )  # fmt: skip
    return done.stdout


def test_before_and_after_are_scored_on_pictures_that_neither_has_learnt(place: Path) -> None:
    found = json.loads(compress(place, "--add", "field"))
    before = json.loads(compress(place))
    scored = found["retrained"]
    assert scored["apart"]["pictures"] + scored["learnt"]["pictures"] == 90
    assert scored["apart"]["pictures"] >= 10
    assert scored["test"]["pictures"] == found["tested"] == before["tested"] == 18
    assert scored["test"]["before"] == round(before["accuracy"] * 18)
    assert scored["test"]["after"] == round(found["accuracy"] * 18)
    for part in (scored["apart"], scored["learnt"], scored["test"]):
        assert part["after"] - part["before"] == part["only_after"] - part["only_before"]
    shares = [scored[part]["after"] / scored[part]["pictures"] for part in ("learnt", "apart")]
    assert scored["flattery"] == pytest.approx(shares[0] - shares[1])
    assert before["retrained"] is None


def test_what_cannot_be_added_is_refused_with_the_reason(place: Path) -> None:
    (place / "field" / "red").rename(place / "field" / "rot")
    assert "'rot' (30 pictures)" in compress(place, "--add", "field", status=2)
    (place / "field" / "rot").rename(place / "field" / "red")
    assert "--unlabelled looks at none" in compress(place, "--add", "field", "--unlabelled", status=2)
    assert "cannot be read" in compress(place, "--add", "nowhere", status=2)


def test_a_plan_measures_on_both_and_shows_the_phone_what_was_held_apart(place: Path) -> None:
    (place / "plan.toml").write_text(
        'schema_version = 2\nname = "both"\n[[cases]]\nmodel = "net.py:build"\ninput = "3x8x8"\nlabel = "net"\n'
        'variants = ["baseline"]\ndata = { path = "data", add = "field" }\n'
    )
    told = bench("plan", "--plan", "plan.toml", "--json", env=dict(os.environ), cwd=place).stdout
    assert "net-field" in told
    (place / "plan.toml").write_text((place / "plan.toml").read_text().replace('path = "data", ', ""))
    assert (
        "no data to add them to"
        in bench("plan", "--plan", "plan.toml", env=dict(os.environ), cwd=place, status=2).stderr
    )
