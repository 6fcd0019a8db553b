"""`bench run --profile` on a virtual phone: what is stored, what is shown, and what a runtime refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bench.layered import LayerRecord
from bench.results.folder import RunFolder
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, Finished, bench, run

pytestmark = pytest.mark.timeout(1200)

PLAN = f"""
name = "layers"
desktop = ["torch", "ncnn"]
{QUICK.replace("launches = 3", "launches = 1", 1)}
[[cases]]
model = "lenet5"
variants = ["baseline", "fr-resident"]
data = {{ samples = 10 }}
"""


@pytest.fixture(scope="module")
def finished(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("profile")
    (folder / "plan.toml").write_text(PLAN)
    given = ("--plan", folder / "plan.toml", "--profile", "--launches", "1", "--results", folder)
    return run("--device", virtual_phone.serial, *given, env=env)


@pytest.fixture(scope="module")
def layers(finished: Finished) -> dict[str, tuple[LayerRecord, ...]]:
    folder = RunFolder(finished.folder)
    return folder.layers(folder.frame())


def of(layers: dict[str, tuple[LayerRecord, ...]], variant: str, device: str) -> tuple[LayerRecord, ...]:
    return next(found for trial, found in layers.items() if f"/{variant}/{device}/" in trial)


def test_all_launches_ended_well(finished: Finished) -> None:
    profiled = finished.frame[finished.frame["pass"] == "profile"]
    assert set(profiled.status) == {"ok"}, set(profiled.reason)
    assert set(profiled.runtime) == {"ncnn"}
    assert set(profiled.metric) == {"layers", "layered", "plain"}


def test_layers_come_in_order_under_the_names_of_the_network(
    layers: dict[str, tuple[LayerRecord, ...]], virtual_phone: VirtualPhone
) -> None:
    for device in (virtual_phone.serial, "desktop"):
        found = of(layers, "baseline", device)
        assert [layer.module for layer in found if layer.module] == ["conv1", "conv2", "fc1", "fc2"]
        assert [layer.macs for layer in found if layer.module] == [288_000, 1_600_000, 400_000, 5_000]
    ours = of(layers, "fr-resident", "desktop")
    assert [layer.module for layer in ours if layer.module] == ["conv1", "conv2", "fc1", "fc2"]


def test_the_layers_of_a_launch_sum_up_to_what_is_stored(
    finished: Finished, layers: dict[str, tuple[LayerRecord, ...]]
) -> None:
    sums = finished.frame[finished.frame.metric == "layers"].set_index("trial").value
    assert {trial: sum(layer.ns for layer in found) for trial, found in layers.items()} == sums.astype(int).to_dict()


def test_the_report_has_them_for_people_and_programs(
    finished: Finished, env: dict[str, str], virtual_phone: VirtualPhone
) -> None:
    said = bench("report", finished.folder, env=env).stdout
    assert "The sum of layers" in said
    assert f"{virtual_phone.serial} (virtual)" in said
    assert {one["subject"]["variant"] for one in finished.answer["profiles"]} == {"baseline", "fr-resident"}
    lines = (finished.folder / "layers.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines[1:]))
    assert sum(row["layer"] == "conv2" for row in rows) == 4
    assert {row["virtual"] for row in rows if row["device"] == virtual_phone.serial} == {"True"}
    assert (finished.folder / "plots" / "layers.png").is_file()
    assert (Path(finished.folder) / "layers").is_dir()
