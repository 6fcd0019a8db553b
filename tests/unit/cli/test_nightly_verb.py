"""`bench nightly` before it measures anything: a mistake is a broken night, never an incomplete one."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.command_kit import Command, command
from tests.unit.report.test_nightly_files import SCHEMA

__all__ = ["command"]


@pytest.mark.parametrize("arguments", [("--no-such-flag",), ("--keep-raw", "0"), ("--plan",), ("extra",)])
def test_a_wrong_flag_leaves_with_broken(command: Command, arguments: tuple[str, ...]) -> None:
    assert command("nightly", *arguments).status == 3


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("--plan", "nowhere.toml"), "PlanError", "nowhere.toml"),
        (("--suite", "no-such-suite"), "UnknownName", "no-such-suite"),
        (("--suite", "quick", "--margin", "3"), "UsageError", "--margin"),
        (("--suite", "quick", "--budget", "soon"), "UsageError", "90s"),
        (("--suite", "quick", "--input-size", "wide"), "UsageError", "320x480"),
        (("--suite", "quick", "--rule-out", "much"), "UsageError", "--rule-out"),
        (("--suite", "quick", "--metric", "speed"), "UsageError", "latency"),
        (("--suite", "quick", "--on-end", "no-such-program-of-mine"), "UsageError", "no such program"),
        (("--suite", "quick", "--baseline", "v1"), "UnknownName", "unknown run"),
        (("--suite", "quick", "--adb-server", "nowhere"), "UsageError", "nowhere"),
    ],
)
def test_what_is_wrong_is_said_in_every_file(
    command: Command, arguments: tuple[str, ...], kind: str, words: str
) -> None:
    done = command("nightly", *arguments, "--json")
    assert done.status == 3
    error = done.answer["error"]
    assert error["kind"] == kind
    assert words in error["what"] + error["fix"]
    assert "error:" in done.stderr
    out = command.results / "nightly-broken"
    assert json.loads((out / "nightly.json").read_text())["error"] == error
    assert "broken" in (out / "nightly.md").read_text()
    SCHEMA.validate((out / "nightly.xml").read_text())


def test_without_json_the_sentence_is_all(command: Command) -> None:
    done = command("nightly", "--plan", "nowhere.toml", "-q")
    assert done.stdout.startswith("broken: ")
    assert len(done.stdout.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_a_broken_night(command: Command) -> None:
    (command.results / "file").write_text("")
    done = command("nightly", "--suite", "quick", "--out", command.results / "file" / "out", "--json")
    assert (done.status, done.answer["status"], done.answer["files"]) == (3, "broken", {})
