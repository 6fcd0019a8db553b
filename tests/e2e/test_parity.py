"""bench parity on a virtual phone: equal where nothing is wrong, and a seeded fault is located by stage, layer and
filter."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import plan
from bench.cache import Cache, sha256_file
from bench.campaign import asked, parity
from bench.campaign.changes import Changes, changed
from bench.campaign.parity import Parity, Scene
from bench.cli.parity import verdict
from bench.cli.terminal import Quiet
from bench.devices.adb import AdbServer
from bench.errors import RunnerFailed
from bench.measure import station
from bench.preprocess import Preprocess
from bench.results.folder import RunFolder
from tests.e2e.conftest import Adb
from tests.e2e.parity_kit import one_filter, one_weight, spoilt, weighted, with_weights

NETWORK = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.LeakyReLU(0.1),
        nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.Conv2d(12, 6, 1),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 5),
    )
"""
LAYERS = 5
"""With weights."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("parity")
    (made / "net.py").write_text(NETWORK)
    values = np.random.default_rng(1).integers(0, 256, (40, 56, 3), np.uint8)
    Image.fromarray(values).resize((70, 50), Image.Resampling.BICUBIC).save(made / "picture.png")
    Image.fromarray(values).resize((70, 50), Image.Resampling.BICUBIC).save(made / "picture.jpg", quality=90)
    (made / "pictures").mkdir()
    for name in ("picture.png", "picture.jpg"):
        shutil.copy(made / name, made / "pictures")
    return made


def subject(folder: Path, picture: str = "picture.png") -> parity.Subject:
    wanted = Changes(
        models=(f"{folder / 'net.py'}:build",), variants=("baseline",), input=("3x24x32",), data=folder / picture,
        samples=1,
    )  # fmt: skip
    return parity.Subject(asked.checked(changed(plan.suite("quick"), wanted)), folder / picture)


def test_the_command_says_what_differs_and_leaves_as_diff_does(folder: Path, device: Adb, env: dict[str, str]) -> None:
    common = [sys.executable, "-m", "bench.cli", "parity", f"{folder / 'net.py'}:build", str(folder / "picture.jpg"),
              "--input", "3x24x32", "--device", device.serial, "--json"]  # fmt: skip
    done = subprocess.run(common, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["equal"]
    assert told["virtual"]
    done = subprocess.run(
        [*common, "--app-preprocess", "channels=bgr", "--app-preprocess", "scale=0.5"],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads(done.stdout)["first"]["stage"] == "input"


def test_a_picture_that_the_phone_does_not_decode_is_no_agreement(
    folder: Path, device: Adb, env: dict[str, str]
) -> None:
    picture = folder / "cmyk.jpg"
    Image.open(folder / "picture.jpg").convert("CMYK").save(picture)
    command = [sys.executable, "-m", "bench.cli", "parity", f"{folder / 'net.py'}:build", str(picture),
               "--input", "3x24x32", "--device", device.serial, "--json"]  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["equal"], told["exit"], told["first"]) == (False, 2, None)
    assert [rung["stage"] for rung in told["open"]] == ["pixels", "resized", "input", "answer", "answer"]
    assert "the climb ended at the decoded pixels" in told["verdict"]
    assert str(picture) in told["verdict"]
    assert sum(rung["stage"] == "layer" for rung in told["rungs"]) >= LAYERS


def test_a_run_fails_the_answers_of_a_phone_that_does_not_decode_a_picture(
    folder: Path, device: Adb, env: dict[str, str], tmp_path: Path
) -> None:
    mixed = tmp_path / "pictures"
    shutil.copytree(folder / "pictures", mixed)
    Image.open(folder / "picture.jpg").convert("CMYK").save(mixed / "z.jpg")
    command = [sys.executable, "-m", "bench.cli", "run", "--model", f"{folder / 'net.py'}:build", "--input", "3x24x32",
               "--data", str(mixed), "--variant", "baseline", "--launches", "1",
               "--device", device.serial, "--results", str(tmp_path / "results"), "--on-device-preprocess",
               "--quiet"]  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    stored = RunFolder.latest(tmp_path / "results").measurements()
    (found,) = [one for one in stored if one.trial.subject.device == device.serial and one.trial.pass_ == "accuracy"]
    assert found.status == "failed"
    assert "picture z.jpg: a JPEG file that is neither grey nor of three colours" in found.reason
    assert not found.samples


def test_a_run_has_the_phone_preprocess_the_pictures_and_says_so(
    folder: Path, device: Adb, env: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "bench.cli", "run", "--model", f"{folder / 'net.py'}:build", "--input", "3x24x32",
               "--data", str(folder / "pictures"), "--variant", "baseline", "--launches", "1",
               "--device", device.serial, "--results", str(tmp_path), "--on-device-preprocess", "--quiet"]  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    stored = RunFolder.latest(tmp_path).measurements()
    accuracy = {one.trial.subject.device: one for one in stored if one.trial.pass_ == "accuracy"}
    assert accuracy[device.serial].status == "tagged"
    assert "preprocessed the pictures itself" in accuracy[device.serial].reason
    assert all(one.status == "ok" for name, one in accuracy.items() if name != device.serial)


def test_what_is_not_picture_files_is_refused_before_anything_is_built(
    folder: Path, device: Adb, env: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "bench.cli", "run", "--model", f"{folder / 'net.py'}:build", "--input", "3x24x32",
               "--variant", "baseline", "--device", device.serial, "--results", str(tmp_path),
               "--on-device-preprocess"]  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "not picture files" in done.stderr


@pytest.fixture(scope="module")
def scene(folder: Path, device: Adb) -> Iterator[Scene]:
    phone = AdbServer(port=device.port).choose(device.serial)
    with parity.set_up(subject(folder), phone, Cache(), Quiet()) as made:
        yield made


def first(found: Parity) -> tuple[str, str]:
    assert found.first is not None, verdict(found)
    return found.first.stage, found.first.name


def test_nothing_differs_where_nothing_is_wrong(scene: Scene) -> None:
    found = parity.compared(scene)
    assert found.equal, verdict(found)
    stages = [rung.stage for rung in found.rungs]
    assert stages[:6] == ["file", "file", "file", "pixels", "resized", "input"]
    assert stages.count("layer") >= LAYERS
    assert stages[-1] == "answer"
    assert all(rung.delta == 0 for rung in found.rungs if rung.stage in ("pixels", "resized", "layer"))
    assert sum(rung.differs is False for rung in found.modules) >= LAYERS


@pytest.mark.parametrize("number", range(LAYERS))
@pytest.mark.parametrize("fault", [one_weight, one_filter], ids=["weight", "filter"])
def test_a_fault_in_a_filter_is_located(scene: Scene, tmp_path: Path, number: int, fault: object) -> None:
    layer = weighted(scene.ours.file("graph").path)[number]
    wrong = layer.filters - 2
    found = with_weights(scene, tmp_path, layer, fault(layer, wrong))  # type: ignore[operator]
    assert first(found) == ("layer", layer.name)
    assert found.first is not None
    assert found.first.channels == (wrong,)
    assert found.first.place[0] == wrong
    assert "the files given" in found.cause
    assert f"channels: {wrong}" in verdict(found)


@pytest.mark.parametrize(
    ("change", "stage", "word"),
    [
        ({"channels": "bgr"}, "input", "opposite order"),
        ({"mean": (0.5,)}, "input", "− 0.5"),
        ({"deviation": (0.25,)}, "input", "0.0156863 × value"),
        ({"scale": 1.0}, "input", "1 × value"),
        ({"filter": "nearest"}, "resized", "nearest"),
        ({"filter": "bicubic"}, "resized", "bicubic"),
        ({"resize": "exact"}, "resized", "resized to the network's size"),
    ],
)
def test_another_preprocessing_is_located_and_named(
    scene: Scene, change: dict[str, object], stage: str, word: str
) -> None:
    other = Preprocess.model_validate(scene.looked.preprocess.model_dump() | change)
    found = parity.compared(replace(scene, preprocess=other))
    assert first(found)[0] == stage
    assert word in verdict(found)
    assert not any(rung.differs for rung in found.rungs if rung.stage == "layer")


def on_phone(scene: Scene, device: Adb, sha256: str, data: bytes) -> None:
    """Put other bytes into a file that was brought there."""
    done = device.run("shell", "-T", f"cat > {scene.there.where[sha256]}", stdin=data)
    assert done.returncode == 0, done.stderr


def test_a_picture_that_was_damaged_on_the_phone_is_located(scene: Scene, device: Adb) -> None:
    original = scene.picture.path.read_bytes()
    other = Image.open(scene.picture.path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for damaged in (original[:500] + b"?" + original[501:], original[: len(original) // 2], None):
        if damaged is None:
            path = scene.picture.path.with_name("other.png")
            other.save(path)
            damaged = path.read_bytes()
        on_phone(scene, device, scene.picture.sha256, damaged)
        found = parity.compared(scene)
        assert first(found) == ("file", "picture")
    on_phone(scene, device, scene.picture.sha256, original)
    assert parity.compared(scene).equal


def test_weights_that_were_damaged_on_the_phone_are_located_to_the_filter(
    scene: Scene, device: Adb, tmp_path: Path
) -> None:
    weights = scene.ours.file("weights")
    layer = weighted(scene.ours.file("graph").path)[2]
    spoilt(weights.path, tmp_path / "weights", layer, one_weight(layer, 4))
    on_phone(scene, device, weights.sha256, (tmp_path / "weights").read_bytes())
    found = parity.compared(scene)
    on_phone(scene, device, weights.sha256, weights.path.read_bytes())
    assert first(found) == ("file", "weights")
    differing = [rung for rung in found.rungs if rung.stage == "layer" and rung.differs]
    assert (differing[0].name, differing[0].channels) == (layer.name, (4,))
    assert "not what was brought there" in found.cause


def test_files_of_an_app_that_end_too_early_are_named(scene: Scene, tmp_path: Path) -> None:
    whole = scene.ours.file("weights")
    path = tmp_path / "short.bin"
    path.write_bytes(whole.path.read_bytes()[: whole.bytes // 2])
    short = whole.model_copy(update={"path": path, "sha256": sha256_file(path), "bytes": whole.bytes // 2})
    theirs = scene.ours.model_copy(update={"files": (scene.ours.file("graph"), short)})
    for machine in (scene.there, scene.here):
        station.bring(machine, [short], lambda sentence: None)
    with pytest.raises(RunnerFailed) as failed:
        parity.compared(replace(scene, theirs=theirs, notes=[]))
    assert str(path) in failed.value.what
    assert "--app-files" in failed.value.fix


def test_layers_that_have_no_namesake_leave_the_verdict_open(scene: Scene, tmp_path: Path) -> None:
    graph = scene.ours.file("graph")
    layer = weighted(graph.path)[1]
    path = tmp_path / "renamed.param"
    path.write_text(re.sub(rf"(?<= ){re.escape(layer.name)}(?= )", "elsewhere", graph.path.read_text()))
    renamed = graph.model_copy(update={"path": path, "sha256": sha256_file(path), "bytes": path.stat().st_size})
    theirs = scene.ours.model_copy(update={"files": (renamed, scene.ours.file("weights"))})
    for machine in (scene.there, scene.here):
        station.bring(machine, [renamed], lambda sentence: None)
    found = parity.compared(replace(scene, theirs=theirs, notes=[]))
    assert found.first is None
    assert not found.equal
    assert [rung.name for rung in found.open] == ["1 output on the device alone", "1 output on this computer alone"]
