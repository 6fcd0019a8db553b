"""This host as a machine: commands, deadlines, and files deployed by content."""

import hashlib
import os
import sys
import time
from pathlib import Path

import pytest

from bench.devices.host import HostTransport
from bench.devices.transport import Payload, deploy
from bench.errors import DeadlineExceeded, TransportBroken


@pytest.fixture
def host(tmp_path: Path) -> HostTransport:
    return HostTransport(tmp_path / "host")


def payload(path: Path, text: bytes, *, executable: bool = False) -> Payload:
    path.write_bytes(text)
    return Payload(path, hashlib.sha256(text).hexdigest(), len(text), executable)


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


def test_nothing_is_copied_twice_and_damage_is_noticed(host: HostTransport, tmp_path: Path) -> None:
    files = [payload(tmp_path / "a", b"one"), payload(tmp_path / "b", b"two two", executable=True)]
    assert deploy(host, files) == 10
    assert deploy(host, files) == 0
    remote = Path(files[1].remote(host.folder))
    assert remote.read_bytes() == b"two two"
    assert os.access(remote, os.X_OK)
    remote.write_bytes(b"two")
    assert deploy(host, files) == 7
    lying = Payload(files[0].path, "0" * 64, 3)
    with pytest.raises(TransportBroken, match="SHA-256"):
        deploy(host, [lying])
    assert not Path(lying.remote(host.folder)).exists()
