"""This host as a machine: commands and deadlines."""

import os
import sys
import time
from pathlib import Path

import pytest

from bench.devices.host import HostTransport
from bench.devices.transport import OUTPUT_MAX
from bench.errors import DeadlineExceeded, RunnerFailed


@pytest.fixture
def host(tmp_path: Path) -> HostTransport:
    return HostTransport(tmp_path / "host")


def test_status_and_both_outputs_are_kept_apart(host: HostTransport) -> None:
    lines: list[str] = []
    done = host.run(["sh", "-c", "echo a; echo b >&2; echo c; exit 7"], deadline_s=10, on_line=lines.append)
    assert (done.status, done.stdout, done.stderr, lines) == (7, "a\nc\n", "b\n", ["a", "c"])


def test_arguments_reach_the_command_as_they_are(host: HostTransport) -> None:
    odd = ["", "a b", "$HOME", "`id`", 'quo"te', "ap'os", "new\nline", "ü", "*"]
    done = host.run([sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))", *odd], deadline_s=10)
    assert done.stdout.strip() == ascii(odd)


@pytest.mark.parametrize(
    ("argv", "status"), [(["/no/such/program"], 127), (["/"], 126), (["sh", "-c", "kill -9 $$"], 137)]
)
def test_what_cannot_run_or_is_killed_has_a_status(host: HostTransport, argv: list[str], status: int) -> None:
    assert host.run(argv, deadline_s=10).status == status


def test_a_deadline_kills_the_command_and_its_children(host: HostTransport, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(DeadlineExceeded):
        host.run(["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], deadline_s=0.5)
    pid = int(note.read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    os.kill(pid, 9)
    pytest.fail("the child lived on")


def test_output_without_end_is_stopped(host: HostTransport) -> None:
    with pytest.raises(RunnerFailed, match="more than 64 MiB"):
        host.run(["sh", "-c", "yes & cat /dev/zero"], deadline_s=60)


def test_complaints_without_end_do_not_hold_up_the_command(host: HostTransport) -> None:
    done = host.run(["sh", "-c", "head -c 80000000 /dev/zero >&2; echo done"], deadline_s=60)
    assert (done.status, done.stdout, len(done.stderr)) == (0, "done\n", OUTPUT_MAX)


def test_what_runs_can_be_ended_with_all_that_it_started(host: HostTransport) -> None:
    def end(line: str) -> None:
        host.end()

    begun = time.monotonic()
    done = host.run(["sh", "-c", "sleep 60 & echo begun; wait"], deadline_s=100, on_line=end)
    assert done.status == 128 + 9
    assert time.monotonic() - begun < 30
    host.end()
