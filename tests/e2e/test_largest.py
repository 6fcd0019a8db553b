"""The memory test on a virtual phone with little memory: real launches that the phone's memory ends."""

from __future__ import annotations

import pytest

from bench.results.folder import RunFolder
from bench.virtual.phone import stop
from tests.e2e.command import QUICK, Finished, run
from tests.e2e.conftest import PhoneMaker

pytestmark = pytest.mark.timeout(1200)

RAM = 128 * 2**20
NETWORK = """
from torch import nn


def build():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(32, 3, 3, padding=1, bias=False),
    )
"""
PLAN = f"""
name = "memory"
desktop = ["ncnn"]
{QUICK}
largest_side = 4096
[[cases]]
model = "FOLDER/net.py:build"
input = "3x64x64"
data = {{samples = 1}}
variants = ["baseline", "fr-resident:100"]
[[cases]]
model = "lenet5"
data = {{samples = 1}}
variants = ["baseline"]
"""


@pytest.fixture(scope="module")
def finished(phone_maker: PhoneMaker, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("memory")
    (folder / "net.py").write_text(NETWORK)
    (folder / "plan.toml").write_text(PLAN.replace("FOLDER", str(folder)))
    phone = phone_maker.start(ram=RAM)
    try:
        arguments = ("--plan", folder / "plan.toml", "--results", folder / "results")
        return run("--device", phone.serial, *arguments, env=env)
    finally:
        stop(phone.serial)


def largest(finished: Finished, variant: str) -> float:
    (found,) = finished.summaries("largest_picture", model="net", variant=variant)
    assert found["usable"]
    assert found["caveats"] == ["virtual"]
    value: float = found["statistics"]["median"]
    return value


def test_the_largest_picture_is_what_the_phones_memory_holds(finished: Finished) -> None:
    ordinary, resident = largest(finished, "baseline"), largest(finished, "fr-resident:100")
    assert 64**2 < ordinary < RAM / (32 * 4)  # a layer of it writes 32 channels for each pixel
    assert resident > 3 * ordinary


def test_what_ended_it_and_the_memory_of_the_phone_are_stored(finished: Finished) -> None:
    trials = [m for m in RunFolder(finished.folder).measurements() if m.trial.pass_ == "largest" and m.status == "ok"]
    assert len(trials) == 2
    for one in trials:
        assert "was too much, twice: the system killed the runner" in one.conditions["largest_end"]
        assert one.conditions["largest_tried"].startswith("64, 128, 256")
        assert one.conditions["memory_total"] == RAM
        assert 0 < one.conditions["memory_available"] <= RAM
        assert one.reason == ""


def test_a_network_of_one_size_says_why_it_has_no_largest_picture(finished: Finished) -> None:
    (one,) = (m for m in RunFolder(finished.folder).measurements() if m.trial.pass_ == "largest" and m.status != "ok")
    assert one.trial.subject.model == "lenet5"
    assert one.reason == (
        "the files of baseline lenet5 for ncnn take pictures of 28×28 alone: they are written for one size, or a layer "
        "of it depends on the size"
    )


def test_this_computers_own_memory_is_never_tried(finished: Finished) -> None:
    frame = finished.frame
    assert "desktop" not in set(frame[frame["pass"] == "largest"].device)
    assert "desktop" in set(frame.device)


def test_the_report_shows_sides_and_the_gain(finished: Finished) -> None:
    (table,) = (t for t in finished.answer["tables"] if t["section"] == "largest")
    rows = {(row[0].split()[0], row[1]): row for row in table["rows"]}
    side = round(largest(finished, "baseline") ** 0.5)
    assert rows["net", "baseline"][3] == f"{side:,} × {side:,}"
    gain = largest(finished, "fr-resident:100") / largest(finished, "baseline")
    assert float(rows["net", "fr-resident:100"][4].removesuffix("×")) == pytest.approx(gain, rel=0.01)
    assert rows["lenet5", "baseline"][3] == "–"
