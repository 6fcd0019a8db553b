"""`bench` as a person or a device farm calls it: real server, virtual phone, real runner, real networks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.virtual.phone import VirtualPhone, stop
from tests.e2e.conftest import Adb, PhoneMaker

PLAN = """
name = "tiny"
[protocol]
launches = 3
reference_launches = 1
memory_launches = 1
warmup_iterations = 1
warmup_seconds = 0
min_iterations = 3
min_seconds = 0
[[cases]]
model = "lenet5"
[[cases]]
model = "unet"
input_size = [32, 48]
"""


@pytest.fixture
def env(adb: Adb, phone_home: Path) -> dict[str, str]:
    """This process's environment: the session's adb server and phones, the user's cache."""
    return {**os.environ, "COLUMNS": "200"}


def bench(*arguments: str | Path, env: dict[str, str], status: int = 0) -> subprocess.CompletedProcess[str]:
    """The command, which must leave with `status` and never with a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *map(str, arguments)],
        env=env, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def test_the_main_job(virtual_phone: VirtualPhone, env: dict[str, str], plan: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    arguments = ("run", "--device", virtual_phone.serial, "--plan", plan, "--results", results)
    first = json.loads(bench(*arguments, "--json", env=env).stdout)
    folder = Path(first["folder"])
    frame = pd.read_parquet(folder / "measurements.parquet")
    assert set(frame.status) == {"ok"}
    assert frame.loc[frame.device == virtual_phone.serial, "virtual"].all()
    assert not frame.loc[frame.device == "desktop", "virtual"].any()

    # One network: desktop torch, desktop native and the phone agree to the last digit.
    digits = frame[(frame.metric == "accuracy") & (frame.model == "lenet5")]
    assert digits.groupby("variant").value.nunique().tolist() == [1, 1, 1]
    assert len(digits) == 9
    assert digits.value.min() > 0.85
    # Masks are judged by their Dice; the ordinary UNet, which nobody has trained, has none.
    masks = frame[(frame.metric == "accuracy") & (frame.model == "unet")].groupby("variant").value
    assert masks.count().to_dict() == {"fr-dense": 3, "fr-factored": 3}
    assert masks.min().min() > 0.5
    assert (masks.max() - masks.min()).max() < 5e-5
    worst = frame[frame.metric == "max_abs_delta"].set_index(["trial"]).value
    largest = frame[frame.metric == "max_abs_reference"].set_index(["trial"]).value
    assert (worst / largest).max() <= 1e-3

    deployed = frame[frame.metric == "deployed"].groupby(["model", "variant"]).value.max()
    assert deployed["unet", "baseline"] / deployed["unet", "fr-factored"] > 5000
    memory = (
        frame[(frame.metric == "vm_hwm") & (frame.device == virtual_phone.serial)]
        .groupby(["model", "variant"])
        .value.max()
    )
    assert memory["unet", "baseline"] / memory["unet", "fr-factored"] > 2.5

    page = (folder / "report.html").read_text()
    assert "virtual" in page
    assert "untrained: speed and fidelity only" in page
    assert {"summary.csv", "latency.png", "memory.png", "size.png", "run.json", "log.jsonl"} <= {
        f.name for f in folder.iterdir()
    }

    second = json.loads(bench(*arguments, "--json", env=env).stdout)
    assert second["record"]["transferred_bytes"] == {virtual_phone.serial: 0}
    assert second["folder"] != first["folder"]


def test_the_terminal_says_virtual_and_names_the_report(
    virtual_phone: VirtualPhone, env: dict[str, str], plan: Path, tmp_path: Path
) -> None:
    narrow = ("--model", "lenet5", "--variant", "baseline", "--launches", "1")
    done = bench("run", "-s", virtual_phone.serial, "--plan", plan, *narrow, "--results", tmp_path / "r", env=env)
    assert f"{virtual_phone.serial} (virtual)" in done.stdout
    assert "report.html" in done.stdout
    assert "\x1b[" not in done.stdout + done.stderr
    assert "measure" in done.stderr
    assert "measure" not in done.stdout.splitlines()[0]
    again = bench("report", "--results", tmp_path / "r", env=env)
    assert f"{virtual_phone.serial} (virtual)" in again.stdout


def test_a_killed_run_keeps_what_it_had(
    virtual_phone: VirtualPhone, env: dict[str, str], plan: Path, tmp_path: Path
) -> None:
    arguments = ["run", "-s", virtual_phone.serial, "--plan", str(plan), "--results", str(tmp_path), "-q"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.cli", *arguments], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        for _ in range(1200):
            lines = [line for path in tmp_path.glob("*/trials.jsonl") for line in path.read_text().splitlines()]
            if len(lines) >= 15 or process.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    (folder,) = (p.parent for p in tmp_path.glob("*/trials.jsonl"))
    kept = len((folder / "trials.jsonl").read_text().splitlines())
    assert kept >= 15
    bench("report", folder, env=env)
    frame = pd.read_parquet(folder / "measurements.parquet")
    assert frame.trial.nunique() in (kept, kept + 1)
    assert "This run was interrupted." in (folder / "report.html").read_text()


def test_an_arm_phone_agrees_and_its_times_are_said_to_mean_nothing(
    phone_maker: PhoneMaker, env: dict[str, str], plan: Path, tmp_path: Path
) -> None:
    arm = phone_maker.start("pixel-8-arm64")
    try:
        done = bench(
            "run", "-s", arm.serial, "--plan", plan, "--model", "lenet5", "--launches", "1", "--results", tmp_path,
            "--json", env=env,
        )  # fmt: skip
    finally:
        stop(arm.serial)
    answer = json.loads(done.stdout)
    frame = pd.read_parquet(Path(answer["folder"]) / "measurements.parquet")
    on_arm = frame[frame.device == arm.serial]
    assert on_arm.translated.all()
    agreement = on_arm[on_arm.metric == "agreement"].value
    assert len(agreement) == 3
    assert agreement.min() == 1.0
    timings = [s for s in answer["summaries"] if s["metric"] == "latency" and s["subject"]["device"] == arm.serial]
    assert timings
    assert not any(s["usable"] for s in timings)


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["run", "--device", "no-such-phone"], 10, "connected: emulator-"),
        (["run", "--suite", "quik"], 4, "Did you mean quick?"),
        (["run", "--model", "lenet"], 4, "lenet5"),
        (["run", "--variant", "fr-dens"], 4, "fr-dense"),
        (["run", "--plan", "missing.toml"], 3, "missing.toml"),
        (["run", "--adb-server", "nonsense"], 2, "address"),
        (["run", "--threads", "0"], 2, "threads"),
        (["report", "no-such-folder"], 31, "no-such-folder"),
        (["phone", "start", "--profile", "pixel"], 4, "pixel-8"),
        (["phone", "start", "--ram", "lots"], 2, "2G"),
        (["phone", "stop", "emulator-9999"], 10, "emulator-9999"),
        (["dance"], 2, "dance"),
    ],
)
def test_a_mistake_has_words_and_an_exit_code(
    arguments: list[str], status: int, word: str, virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    done = bench(*arguments, env=env, status=status)
    assert word in done.stderr
    assert done.stdout == ""


def test_a_bad_plan_names_line_and_key(env: dict[str, str], tmp_path: Path, virtual_phone: VirtualPhone) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(PLAN + "lunches = 3\n")
    done = bench("run", "--plan", bad, "--json", env=env, status=3)
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit"]) == ("PlanError", 3)
    assert "bad.toml:16: cases.[1].lunches: unknown key" in error["what"]


def test_devices_doctor_and_clean(virtual_phone: VirtualPhone, env: dict[str, str]) -> None:
    rows = {row["serial"]: row for row in json.loads(bench("devices", "--json", env=env).stdout)}
    assert (rows[virtual_phone.serial]["state"], rows[virtual_phone.serial]["virtual"]) == ("device", True)
    assert virtual_phone.serial in bench("devices", env=env).stdout
    checks = {
        c["name"]: c["state"] for c in json.loads(bench("doctor", "-s", virtual_phone.serial, "--json", env=env).stdout)
    }
    assert {checks[name] for name in ("adb server", "device", "ABI", "ziglang", "cmake")} == {"ok"}
    assert "Removed" in bench("clean", "--device", virtual_phone.serial, env=env).stderr


def test_help_has_examples_and_plan_touches_nothing(env: dict[str, str]) -> None:
    without_server = {**env, "ANDROID_ADB_SERVER_PORT": "9"}
    assert "bench run --device emulator-5554" in bench("run", "--help", env=without_server).stdout
    outline = json.loads(bench("plan", "--suite", "demo", "--json", env=without_server).stdout)
    assert [row[0] for row in outline["rows"]] == ["lenet5", "unet"]
    assert outline["trials"] > 50


def test_a_serial_in_the_environment_counts(virtual_phone: VirtualPhone, env: dict[str, str], plan: Path) -> None:
    done = bench("run", "--plan", plan, env={**env, "ANDROID_SERIAL": "R5CT1234"}, status=10)
    assert virtual_phone.serial in done.stderr
