"""What reaches a terminal, a pipe and a log."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import terminal
from bench.records import SCHEMA_VERSION, Measurement, Sample, Subject, Trial
from bench.report import Section
from bench.report.table import Cell, Table

GOLDEN = Path(__file__).parents[2] / "golden"
HOSTILE = "\x1b]0;owned\x07\x1b[31mred[/] [bold]loud \u202e"
SEEN = "\\x1b]0;owned\\x07\\x1b[31mred[/] [bold]loud \\u202e"
SHOW = """
from bench.cli import terminal
from bench.report import Section
from bench.report.table import Cell, Table
terminal.prepare()
cells = ((Cell("fr-auto ✓", "3.9–4.1×"), Cell("−1.30 points")),)
table = Table("max |Δ| → 12 µs", ("Café", "記"), cells, ("≥ 5 …",))
terminal.sections([Section("a", notices=("été",), sentences=("4.02× [3.9–4.1×]",), tables=(table,))])
terminal.say("Interrupted – …", to=terminal.err)
"""


def measured(reason: str) -> Measurement:
    subject = Subject(model="m", variant="v", device=HOSTILE, runtime="r")
    return Measurement(
        trial=Trial(subject=subject, pass_="latency"), status="failed", reason=reason, wall_s=1.0,
        started="2026-11-26T12:00:00.000+00:00", samples=(Sample("latency", 0, 1.5e6),),
    )  # fmt: skip


@pytest.fixture(params=[terminal.Plain, terminal.Live])
def watcher(request: pytest.FixtureRequest) -> Iterator[terminal.Quiet]:
    with request.param() as watcher:
        yield watcher


def test_a_run_shows_nothing_that_commands_a_terminal(
    watcher: terminal.Quiet, capfd: pytest.CaptureFixture[str]
) -> None:
    progress = watcher.stage(HOSTILE)
    progress(0.5, HOSTILE)
    made = measured(HOSTILE)
    watcher.lane(made.trial.subject.device, 2)
    watcher.trial(made)
    shown = capfd.readouterr().err
    assert SEEN in " ".join(shown.split())
    assert "\x1b]0" not in shown
    assert "\x1b[31mred" not in shown
    assert "1.50 ms" in shown


def test_a_report_shows_nothing_that_commands_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    table = Table(HOSTILE, (HOSTILE, "b"), ((Cell(HOSTILE), Cell("1", HOSTILE)),), (HOSTILE,))
    terminal.sections([Section("any", HOSTILE, (HOSTILE,), (HOSTILE,), tables=(table,))])
    shown = capfd.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert shown.count(SEEN) == 7


def test_sections_in_the_background_are_left_to_the_page(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.sections([Section("any", sentences=("Said.",)), Section("other", sentences=("Unsaid.",), background=True)])
    assert capfd.readouterr().out.split() == ["Said."]


def test_a_table_in_a_pipe_is_as_wide_as_it_must_be(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.table(("a", "b"), [("x" * 900, "y")])
    assert "x" * 900 in capfd.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_will_do(encoding: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding, "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, env=environment, check=True)
    shown = done.stdout.decode(encoding)
    if encoding == "ascii":
        for words in ("fr-auto ok (3.9-4.1x)", "-1.30 points", "max |delta| -> 12 us", "Cafe", "\\u8a18", "ete"):
            assert words in shown
    else:
        assert "4.02×" in shown
        assert "été" in shown
    assert b"Interrupted " in done.stderr


@pytest.mark.parametrize("options", [["plan"], ["plan", "--json"], ["--help"], ["run", "--suite", "häufig"]])
def test_the_verbs_hold_under_a_plain_locale(options: list[str]) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "bench.cli", *options], capture_output=True, env=environment)
    assert b"Traceback" not in done.stderr
    assert done.returncode == (4 if "häufig" in options else 0), done.stderr
    assert (done.stdout + done.stderr).isascii()


@pytest.mark.parametrize("name", ["synthetic-run", "synthetic-run-2"])
def test_a_stored_run_is_reported_under_a_plain_locale(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / name, tmp_path / name)
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "bench.cli", "report", str(folder)]
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert done.stdout.isascii()
    assert b"fr-dense" in done.stdout or b"half lenet5 is neither faster nor slower than baseline" in done.stdout
    assert (folder / "report.html").is_file()
    found = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)
    assert found["record"]["schema_version"] in (2, SCHEMA_VERSION)
    assert found["answer"]


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    code = "from bench.cli import terminal; terminal.out.print('[red]a[/]')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert b"\x1b[3" not in done.stdout


@pytest.mark.parametrize("words", [("report", "run", "--quiet"), ("plan",), ("plan", "--json")])
def test_a_reader_that_stops_ends_it_quietly(words: tuple[str, ...], tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "synthetic-run-2", tmp_path / "run")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "bench.cli", *words]
    done = subprocess.run(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
