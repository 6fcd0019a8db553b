"""Every mistake has words, a way out and an exit code; the other verbs beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, bench

PLAN = f'name = "tiny"\n{QUICK}\n[[cases]]\nmodel = "lenet5"\n'


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["run", "--device", "no-such-phone"], 10, "connected: emulator-"),
        (["run", "--suite", "quik"], 4, "Did you mean quick?"),
        (["run", "--model", "lenet"], 4, "lenet5"),
        (["run", "--variant", "fr-dens"], 4, "fr-dense"),
        (["run", "--variant", "fr:1000000x"], 2, "1000000"),
        (["run", "--runtime", "tflite"], 4, "tflite"),
        (["run", "--plan", "missing.toml"], 3, "missing.toml"),
        (["run", "--plan", "/dev/zero"], 3, "not an ordinary file"),
        (["run", "--weights", "/dev/zero"], 2, "/dev/zero"),
        (["run", "--data", "/dev/zero"], 2, "/dev/zero"),
        (["run", "--model", "/dev/zero", "--input", "1x8x8"], 2, "/dev/zero"),
        (["run", "--plan", "a.toml", "--suite", "quick"], 2, "both"),
        (["run", "--adb-server", "nonsense"], 2, "address"),
        (["run", "--threads", "0"], 2, "threads"),
        (["run", "--cores", "fast"], 2, "cores"),
        (["run", "--input", "3x"], 2, "3x224x224"),
        (["report", "no-such-folder"], 4, "unknown run"),
        (["report", "."], 2, "no run.json"),
        (["report", "--results", "."], 2, "there is no run in"),
        (["run", "--results", "/proc/x"], 2, "/proc/x"),
        (["plan", "--data", "/dev/zero"], 2, "/dev/zero"),
        (["plan", "--cores", "0x0"], 2, "0x0"),
        (["phone", "start", "--profile", "pixel"], 4, "pixel-8"),
        (["phone", "start", "--ram", "lots"], 2, "2G"),
        (["phone", "stop", "emulator-9999"], 10, "emulator-9999"),
        (["dance"], 2, "dance"),
    ],
)
def test_a_mistake_has_words_and_an_exit_code(
    arguments: list[str], status: int, word: str, virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    done = bench(*arguments, env=env, status=status, cwd=tmp_path)
    assert word in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_a_bad_plan_names_line_and_key(env: dict[str, str], tmp_path: Path, virtual_phone: VirtualPhone) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(PLAN + "lunches = 3\n")
    done = bench("run", "--plan", bad, "--json", env=env, status=3)
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit"]) == ("PlanError", 3)
    assert f"bad.toml:{len(PLAN.splitlines()) + 1}: cases.[0].lunches: unknown key" in error["what"]


def test_a_plan_in_a_pipe_is_refused_and_not_waited_for(env: dict[str, str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan.toml")
    assert "not an ordinary file" in bench("plan", "--plan", tmp_path / "plan.toml", env=env, status=3).stderr


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
    assert [row[0] for row in outline["rows"]] == ["lenet5", "unet", "unet-small"]
    assert outline["trials"] > 50


def test_a_serial_in_the_environment_counts(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path) -> None:
    done = bench("run", "--results", tmp_path, env={**env, "ANDROID_SERIAL": "R5CT1234"}, status=10)
    assert virtual_phone.serial in done.stderr
