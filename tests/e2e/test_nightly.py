"""Nights on a virtual phone: two good ones, a third with a slower network, one that is cut off, one without a phone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import xmlschema

from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, bench, command
from tests.e2e.conftest import PhoneMaker

pytestmark = pytest.mark.timeout(900)
SCHEMA = Path(__file__).parents[1] / "schemas" / "junit.xsd"
NETWORK = """
from torch import nn

def build(width: int = 8) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )
"""
PROTOCOL = (
    QUICK.replace("memory_launches = 1", "memory_launches = 3")
    .replace("launches = 3", "launches = 5", 1)
    .replace("min_iterations = 3\nmin_seconds = 0", "min_iterations = 50\nmin_seconds = 0.1")
)
"""One launch has no interval, and a few launches of three inferences can differ twofold on a busy computer."""
WIDE = ("--margin", "95%", "--rule-out", "95%")
"""Margins that no other work on this computer reaches: these tests are about what follows from a figure."""


class Nights:
    """A folder with a network and a plan, and a phone for it."""

    def __init__(self, folder: Path, phone: VirtualPhone, env: dict[str, str]) -> None:
        self.folder, self.results, self.env = folder, folder / "results", env
        self.phone = ("--device", phone.serial)
        (folder / "net.py").write_text(NETWORK)

    def plan(self, width: int, more: str = "") -> Path:
        path = self.folder / "plan.toml"
        path.write_text(
            f'name = "night"\ndesktop = []\n{PROTOCOL}{more}\n[[cases]]\nmodel = "{self.folder / "net.py"}:build"\n'
            f'label = "net"\narguments = {{ width = {width} }}\ninput = "1x48x48"\nvariants = ["baseline"]\n'
        )
        return path

    def arguments(self, width: int, *more: str, plan: str = "") -> tuple[str, ...]:
        places = ("--results", str(self.results), "--json", "--quiet")
        return ("nightly", "--plan", str(self.plan(width, plan)), *self.phone, *places, *WIDE, *more)

    def night(self, width: int, *more: str, status: int) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            bench(*self.arguments(width, *more), env=self.env, status=status, cwd=self.folder).stdout
        )
        assert answer["exit"] == status
        xmlschema.validate(answer["files"]["junit"], SCHEMA)
        stored = json.loads(Path(answer["files"]["json"]).read_text())
        assert stored == {key: value for key, value in answer.items() if key not in ("files", "on_end")}
        return answer

    def tagged(self) -> list[str]:
        listed = bench("results", "list", "--results", self.results, "--tag", "last-good", "--json", env=self.env)
        return [one["name"] for one in json.loads(listed.stdout)]


@pytest.fixture
def nights(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path) -> Nights:
    return Nights(tmp_path, virtual_phone, env)


def test_two_nights_are_good_and_a_slower_network_is_called_on_the_third(nights: Nights) -> None:
    first = nights.night(8, status=0)
    assert (first["status"], first["baseline"]["run"], first["verdicts"], first["tagged"]) == ("good", None, [], True)
    second = nights.night(8, status=0)
    assert {one["metric"]: one["outcome"] for one in second["verdicts"]} == dict.fromkeys(
        ("latency", "vm_hwm", "deployed"), "same"
    )
    assert nights.tagged() == [Path(second["folder"]).name]

    note = nights.folder / "told"
    (nights.folder / "tell.py").write_text(
        "import json, os, sys, pathlib\n"
        "status = json.loads(pathlib.Path(sys.argv[2]).read_text())['status']\n"
        'pathlib.Path(sys.argv[1]).write_text(f\'{status} {os.environ["BENCH_STATUS"]}; {os.environ["BENCH_EXIT"]}\')\n'
        "sys.exit(7)\n"
    )
    tell = f"'{sys.executable}' '{nights.folder / 'tell.py'}' '{note}'"
    third = nights.night(96, "--keep-raw", "1", "--on-end", tell, status=1)
    assert third["baseline"]["run"] == f"{Path(second['folder']).name} (last-good)"
    latency = next(one for one in third["verdicts"] if one["metric"] == "latency")
    assert (latency["outcome"], latency["suspected"]["outcome"]) == ("worse", "worse")
    assert latency["launches"][1] == 10 > latency["suspected"]["launches"][1]
    assert latency["since"]["nights"] == 1
    assert Path(latency["since"]["folder"]) == Path(third["folder"]).absolute()
    day = latency["since"]["started"][:10]
    page = Path(third["files"]["markdown"]).read_text()
    assert f"since {day} (1 night)" in page
    assert "🔴" in page
    assert "slower" in Path(third["files"]["junit"]).read_text()
    assert (note.read_text(), third["on_end"]) == ("regression regression; 1", "it left with status 7")

    # What nobody will compute from again is gone; the baseline keeps its raw data, and the tag stays where it was.
    assert third["pruned"] == [Path(first["folder"]).name]
    assert not (Path(first["folder"]) / "parts").exists()
    assert (Path(second["folder"]) / "parts").is_dir()
    assert nights.tagged() == [Path(second["folder"]).name]
    before = (Path(first["folder"]) / "report.html").read_bytes()
    refused = bench("report", first["folder"], env=nights.env, status=2)
    assert "pruned on" in refused.stderr
    assert (Path(first["folder"]) / "report.html").read_bytes() == before
    names = [
        one["name"]
        for one in json.loads(bench("results", "list", "--results", nights.results, "--json", env=nights.env).stdout)
    ]
    assert len(names) == 3  # the second measurement of the third night is no night


def test_a_phone_that_is_not_there_makes_a_night_incomplete(nights: Nights) -> None:
    found = nights.night(8, "--device", "no-such-phone", "--out", str(nights.folder / "out"), status=2)
    assert "no-such-phone is missing" in found["incomplete"][0]
    assert found["folder"]
    assert not found["tagged"]
    assert sorted(file.name for file in (nights.folder / "out").iterdir()) == [
        "nightly.json",
        "nightly.md",
        "nightly.xml",
    ]


def begun(night: subprocess.Popen[str], results: Path, trials: int) -> None:
    """Wait until so many trials have ended."""
    ended = 0
    while ended < trials:
        assert night.poll() is None
        time.sleep(0.1)
        ended = sum(file.read_bytes().count(b"\n") for file in results.glob("*/trials.jsonl"))


def test_a_phone_that_goes_away_makes_a_night_incomplete(
    phone_maker: PhoneMaker, env: dict[str, str], tmp_path: Path
) -> None:
    phone = phone_maker.start()
    nights = Nights(tmp_path, phone, env)
    arguments = nights.arguments(8, "--launches", "10")
    impatient = env | {"FR_BENCH_PATIENCE": "15"}
    night = subprocess.Popen(command(*arguments), env=impatient, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    begun(night, nights.results, 4)
    phones.stop(phone.serial)
    stdout, _ = night.communicate(timeout=600)
    answer = json.loads(stdout)
    assert (night.returncode, answer["status"], answer["tagged"]) == (2, "incomplete", False)
    assert f"failed on {phone.serial}; the first, " in answer["incomplete"][0]
    xmlschema.validate(answer["files"]["junit"], SCHEMA)


def test_a_night_that_is_stopped_says_what_it_had(nights: Nights) -> None:
    arguments = nights.arguments(8, "--launches", "500")
    night = subprocess.Popen(command(*arguments), env=nights.env, cwd=nights.folder, stdout=subprocess.PIPE, text=True)
    begun(night, nights.results, 4)
    night.send_signal(signal.SIGTERM)
    stdout, _ = night.communicate(timeout=300)
    answer = json.loads(stdout)
    assert (night.returncode, answer["status"]) == (2, "incomplete")
    assert "interrupted after" in answer["incomplete"][0]
    assert (Path(answer["folder"]) / "report.html").is_file()
    assert nights.tagged() == []
