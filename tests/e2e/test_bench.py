"""The main job, end to end: real server, virtual phone, real runner, real networks; from one run, stored once."""

from __future__ import annotations

import html
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from bench.virtual.phone import VirtualPhone, stop
from tests.e2e.command import QUICK, Finished, bench, command, run
from tests.e2e.conftest import PhoneMaker

PLAN = f"""
name = "tiny"
{QUICK}
[[cases]]
model = "lenet5"
variants = ["baseline", "half", "fr-dense", "fr-resident"]
[[cases]]
model = "unet"
input_size = [32, 48]
variants = ["baseline", "fr-factored"]
data = {{samples = 4}}
"""


pytestmark = pytest.mark.timeout(1200)  # the first run trains LeNet-5 where the cache does not hold it


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture(scope="session")
def finished(
    virtual_phone: VirtualPhone, env: dict[str, str], plan: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    results = tmp_path_factory.mktemp("results")
    return run("--device", virtual_phone.serial, "--plan", plan, "--results", results, env=env)


def test_everything_is_measured_and_labelled(finished: Finished, virtual_phone: VirtualPhone) -> None:
    frame = finished.frame
    assert set(frame.status) == {"ok"}, set(frame.reason)
    assert frame.loc[frame.device == virtual_phone.serial, "virtual"].all()
    assert not frame.loc[frame.device == "desktop", "virtual"].any()
    places = set(zip(frame.device, frame.runtime, strict=True))
    assert places == {(virtual_phone.serial, "ncnn"), ("desktop", "ncnn"), ("desktop", "torch")}
    assert {f.name for f in finished.folder.iterdir()} >= {
        "summary.csv", "summary.parquet", "report.md", "plots", "run.json", "log.jsonl", "answers", "report.html"
    }  # fmt: skip
    page = (finished.folder / "report.html").read_text()
    assert "virtual" in page
    kept = [json.loads(line) for line in (finished.folder / "pictures.jsonl").read_text().splitlines()]
    shown = {(one["model"], one["kind"]) for one in kept}
    assert shown == {("lenet5", "input"), *(("unet", kind) for kind in ("input", "truth", "reference", "answer"))}
    assert {one["subject"]["device"] for one in kept if one["subject"]} == {virtual_phone.serial}
    assert "data:image/png;base64," in page


def test_the_report_has_the_very_command(finished: Finished, virtual_phone: VirtualPhone, plan: Path) -> None:
    words = json.loads((finished.folder / "run.json").read_text())["command"]
    assert words[:2] == ["bench", "run"]
    assert shlex.join(words) in html.unescape((finished.folder / "report.html").read_text())
    assert {virtual_phone.serial, str(plan)} <= set(words)


def test_a_network_answers_alike_wherever_it_runs(finished: Finished) -> None:
    digits = pd.DataFrame(
        {"variant": s["subject"]["variant"], "value": s["statistics"]["median"], "n": s["statistics"]["samples"]}
        for s in finished.summaries("top1", model="lenet5")
    )
    assert digits.groupby("variant").value.count().to_dict() == dict.fromkeys(
        ("baseline", "fr-dense", "fr-resident", "half"), 3
    )
    spread = digits.groupby("variant").value.agg(lambda values: values.max() - values.min())
    assert (spread <= 2 / digits.n.min()).all()  # one digit in doubt may fall either way by rounding
    assert digits.value.min() > 0.85
    masks = [s["statistics"]["median"] for s in finished.summaries("dice", variant="fr-factored")]
    assert len(masks) == 3
    assert min(masks) > 0.5
    for s in finished.summaries("top1", model="lenet5"):
        interval = s["statistics"]["interval"]
        assert interval["low"] < s["statistics"]["median"] < interval["high"]


def test_fr_is_smaller_on_the_phone(finished: Finished, virtual_phone: VirtualPhone) -> None:
    frame = finished.frame[finished.frame.device == virtual_phone.serial]
    deployed = frame[frame.metric == "deployed"].groupby(["model", "variant"]).value.max()
    assert deployed["unet", "baseline"] / deployed["unet", "fr-factored"] > 2500
    assert deployed["lenet5", "baseline"] / deployed["lenet5", "half"] > 1.9
    memory = frame[frame.metric == "vm_hwm"].groupby(["model", "variant"]).value.max()
    assert memory["unet", "baseline"] / memory["unet", "fr-factored"] > 2.5


def test_a_second_run_transfers_nothing(
    finished: Finished, virtual_phone: VirtualPhone, env: dict[str, str], plan: Path
) -> None:
    narrow = ("--model", "lenet5", "--variant", "baseline", "--launches", "1")
    arguments = ("-s", virtual_phone.serial, "--plan", plan, *narrow, "--results", finished.folder.parent)
    second = run(*arguments, env=env)
    assert finished.record.transferred_bytes[virtual_phone.serial] > 0
    assert second.record.transferred_bytes == {virtual_phone.serial: 0}
    assert second.folder != finished.folder


def test_the_terminal_says_virtual_and_names_the_report(
    finished: Finished, virtual_phone: VirtualPhone, env: dict[str, str], plan: Path, tmp_path: Path
) -> None:
    narrow = ("--model", "lenet5", "--variant", "baseline", "--launches", "1")
    done = bench("run", "-s", virtual_phone.serial, "--plan", plan, *narrow, "--results", tmp_path, env=env)
    assert f"{virtual_phone.serial} (virtual)" in done.stdout
    assert "report.html" in done.stdout
    assert "\x1b[" not in done.stdout + done.stderr
    assert "measure" in done.stderr
    assert "measure" not in done.stdout.splitlines()[0]


def test_a_report_is_made_again_without_a_phone_and_scores_the_answers_again(
    finished: Finished, env: dict[str, str], tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    shutil.rmtree(copied / "parts")
    for made in ("report.html", "summary.csv"):
        (copied / made).unlink()
    without = {**env, "ANDROID_ADB_SERVER_PORT": "9", "NO_COLOR": "1"}
    again = json.loads(bench("report", copied, "--json", env=without).stdout)
    assert again["summaries"] == finished.answer["summaries"]
    assert again["comparisons"] == finished.answer["comparisons"]
    assert (copied / "summary.csv").read_bytes() == (finished.folder / "summary.csv").read_bytes()
    assert len(pd.read_parquet(copied / "measurements.parquet")) == len(finished.frame)
    shown = bench("report", copied, env=without).stdout
    assert "(virtual)" in shown
    assert "\x1b[" not in shown


def test_a_killed_run_keeps_what_it_had(
    finished: Finished, virtual_phone: VirtualPhone, env: dict[str, str], plan: Path, tmp_path: Path
) -> None:
    arguments = ("run", "-s", virtual_phone.serial, "--plan", plan, "--model", "lenet5", "--results", tmp_path, "-q")
    process = subprocess.Popen(command(*arguments), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wanted = 16  # size and accuracy, and the first of memory
    try:
        for _ in range(1200):
            lines = [line for path in tmp_path.glob("*/trials.jsonl") for line in path.read_text().splitlines()]
            if len(lines) >= wanted or process.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    (folder,) = (p.parent for p in tmp_path.glob("*/trials.jsonl"))
    kept = len((folder / "trials.jsonl").read_text().splitlines())
    assert kept >= wanted
    bench("report", folder, env=env)
    frame = pd.read_parquet(folder / "measurements.parquet")
    assert frame.trial.nunique() in (kept, kept + 1)
    assert "This run was interrupted." in (folder / "report.html").read_text()


def test_an_arm_phone_agrees_and_its_times_are_said_to_mean_nothing(
    phone_maker: PhoneMaker, env: dict[str, str], plan: Path, tmp_path: Path
) -> None:
    arm = phone_maker.start("pixel-8-arm64")
    narrow = ("--model", "lenet5", "--variant", "baseline", "--variant", "fr-resident", "--launches", "1")
    try:
        found = run("-s", arm.serial, "--plan", plan, *narrow, "--results", tmp_path, env=env)
    finally:
        stop(arm.serial)
    on_arm = found.frame[found.frame.device == arm.serial]
    assert on_arm.translated.all()
    agreement = found.summaries("agreement", device=arm.serial)
    assert len(agreement) == 2
    assert all(s["statistics"]["median"] == 1 for s in agreement)
    timings = found.summaries("latency", device=arm.serial)
    assert timings
    assert not any(s["usable"] for s in timings)


def test_quiet_says_only_where_the_report_is(finished: Finished, env: dict[str, str]) -> None:
    assert bench("report", finished.folder, env={**env, "PYTHONIOENCODING": "ascii"}).stdout.isascii()
    assert os.fspath(finished.folder) in bench("report", finished.folder, env=env).stdout
