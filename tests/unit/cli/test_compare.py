"""`bench compare`: what people type, and what a script reads: status, JSON, Markdown."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.command_kit import Command, command

__all__ = ["command"]
FAST = ("--network", "lenet5", "--device", "emulator-5554")


def test_the_variants_of_a_run_against_its_ordinary_one(command: Command) -> None:
    command.synthetic()
    done = command("compare", "night", *FAST, "--json")
    assert done.status == 1
    assert done.answer["exit"] == 1
    found = {(v["right"]["variant"], v["metric"]): v["word"] for v in done.answer["verdicts"]}
    assert found["fr-auto:20x", "latency"] == "slower"
    assert found["fr-auto:20x", "deployed"] == found["half", "deployed"] == "smaller"
    assert found["fr-auto:20x", "top1"] == "worse"
    assert {v["left"]["variant"] for v in done.answer["verdicts"]} == {"baseline"}


def test_a_run_against_itself_is_the_same_or_cannot_be_told(command: Command) -> None:
    command.synthetic()
    command.synthetic("again")
    done = command("compare", "night", "again", *FAST, "--metric", "deployed", "--metric", "top1", "--json")
    assert (done.status, {v["word"] for v in done.answer["verdicts"]}) == (0, {"same"})
    unknown = command("compare", "night", "again", *FAST, "--metric", "latency", "--json")
    assert unknown.status == 2
    assert not any(v["floor"]["measured"] for v in unknown.answer["verdicts"])


@pytest.mark.parametrize("after", ["night:fr-auto:20x", "night:fr-auto:20x@emulator-5554"])
def test_variants_and_devices_are_named_behind_the_run(command: Command, after: str) -> None:
    command.synthetic()
    done = command("compare", "night:baseline@emulator-5554", after, "--network", "lenet5", "--metric", "latency")
    assert done.status == 1
    assert "baseline → fr-auto:20x" in done.stdout
    assert "slower: by 12 %" in done.stdout
    assert "Noise floor of latency on emulator-5554" in done.stdout
    assert "Virtual" in done.stdout
    assert "\x1b[" not in done.stdout


def test_this_host_is_compared_only_when_it_is_named(command: Command) -> None:
    command.synthetic()
    done = command("compare", "night", "--device", "desktop", "--metric", "latency", "--json")
    assert {v["right"]["device"] for v in done.answer["verdicts"]} == {"desktop"}
    without = command("compare", "night", "--metric", "latency", "--json")
    assert {v["right"]["device"] for v in without.answer["verdicts"]} == {"emulator-5554"}


def test_markdown_is_a_table_whose_words_stay_words(command: Command) -> None:
    command.synthetic()
    lines = command("compare", "night", *FAST, "--markdown").stdout.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[1].startswith("|---|")
    assert {line.replace("\\|", "").count("|") for line in table} == {10}
    assert any("🔴 slower" in line for line in table)
    assert "vm\\_hwm" in "".join(table)


def test_mistakes_are_told_in_one_sentence_with_a_way_out(command: Command) -> None:
    command.synthetic()
    for arguments, status, words in (
        (("nigth",), 4, "Did you mean night?"),
        (("night:fr-auot",), 4, "Did you mean fr-auto"),
        (("night", "--margin", "much"), 2, "3%"),
        (("night", "--metric", "speed"), 2, "latency"),
        (("night", "--json", "--markdown"), 2, "both"),
        (("night", "--network", "alexnet"), 2, "no figure of the same network"),
    ):
        done = command("compare", *arguments)
        assert done.status == status, done
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    error = json.loads(command("compare", "nigth", "--json").stdout)["error"]
    assert error["exit"] == 4
