"""`bench schedule` from end to end: a run on a virtual phone, its networks served together there, and its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.results.schedules import NAME, schedules
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, Finished, bench, run

pytestmark = pytest.mark.timeout(1200)

PLAN = f"""
name = "served"
desktop = []
{QUICK}
[[cases]]
model = "lenet5"
variants = ["baseline", "half"]
data = {{ samples = 40 }}

[[cases]]
model = "unet-small"
variants = ["baseline"]
input_size = [32, 48]
data = {{ samples = 4 }}
"""
WORKLOAD = """
name = "pair"
networks = [
    { network = "lenet5", accuracy = 0.9, latency_ms = 500, rate = 10 },
    { network = "unet-small", accuracy = 0.5, latency_ms = 500, rate = 10 },
]
phases = [
    { seconds = 1, memory_mb = 200, processor = 0.6 },
    { seconds = 0.5, memory_mb = 100, processor = 0.3 },
]
"""


@pytest.fixture(scope="module")
def finished(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("run")
    (folder / "plan.toml").write_text(PLAN)
    return run("--device", virtual_phone.serial, "--plan", folder / "plan.toml", "--results", folder, env=env)


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workload") / "workload.toml"
    path.write_text(WORKLOAD)
    return path


def test_networks_are_served_together_and_the_report_shows_it(
    finished: Finished, workload: Path, virtual_phone: VirtualPhone, env: dict[str, str]
) -> None:
    asked = ("schedule", finished.folder, "--plan", workload, "--rounds", "1", "--fixed", "1", "--json")
    answer = json.loads(bench(*asked, env=env).stdout)
    measured = answer["measured"]
    assert (measured["device"], measured["virtual"]) == (virtual_phone.serial, True)
    assert [one["policy"]["name"] for one in measured["policies"]] == ["adaptive", "fixed 1"]
    assert measured["against"][0]["outcome"] == "cannot tell"
    stored = schedules(finished.folder).read()
    assert {one.policy.name for one in stored} == {"adaptive", "fixed 1"}
    for launch in stored:
        assert launch.serving is not None, launch.reason
        assert [len(one.requests) for one in launch.serving.served] == [10, 10, 5, 5]
        assert all(one.own for one in launch.serving.served)
        assert launch.conditions
    shown = bench("report", finished.folder, env=env).stdout
    assert f"pair on {virtual_phone.serial} (virtual), MinTotalCost" in " ".join(shown.split())
    assert "too few rounds for an interval" in " ".join(shown.split())


def test_a_network_whose_file_is_another_one_now_is_refused(
    finished: Finished, workload: Path, env: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "run"
    other.mkdir()
    for one in finished.folder.iterdir():
        if one.name not in ("run.json", NAME):
            (other / one.name).symlink_to(one)
    record = json.loads((finished.folder / "run.json").read_text())
    for artifact in record["artifacts"]:
        for file in artifact["files"]:
            file["sha256"] = "0" * 64
    (other / "run.json").write_text(json.dumps(record))
    done = bench("schedule", other, "--plan", workload, "--rounds", "1", env=env, status=2)
    assert "is gone or is another file now" in done.stderr
    assert not (other / NAME).exists()


def test_figures_of_another_phone_are_refused(
    finished: Finished, workload: Path, env: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "run"
    other.mkdir()
    for one in finished.folder.iterdir():
        if one.name not in ("run.json", NAME):
            (other / one.name).symlink_to(one)
    record = json.loads((finished.folder / "run.json").read_text())
    for device in record["devices"]:
        device["name"] = "Another phone"
    (other / "run.json").write_text(json.dumps(record))
    done = bench("schedule", other, "--plan", workload, "--rounds", "1", env=env, status=2)
    assert "this run measured Another phone there" in done.stderr
