"""`bench choose`: what it prints, and the status it leaves with."""

import pytest

from tests.rivals import FEW, store
from tests.unit.cli.command_kit import Command, command

__all__ = ["command"]


@pytest.fixture
def few(command: Command) -> Command:
    """A run of six variants as the newest in the results."""
    store(command.results, "few", FEW, launches=3, count=300)
    return command


def test_the_newest_run_is_asked_and_a_virtual_phone_is_called_so(few: Command) -> None:
    done = few("choose", "--latency", "70us", "--accuracy", "-3%")
    assert done.status == 0, done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("lenet5 on emulator-5554 (virtual): prune:16kB. ")
    assert "the fewest bytes, which has no limit (15.8 kB)" in second
    assert "of a virtual phone" in done.stdout
    assert "chosen" in done.stdout
    named = few("choose", "2026-11-26-few", "--latency", "70us", "--accuracy", "-3%")
    assert named.stdout == done.stdout


def test_nothing_fits_has_a_status_of_its_own_and_says_how_far_the_nearest_is(few: Command) -> None:
    done = few("choose", "--latency", "10us")
    assert done.status == 34
    assert "none of 6 variants meets latency ≤ 10.0 µs; the nearest, prune:2kB, has 14." in done.stderr
    assert "% beyond)" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_has_the_choice_every_candidate_and_the_rule(few: Command) -> None:
    done = few("choose", "--bytes", "17kB", "--best", "latency", "--json")
    answer = done.answer
    assert (done.status, answer["exit"], answer["best"]) == (0, 0, "latency")
    assert answer["chosen"]["subject"]["variant"] == "prune:2kB"
    assert answer["chosen"]["virtual"] is True
    assert {c["subject"]["variant"]: c["met"] for c in answer["candidates"]} == {
        "baseline": "no", "half": "no", "fr:16kB": "yes", "fr:2kB": "yes", "prune:16kB": "yes", "prune:2kB": "yes",
    }  # fmt: skip
    none = few("choose", "--bytes", "1B", "--json")
    assert (none.status, none.answer["exit"], none.answer["chosen"]) == (34, 34, None)
    assert none.answer["exclusions"][0]["nearest"] == "prune:2kB"


def test_markdown_is_a_table(few: Command) -> None:
    lines = few("choose", "--bytes", "17kB", "--markdown").stdout.splitlines()
    assert any(line.startswith("|---|---|---:|") for line in lines)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--latency", "soon"), "--latency 'soon' is not understood"),
        (("--best", "beauty"), "--best 'beauty' is nothing to be best in"),
        (("--json", "--markdown"), "both --json and --markdown"),
        (("--device", "R58"), "this run has no --device R58"),
        (("--accuracy", "30dB"), "is in fraction"),
    ],
)
def test_mistakes_are_usage_errors(few: Command, flags: tuple[str, ...], words: str) -> None:
    done = few("choose", *flags)
    assert done.status == 2
    assert words in (done.stdout if "--json" in flags else done.stderr)


def test_a_run_of_the_past_without_contests_or_of_old_schemas_is_read(command: Command) -> None:
    command.synthetic("night")
    done = command("choose", "night", "--network", "lenet5", "--bytes", "1MB", "--json")
    assert done.status == 0, done.stderr
    assert done.answer["chosen"]["subject"]["variant"] in ("half", "fr-auto:20x")


def test_no_run_at_all_is_said(command: Command) -> None:
    assert command("choose").status == 2
    assert command("choose", "nowhere").status == 4
