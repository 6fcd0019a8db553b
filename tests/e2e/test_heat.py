"""A phone that is warm, low or silent, end to end: waited for, tagged or refused; and why a virtual one has no energy.

The virtual phone prints the words of its files (docs/virtual-phone.md): these tests write what a warm phone says.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.results.folder import RunFolder
from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, bench, command
from tests.e2e.conftest import PhoneMaker

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def warm_phone(phone_maker: PhoneMaker) -> Iterator[VirtualPhone]:
    """A phone of its own, whose words a test may change."""
    phone = phone_maker.start()
    yield phone
    phones.stop(phone.serial)


def say(phone: VirtualPhone, service: str, old: str, new: str) -> None:
    """Let a service print something else from now on."""
    words = phone.folder / "root/system/etc/dumpsys" / service
    text = words.read_text()
    assert old in text
    words.write_text(text.replace(old, new))


def plan(tmp_path: Path, cool_seconds: float, more: str = "") -> Path:
    path = tmp_path / "plan.toml"
    case = f'[[cases]]\nmodel = "lenet5"\nvariants = ["baseline", "half"]\n{more}'
    path.write_text(f'name = "warm"\ndesktop = []\n{QUICK}\ncool_seconds = {cool_seconds}\n{case}')
    return path


def test_a_phone_that_grows_warm_is_waited_for_and_then_fit(
    warm_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    arguments = command("run", "-s", warm_phone.serial, "--plan", plan(tmp_path, 600), "--results", tmp_path / "r")
    with subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr
        waited = []
        for line in run.stderr:
            if "deploy" in line and not waited:  # the start has been looked at, nothing is measured yet
                say(warm_phone, "thermalservice", "mValue=31.4", "mValue=41.0")
            if "waiting until" in line:
                waited.append(line)
                say(warm_phone, "thermalservice", "mValue=41.0", "mValue=33.0")
        assert run.stdout
        run.stdout.read()
    assert run.returncode == 0
    assert len(waited) == 1
    assert f"{warm_phone.serial} is at 41 °C; waiting until 34.4 °C, at most 10 min" in waited[0]
    (folder,) = (tmp_path / "r").glob("*-warm")
    timed = [m for m in RunFolder(folder).measurements() if m.trial.pass_ == "latency"]
    assert {m.status for m in timed} == {"ok"}
    assert {m.conditions["skin_celsius"] for m in timed} == {33.0}
    assert all(m.conditions["after"]["skin_celsius"] == 33.0 for m in timed)


def test_a_phone_that_stays_hot_is_noted_and_what_it_gives_is_tagged(
    warm_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    say(warm_phone, "thermalservice", "Thermal Status: 0", "Thermal Status: 2")
    asked = plan(tmp_path, 0.5, "[cases.protocol]\nlaunches = 3\nmemory_launches = 1\nreference_launches = 1\n"
                 "warmup_iterations = 1\nwarmup_seconds = 0\nmin_iterations = 3\nmin_seconds = 0\ncool_seconds = 0.5\n"
                 "energy_seconds = 1\n")  # fmt: skip
    found = json.loads(
        bench("run", "-s", warm_phone.serial, "--plan", asked, "--results", tmp_path / "r", "--json", env=env).stdout
    )
    folder = RunFolder(Path(found["folder"]))
    record, measurements = folder.record(), folder.measurements()
    heat = next(gate for gate in record.preflight[warm_phone.serial] if gate.name == "heat")
    assert (heat.state, heat.waits) == ("unfit", True)
    assert any("was not fit when the run began: heat: the phone throttles" in note for note in record.notes)
    timed = [m for m in measurements if m.trial.pass_ == "latency"]
    assert {m.status for m in timed} == {"tagged"}
    for m in timed:
        assert "before its block the phone throttles for heat (thermal status 2) after 0.5 s of waiting" in m.reason
    assert {m.status for m in measurements if m.trial.pass_ == "memory"} == {"ok"}
    (latency, _) = [s for s in found["summaries"] if s["metric"] == "latency"]
    assert "tagged" in latency["caveats"]
    assert not latency["usable"]
    energy = [m for m in measurements if m.trial.pass_ == "energy"]
    assert {(m.status, m.reason) for m in energy} == {
        ("failed", "no energy: it is virtual: its battery is a profile's, which no load empties")
    }
    (table,) = [t for t in found["tables"] if t["section"] == "energy"]
    assert [row[2] for row in table["rows"]] == ["absent", "absent"]


def test_a_strict_run_refuses_a_hot_phone_before_anything_is_built(
    warm_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    say(warm_phone, "battery", "temperature: 280", "temperature: 452")
    arguments = ("-s", warm_phone.serial, "--plan", plan(tmp_path, 0), "--results", tmp_path / "r", "--strict")
    done = bench("run", *arguments, "--json", env=env, status=33)
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit"]) == ("DeviceUnfit", 33)
    assert "heat: the battery is hot (45.2 °C)" in error["what"]
    assert "build" not in done.stderr
    assert not (tmp_path / "r").exists()
    checks = {c["name"]: c for c in json.loads(bench("doctor", "-s", warm_phone.serial, "--json", env=env).stdout)}
    assert (checks["heat"]["state"], checks["heat"]["found"]) == ("warn", "the battery is hot (45.2 °C)")
    assert checks["heat"]["fix"] in error["fix"]


def test_a_virtual_phone_that_reports_nothing_passes_a_strict_run_and_no_clocks_are_made_up(
    warm_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    for service in ("battery", "thermalservice"):
        (warm_phone.folder / "root/system/etc/dumpsys" / service).unlink()
    arguments = ("-s", warm_phone.serial, "--plan", plan(tmp_path, 0), "--results", tmp_path / "r", "--strict")
    found = json.loads(bench("run", *arguments, "--json", env=env).stdout)
    timed = [m for m in RunFolder(Path(found["folder"])).measurements() if m.trial.pass_ == "latency"]
    assert {m.status for m in timed} == {"ok"}
    assert not any("clocks" in m.conditions for m in timed)
    assert not any(s["metric"] == "clock" for s in found["summaries"])
    assert "clocks not reported: which frequency it ran at is not known" in (
        Path(found["folder"]) / "report.html"
    ).read_text(encoding="utf-8")
