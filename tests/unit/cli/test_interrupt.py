"""An interrupt before anything is measured: said, with its exit status, whatever sent it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = """import sys, time
from torch import nn

def build():
    print("at work", flush=True)
    time.sleep(60)
    return nn.Conv2d(3, 4, 3)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_a_network_is_built_says_so_and_leaves_with_130(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    flags = ("--model", f"{tmp_path}/slow.py:build", "--input", "3x16x16", "--variant", "baseline", "--quiet")
    command = (sys.executable, "-c", _BEGIN, "run", *flags)
    with subprocess.Popen(command, cwd=tmp_path, env=os.environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("at work" in line for line in process.stderr)
        process.send_signal(number)
        rest = process.stderr.read()
    assert "Interrupted" in rest
    assert "Traceback" not in rest
    assert process.returncode == 130


@pytest.mark.parametrize("verb", ["inspect", "convert"])
def test_a_verb_that_measures_nothing_does_not_say_that_measurements_are_kept(verb: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW.replace("print(", "open('begun', 'w').close(); print("))
    command = (sys.executable, "-c", _BEGIN, verb, f"{tmp_path}/slow.py:build", "--input", "3x16x16", "--quiet")
    extra = () if verb == "inspect" else ("--runtime", "torch")
    with subprocess.Popen((*command, *extra), cwd=tmp_path, env=os.environ, stderr=subprocess.PIPE, text=True) as bench:
        while not (tmp_path / "begun").exists() and bench.poll() is None:
            time.sleep(0.1)
        bench.send_signal(signal.SIGINT)
        assert bench.stderr is not None
        rest = bench.stderr.read()
    assert "Interrupted" in rest
    assert "measured" not in rest
    assert "Traceback" not in rest
    assert bench.returncode == 130


_BEGIN = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from bench.cli.main import main
main()
"""
