"""What is remembered of devices."""

from __future__ import annotations

from pathlib import Path

from bench.campaign.health import MOST_EVENTS, Health


def test_runs_and_failures_are_counted(tmp_path: Path) -> None:
    health = Health(tmp_path)
    health.run("R5 CT", "night", 10, {"TransportBroken": 2}, aside=False)
    health.run("R5 CT", "night-2", 5, {"TransportBroken": 1, "RunnerFailed": 1}, aside=False)
    found = health.summary("R5 CT")
    assert (found.runs, found.trials, found.failures) == (2, 15, {"TransportBroken": 3, "RunnerFailed": 1})
    assert found.last_seen
    assert health.known() == ("R5 CT",)
    assert health.summary("another").runs == 0


def test_one_that_is_set_aside_stays_so_until_it_was_well(tmp_path: Path) -> None:
    health = Health(tmp_path)
    health.set_aside("a", "it went\x1b[2J away")
    health.run("a", "night", 3, {"DeviceOffline": 3}, aside=True)
    found = health.summary("a")
    assert found.set_aside_since
    assert found.set_aside_why == "it went away"
    assert found.last_seen == ""
    health.back("a")
    assert health.summary("a").set_aside_since == ""
    health.set_aside("a", "again")
    health.run("a", "night-2", 3, {}, aside=False)
    assert health.summary("a").set_aside_since == ""


def test_serials_that_look_alike_as_file_names_are_two(tmp_path: Path) -> None:
    health = Health(tmp_path)
    for serial in ("a:1", "a_1", "../../a_1"):
        health.back(serial)
    assert sorted(health.known()) == ["../../a_1", "a:1", "a_1"]
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def test_it_never_grows_beyond_its_bound(tmp_path: Path) -> None:
    health = Health(tmp_path)
    for number in range(3 * MOST_EVENTS):
        health.run("a", str(number), 1, {}, aside=False)
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().splitlines()) <= 2 * MOST_EVENTS
    assert MOST_EVENTS <= health.summary("a").runs <= 2 * MOST_EVENTS


def test_damaged_lines_and_a_folder_that_cannot_be_written_are_no_error(tmp_path: Path) -> None:
    health = Health(tmp_path)
    health.run("a", "night", 1, {}, aside=False)
    (file,) = tmp_path.iterdir()
    with file.open("ab") as lines:
        lines.write(b'{"event": "run"}\n{"event": 1, "at": 2}\n[1]\n\xff\n{"serial": "a", "at": "x", "eve')
    assert health.summary("a").runs == 1
    Health(Path("/proc/nothing")).back("a")
    assert Health(Path("/proc/nothing")).known() == ()
