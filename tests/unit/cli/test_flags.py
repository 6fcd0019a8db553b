"""Flags of the verbs that ask for a plan: what is silently without effect is refused."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from bench.cli.options import Request, asking
from tests.unit.cli.command_kit import Command, command

__all__ = ["command"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--precision", "5%", "--precision", "2%"), "--precision has 2 percentages: 5%, 2%"),
        (("--budget", "30s"), "--budget is the time to reach a percentage, and neither --precision nor the plan"),
        (("--label", "", "--model", "lenet5"), "--label is given without a value"),
        (("--cores", ""), "--cores is given without a value"),
        (("--variant", " "), "--variant is given without a value"),
        (("--precision", "nan%"), "--precision 'nan%' is not a percentage above 0 and up to 100"),
        (("--precision", "inf%"), "--precision 'inf%' is not a percentage above 0 and up to 100"),
        (("--precision", "0%"), "--precision '0%' is not a percentage above 0 and up to 100"),
        (("--precision", "101%"), "--precision '101%' is not a percentage above 0 and up to 100"),
        (("--precision", "-1%"), "--precision '-1%' is not a percentage above 0 and up to 100"),
        (("--precision", "%"), "--precision '%' is not a percentage above 0 and up to 100"),
    ],
)
def test_a_flag_that_would_have_no_effect_is_refused(command: Command, flags: tuple[str, ...], words: str) -> None:
    done = command("plan", *flags)
    assert done.status == 2, done.stderr
    assert words in " ".join(done.stderr.split())


def test_a_budget_is_taken_where_the_plan_gives_the_percentage(command: Command, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\n[protocol]\nratio_interval = 0.02\n[[cases]]\nmodel = "lenet5"\n')
    done = command("plan", "--plan", own, "--budget", "30s", "--json")
    assert done.answer["plan"]["protocol"]["budget_seconds"] == 30


def test_no_flag_is_a_request_of_nothing() -> None:
    found: list[Request] = []

    @asking
    def verb(request: Request) -> None:
        found.append(request)

    verb(**dict.fromkeys(inspect.signature(verb).parameters) | {"strict": False})
    assert found == [Request.of_nothing()]


def test_a_run_is_resumed_without_flags_and_refused_with_one(command: Command) -> None:
    folder = command.synthetic("night")
    begun = command("run", "--resume", folder)
    assert "other flags would change it" not in begun.stderr
    assert "is complete: there is nothing left to do" in " ".join(begun.stderr.split())
    changed = command("run", "--resume", folder, "--launches", "3")
    assert changed.status == 2
    assert "other flags would change it" in " ".join(changed.stderr.split())


def test_a_plan_says_what_cannot_be_had(command: Command) -> None:
    done = command("plan", "--model", "lenet5", "--largest", "2048", "--energy", "10s")
    said = " ".join(done.stdout.split() + done.stderr.split())
    assert "The memory test of lenet5 will fail if a layer of it depends on the picture's size" in said
    assert "Energy can be had of a real, unplugged phone alone" in said
    assert command("plan", "--model", "vdsr", "--largest", "2048", "--json").answer["impossible"] == []


def test_a_plan_names_the_runtimes_that_its_networks_have_on_this_computer(command: Command, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\n[[cases]]\nmodel = "lenet5"\ndesktop = ["torch", "onnxruntime"]\n')
    done = command("plan", "--plan", own)
    assert "and this computer (torch, onnxruntime)" in " ".join((done.stdout + done.stderr).split())
