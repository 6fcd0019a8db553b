"""Files that a phone's storage damages: found before a run and repaired, found during a run and not compared."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from bench.devices.adb import FOLDER
from bench.records import SIZES, Artifact, RunRecord
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, Finished, command, run
from tests.e2e.conftest import Adb

NET = """
from torch import nn

def build(width):
    return nn.Sequential(
        nn.Conv2d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * width, 5)
    )
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks; while the first is measured there is time to damage the second."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "net.py").write_text(NET)
    cases = "".join(
        f'[[cases]]\nmodel = "{folder / "net.py"}:build"\nlabel = "{label}"\ninput = "1x16x16"\n'
        f'variants = ["baseline", "half"]\narguments = {{width = {width}}}\n'
        for label, width in (("first", 6), ("second", 8))
    )
    path = folder / "plan.toml"
    slow = QUICK.replace("min_seconds = 0", "min_seconds = 0.7")
    path.write_text(f'name = "damage"\ndesktop = ["ncnn"]\n{slow}{cases}')
    return path


def weights(record: RunRecord) -> Artifact:
    return next(a for a in record.artifacts if (a.model, a.variant) == ("second", "baseline"))


def damage(record: RunRecord, device: Adb, folder: Path) -> None:
    """One weight of the second network changes on the phone; the file is as long as before."""
    file = weights(record).file("weights")
    content = bytearray(file.path.read_bytes())
    place = len(content) // 2 // 4 * 4
    content[place : place + 4] = b"\0\0\x7a\x44"  # 1000 as float32
    (folder / "damaged").write_bytes(content)
    assert len(content) == file.bytes
    done = device.run("push", str(folder / "damaged"), f"{FOLDER}/store/{file.sha256[:32]}")
    assert done.returncode == 0, done.stderr


STORE = f"{FOLDER}/store"


def run_and_damage(
    plan: Path, device: Adb, env: dict[str, str], folder: Path, until: str, *, frozen: bool = False
) -> tuple[Finished, str]:
    """A run during which the file is damaged, once a file like `until` is there; and the trials that had ended then.
    `frozen`: from then on the phone's storage takes nothing more, as a broken one does."""
    arguments = ("run", "-s", device.serial, "--plan", plan, "--results", folder, "--json")
    with subprocess.Popen(command(*arguments), env=env, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while not list(folder.glob(f"*/{until}")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (stored,) = folder.glob("*/run.json")
        damage(RunRecord.model_validate_json(stored.read_bytes()), device, folder)
        if frozen:
            device.shell(f"chmod 555 {STORE}")
        trials = stored.with_name("trials.jsonl")
        ended = trials.read_text() if trials.exists() else ""
        told, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return Finished(json.loads(told)), ended


@pytest.fixture(scope="module")
def damaged(plan: Path, device: Adb, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run during which the file is damaged, after it was deployed, and cannot be replaced."""
    place = tmp_path_factory.mktemp("results")
    try:
        found, ended = run_and_damage(plan, device, env, place, until="run.json", frozen=True)
    finally:
        device.shell(f"chmod 755 {STORE}")
    assert '"second"' not in ended
    return found


def test_wrong_answers_fail_and_their_speed_is_not_compared(damaged: Finished, virtual_phone: VirtualPhone) -> None:
    frame = damaged.frame
    failed = frame[frame.status == "failed"]
    assert set(failed["pass"]) == {"accuracy"}
    assert set(zip(failed.model, failed.variant, failed.device, strict=True)) == {
        ("second", "baseline", virtual_phone.serial)
    }
    assert failed.reason.str.startswith("its answers are not the network's: out0 is").all()
    (latency,) = damaged.summaries("latency", model="second", variant="baseline", device=virtual_phone.serial)
    assert not latency["usable"]
    assert "wrong-answers" in latency["caveats"]
    for c in damaged.answer["comparisons"]:
        sides = [(c[side]["model"], c[side]["variant"], c[side]["device"]) for side in ("left", "right")]
        if ("second", "baseline", virtual_phone.serial) in sides and c["metric"] not in SIZES:
            assert not c["called"], c


def test_the_report_says_why(damaged: Finished) -> None:
    (said,) = (sentence for sentence in damaged.answer["answer"] if "no valid answers" in sentence)
    assert said.startswith("baseline second has no valid answers on emulator-")
    assert "its answers are not the network" in said
    assert "its answers are not the network" in (damaged.folder / "report.html").read_text()


def test_the_same_damage_before_a_run_is_repaired_and_reported(
    damaged: Finished, plan: Path, virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    narrow = ("--model", "second", "--launches", "1", "--results", tmp_path)
    again = run("-s", virtual_phone.serial, "--plan", plan, *narrow, env=env)
    assert set(again.frame.status) == {"ok"}
    file = weights(again.record).file("weights")
    assert again.record.transferred_bytes == {virtual_phone.serial: file.bytes}
    (note,) = (note for note in again.record.notes if "damaged" in note)
    assert note == f"{file.path.name} was damaged on {virtual_phone.serial} and was replaced"
    assert note in (again.folder / "report.html").read_text()


def test_damage_that_a_trial_finds_is_repaired_and_costs_nothing(
    plan: Path, device: Adb, env: dict[str, str], tmp_path: Path
) -> None:
    found, ended = run_and_damage(plan, device, env, tmp_path, until="run.json")
    assert '"second"' not in ended
    assert set(found.frame.status) == {"ok"}
    assert found.record.damaged == {}  # no trial had used the file before its answers were looked at
    (note,) = (note for note in found.record.notes if "damaged" in note)
    assert note == f"{weights(found.record).file('weights').path.name} was damaged on {device.serial} and was replaced"


def test_damage_after_the_answers_were_checked_is_found_at_the_end(
    plan: Path, device: Adb, env: dict[str, str], tmp_path: Path
) -> None:
    found, _ = run_and_damage(plan, device, env, tmp_path, until=f"parts/accuracy-second-baseline-{device.serial}*")
    assert set(found.frame.status) == {"ok"}
    assert found.record.damaged == {device.serial: ("second/baseline",)}
    assert "changed during the run" in " ".join(found.record.notes)
    for metric in ("latency", "vm_hwm"):
        for one in found.summaries(metric, device=device.serial):
            assert ("wrong-answers" in one["caveats"]) == (
                (one["subject"]["model"], one["subject"]["variant"]) == ("second", "baseline")
            )
    assert any("changed during the run" in notice for notice in found.answer["notices"])
