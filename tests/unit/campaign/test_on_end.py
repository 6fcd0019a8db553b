"""A command at the end of a night: it gets words, never a shell, and cannot hold the night up."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import pytest

from bench.campaign import on_end
from bench.errors import UsageError
from bench.report.nightly import Nightly, write

NIGHT = Nightly("$(touch x); `y`", "2026-11-26T23:15:00+01:00")


def python(folder: Path, code: str) -> tuple[str, ...]:
    (folder / "told it.py").write_text(code)
    return on_end.command(shlex.join([sys.executable, str(folder / "told it.py"), "$HOME;", "a b"]))


def test_it_gets_its_words_the_path_and_the_facts(tmp_path: Path) -> None:
    files = write(NIGHT, tmp_path / "out; rm -rf x")
    words = python(
        tmp_path,
        "import os, sys, pathlib\n"
        "assert sys.argv[1:3] == ['$HOME;', 'a b'], sys.argv\n"
        "assert pathlib.Path(sys.argv[3]).name == 'nightly.json'\n"
        "assert os.environ['BENCH_JSON'] == sys.argv[3]\n"
        "assert pathlib.Path(os.environ['BENCH_JUNIT']).is_file()\n"
        "assert (os.environ['BENCH_STATUS'], os.environ['BENCH_EXIT']) == ('good', '0')\n"
        "assert os.environ['BENCH_PLAN'] == '$(touch x); `y`'\n"
        "assert os.environ['BENCH_SENTENCE'].startswith('good')\n",
    )
    assert on_end.call(words, NIGHT, files) == ""


def test_a_failure_is_said(tmp_path: Path) -> None:
    files = write(NIGHT, tmp_path)
    assert on_end.call(python(tmp_path, "raise SystemExit(3)"), NIGHT, files) == "it left with status 3"
    script = tmp_path / "not a program"
    script.write_text("\0")
    script.chmod(0o755)
    assert "could not be started" in on_end.call(on_end.command(shlex.quote(str(script))), NIGHT, files)


def test_it_is_ended_with_its_children_when_its_time_is_up(tmp_path: Path) -> None:
    files = write(NIGHT, tmp_path)
    mark = tmp_path / "alive"
    words = python(
        tmp_path,
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', \"import time; time.sleep(4); open({str(mark)!r}, 'w')\"])\n"
        "time.sleep(60)\n",
    )
    assert "took more than" in on_end.call(words, NIGHT, files, seconds=1.5)
    time.sleep(4)
    assert not mark.exists()


@pytest.mark.parametrize("text", ["", "  ", "'half a quote", "no-such-program-of-mine --x"])
def test_a_command_that_cannot_run_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError, match="--on-end"):
        on_end.command(text)
