"""Examples for every night: their files are understood, and every bench command in them exists with these flags."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from bench import plan
from bench.cli.main import app

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "nightly"
PAGES = [ROOT / "docs" / "nightly.md", *sorted(path for path in EXAMPLES.iterdir() if path.suffix != ".toml")]


def commands(text: str) -> list[list[str]]:
    """The bench commands at the beginning of lines, or after what starts one there."""
    joined = text.replace("\\\n", " ")
    found = re.findall(r"^[ ]*(?:- )?(?:run: |ExecStart=/usr/bin/env )?(bench [a-z].*)$", joined, re.MULTILINE)
    return [shlex.split(re.split(r" \|\| | > | \| ", line)[0]) for line in found]


def understood(words: list[str]) -> None:
    """Parse as the command line would, without doing anything."""
    command: Any = get_command(app)
    context = command.make_context("bench", words[1:], resilient_parsing=False)
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists_with_its_flags(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        understood(words)


def test_commands_are_found_at_all() -> None:
    found = {page.name: [words[1] for words in commands(page.read_text(encoding="utf-8"))] for page in PAGES}
    assert found["nightly.md"].count("nightly") == 2
    assert found["github-workflow.yml"] == ["nightly", "doctor"]
    assert found["bench-nightly.service"] == ["nightly"]


def test_the_check_would_see_a_flag_that_does_not_exist() -> None:
    with pytest.raises(Exception, match="No such option"):
        understood(["bench", "nightly", "--no-such-flag"])


def test_the_workflow_is_yaml_with_a_job() -> None:
    flow = yaml.safe_load((EXAMPLES / "github-workflow.yml").read_text(encoding="utf-8"))
    steps = flow["jobs"]["nightly"]["steps"]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    assert flow[True]["schedule"]  # YAML takes the key `on` for a truth value


@pytest.mark.parametrize("name", ["bench-nightly.service", "bench-nightly.timer"])
def test_units_have_their_sections(name: str) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(EXAMPLES / name)
    assert unit.sections() == ["Unit", name.rpartition(".")[2].capitalize(), "Install"]


def test_the_plan_is_understood() -> None:
    assert plan.load(EXAMPLES / "plan.toml").name == "nightly"
