"""`bench schedule`: what it chooses of a stored run, what it refuses, and what a report shows of launches."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.results.folder import RunFolder
from bench.results.schedules import schedules
from tests.rivals import FEW, One, store
from tests.unit.cli.command_kit import Command, command
from tests.unit.serving_kit import launches

__all__ = ["command"]

PLAN = """
name = "digits"

[[networks]]
network = "lenet5"
accuracy = 0.97
latency_ms = 20
rate = 10

[[phases]]
seconds = 2
memory_mb = 10
processor = 0.6

[[phases]]
seconds = 2
memory_mb = 2.65
processor = 0.2
"""


@pytest.fixture
def few(command: Command) -> Command:
    """A run of six variants as the newest in the results."""
    store(command.results, "few", FEW, launches=3, count=300)
    return command


def plan(folder: Path, text: str = PLAN) -> Path:
    path = folder / "workload.toml"
    path.write_text(text)
    return path


def test_a_choice_needs_no_phone_and_says_what_it_is_worth(few: Command, tmp_path: Path) -> None:
    done = few("schedule", "2026-11-26-few", "--plan", plan(tmp_path), "--choose")
    assert done.status == 0, done.stderr
    assert "digits on emulator-5554 (virtual): chosen for each phase" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if " lenet5 " in line]
    assert [row[row.index("lenet5") + 1] for row in rows[:2]] == ["baseline", "prune:16kB"]
    assert "finds the best choice in each phase" in done.stdout
    assert "with the best of 3 fixed choices that fit in every phase (lenet5 prune:16kB)" in done.stdout


def test_json_has_the_choice_and_every_capacity(few: Command, tmp_path: Path) -> None:
    answer = few("schedule", "2026-11-26-few", "--plan", plan(tmp_path), "--choose", "--json").answer
    assert answer["measured"] is None
    assert len(answer["chosen"]["capacities"]) == 6
    variants = [phase[0]["variant"] for phase in answer["chosen"]["adaptive"]["phases"]]
    assert variants == ["baseline", "prune:16kB"]
    assert answer["chosen"]["adaptive"]["predicted"] <= answer["chosen"]["fixed"][0]["predicted"]


@pytest.mark.parametrize(
    ("before", "after", "status", "words"),
    [
        ("memory_mb = 2.65", "memory_mb = 1", 34, "nothing fits in phase 2: the smallest of each network need 2.3 MB"),
        ('"lenet5"', '"lenet6"', 2, "this run has no network lenet6"),
        ("rate = 10", 'rate = 10\nvariants = ["fr:9kB"]', 2, "this run has no variant fr:9kB of lenet5"),
        ("rate = 10", "rate = 0", 3, "workload.toml:8: networks.[0].rate"),
        ("rate = 10", "speed = 10", 3, "networks.[0].speed: unknown key"),
        ("processor = 0.2", "processor = 1.2", 3, "phases.[1].processor"),
        ("seconds = 2", "seconds = nan", 3, "phases.[0].seconds"),
        ("accuracy = 0.97", "accuracy = 97", 3, "networks.[0].accuracy"),
        ("[[networks]]", "networks = ", 3, "not TOML"),
        ('name = "digits"', 'name = "../digits"', 3, "workload.toml:2: name"),
    ],
)
def test_what_cannot_be_is_refused(
    few: Command, tmp_path: Path, before: str, after: str, status: int, words: str
) -> None:
    path = plan(tmp_path, PLAN.replace(before, after, 1))
    done = few("schedule", "2026-11-26-few", "--plan", path, "--choose")
    assert done.status == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_capacity_is_named_as_it_was_asked_for(command: Command, tmp_path: Path) -> None:
    nested = One("nested:4x:3@0.3333", 30.0, 400_000, 3.0, 0.97)
    store(command.results, "nested", (*FEW, nested), launches=3, count=300)
    text = PLAN.replace("rate = 10", 'rate = 10\nvariants = ["baseline", "nested:4x:3@1/3"]').replace("2.65", "4")
    done = command("schedule", "2026-11-26-nested", "--plan", plan(tmp_path, text), "--choose", "--json")
    assert {one["variant"] for one in done.answer["chosen"]["capacities"]} == {"baseline", "nested:4x:3@0.3333"}


def test_figures_that_are_not_usable_are_said_once_for_all_variants(command: Command, tmp_path: Path) -> None:
    store(command.results, "short", FEW, launches=2, count=300)
    done = command("schedule", "2026-11-26-short", "--plan", plan(tmp_path), "--choose")
    assert done.status == 2
    told = " ".join(done.stderr.split())
    assert told.count("2 launches of the 5 asked for, so no interval") == 1
    assert "not usable: not usable" not in told
    assert all(one.label in told for one in FEW)
    assert "bench run --launches 5" in told


@pytest.mark.parametrize(
    ("again", "words"),
    [
        (
            '[[networks]]\nnetwork = "lenet5"\naccuracy = 0.9\nlatency_ms = 9\nrate = 1\n',
            ".toml:1: the network lenet5 app",
        ),
        ("[[phases]]\nseconds = 1\nmemory_mb = 9\nprocessor = 0.5\n" * 65, "phases: at most 64 of them can be named"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_plain_words(few: Command, tmp_path: Path, again: str, words: str) -> None:
    done = few("schedule", "2026-11-26-few", "--plan", plan(tmp_path, PLAN + again), "--choose")
    assert done.status == 3
    assert words in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--solver", "best"), "--solver 'best' is unknown"),
        (("--device", "emulator-9"), "this run did not measure emulator-9"),
        (("--threads", "3"), "this run has no --threads 3"),
        (("--precision", "fp99"), "--precision 'fp99' is unknown"),
        (("--runtime", "torch"), "torch"),
    ],
)
def test_a_flag_that_names_nothing_is_refused(few: Command, tmp_path: Path, flags: tuple[str, str], words: str) -> None:
    done = few("schedule", "2026-11-26-few", "--plan", plan(tmp_path), "--choose", *flags)
    assert done.status in (2, 4)
    assert words in done.stderr


def test_a_plan_that_is_not_there_is_said(few: Command, tmp_path: Path) -> None:
    done = few("schedule", "2026-11-26-few", "--plan", tmp_path / "none.toml", "--choose")
    assert done.status == 3
    assert "cannot read the plan" in done.stderr
    assert "docs/schedule.md" in done.stderr


def test_a_report_shows_what_was_served_and_says_virtual(few: Command) -> None:
    folder = RunFolder(few.results / "2026-11-26-few")
    for one in launches(rounds=5, late_ms=10):
        schedules(folder.path).append(one)
    done = few("report", "2026-11-26-few")
    assert done.status == 0, done.stderr
    assert (
        "pair on emulator-5554 (virtual), MinTotalCost: variants chosen for each phase cost -10.00 points"
        in done.stdout
    )
    assert (
        "Choosing wins: the fixed one costs 15.60 points more (fixed less chosen: 95 % interval +15.50 to +15.70"
        in done.stdout
    )
    assert "emulator-5554 is a virtual phone: its times are those of this computer" in done.stdout
    page = (folder.path / "report.html").read_text().replace("\u00a0", " ")
    assert "Several networks at once" in page
    assert "0.5 points in phase 2" in page
    assert "12.0 ms, load of 1,000 B" in page


def test_damaged_launches_are_said_and_nothing_else_is_lost(few: Command) -> None:
    folder = RunFolder(few.results / "2026-11-26-few")
    (folder.path / "schedules.jsonl").write_text("{}\n")
    done = few("report", "2026-11-26-few")
    assert done.status == 31
    assert "schedules.jsonl:1" in done.stderr
