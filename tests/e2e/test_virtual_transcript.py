"""The virtual phone held against what Android's daemon is documented to do, by the real adb client and server.

Compared (packages/modules/adb: SERVICES.TXT, SYNC.TXT, file_sync_service.cpp, shell_service.cpp; `adb help`):

    exit status of a command, 0..255, and 128 + n for signal n
    stdout and stderr apart (shell v2), merged without it (-x), binary-safe (exec-out), 50 MB whole
    stdin: piped, ended, binary, more than a message holds; a command that ignores it
    the remote shell parses the joined arguments: quoting is the caller's
    push and pull of 100 MB: same hash, at least 100 MB/s, best of three
    modes (owner's bits for everyone), modification times, empty files, folders, odd names, symbolic links
    pull of a missing file, push to an unwritable place, with adb's own words
    8 shells at once
    a client that is killed: the shell is hung up on, its children live on; without shell v2 they die
    a shell waits for whoever holds its stdout
    a terminal: a PTY of the size that was asked for
    an unknown service is refused; the server may be restarted
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import Adb, free_port

MB = 1_000_000


def _until(device: Adb, command: str, wanted: str, seconds: float = 60) -> None:
    """Wait for a shell command to print `wanted`."""
    deadline = time.monotonic() + seconds
    while device.run("shell", command).stdout.decode().strip() != wanted:
        assert time.monotonic() < deadline, f"{command!r} never printed {wanted!r}"
        time.sleep(0.02)


@pytest.mark.parametrize("status", [0, 1, 7, 127, 255])
def test_exit_status(device: Adb, status: int) -> None:
    assert device.run("shell", f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_exit_status_of_a_killed_shell(device: Adb, number: signal.Signals) -> None:
    assert device.run("shell", f"kill -{int(number)} $$").returncode == 128 + number


def test_missing_program(device: Adb) -> None:
    done = device.run("shell", "no-such-program")
    assert (done.returncode, done.stdout) == (127, b"")
    assert b"not found" in done.stderr


def test_stdout_and_stderr_are_apart(device: Adb) -> None:
    done = device.run("shell", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)


def test_without_the_shell_protocol_they_are_one_and_the_status_is_lost(device: Adb) -> None:
    done = device.run("shell", "-x", "echo out; echo err >&2; exit 3")
    assert (sorted(done.stdout.split()), done.stderr, done.returncode) == ([b"err", b"out"], b"", 0)


@pytest.mark.parametrize("how", ["shell", "exec-out"])
def test_50_mb_of_stdout(device: Adb, folder: str, tmp_path: Path, how: str) -> None:
    source = tmp_path / "data"
    source.write_bytes(os.urandom(50 * MB))
    assert device.run("push", str(source), f"{folder}/data").returncode == 0
    done = device.run(how, f"cat {folder}/data")
    assert done.returncode == 0
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(source.read_bytes()).digest()


def test_exec_out_changes_no_byte(device: Adb) -> None:
    octal = "".join(f"\\{byte:03o}" for byte in range(256))
    assert device.run("exec-out", f"printf '{octal}'").stdout == bytes(range(256))


def test_stdin(device: Adb) -> None:
    data = os.urandom(3 * MB)
    done = device.run("shell", "sha256sum", stdin=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_stdin_that_nobody_reads(device: Adb) -> None:
    done = device.run("shell", "echo done; exec <&-; exit 4", stdin=bytes(2 * MB))
    assert (done.returncode, done.stdout) == (4, b"done\n")


def test_the_remote_shell_parses_what_it_gets(device: Adb) -> None:
    assert device.run("shell", "echo", "a  b", "'c  d'", '"$HOME"').stdout == b"a b c  d /\n"
    assert device.shell(r"printf '%s|' 'it'\''s' \$x 'ä € 𝄞'") == "it's|$x|ä € 𝄞|"


@pytest.mark.timeout(300)
def test_100_mb_push_and_pull(device: Adb, folder: str, tmp_path: Path) -> None:
    source, back = tmp_path / "out", tmp_path / "back"
    source.write_bytes(os.urandom(100 * MB))
    rates: dict[str, list[float]] = {"push": [], "pull": []}
    for _ in range(3):
        for verb, ends in (("push", (str(source), f"{folder}/big")), ("pull", (f"{folder}/big", str(back)))):
            begin = time.perf_counter()
            assert device.run(verb, *ends).returncode == 0
            rates[verb].append(100 / (time.perf_counter() - begin))
    wanted = hashlib.sha256(source.read_bytes()).hexdigest()
    assert device.shell(f"sha256sum {folder}/big").split()[0] == wanted
    assert hashlib.sha256(back.read_bytes()).hexdigest() == wanted
    assert max(rates["push"]) >= 100, rates
    assert max(rates["pull"]) >= 100, rates


@pytest.mark.parametrize(("mode", "there"), [(0o644, "666"), (0o755, "777"), (0o600, "666"), (0o500, "555")])
def test_mode_and_time_of_a_pushed_file(device: Adb, folder: str, tmp_path: Path, mode: int, there: str) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"x")
    source.chmod(mode)
    os.utime(source, (1_600_000_000, 1_600_000_000))
    assert device.run("push", str(source), f"{folder}/file").returncode == 0
    assert device.shell(f"stat -c '%a %Y %s' {folder}/file").split() == [there, "1600000000", "1"]


def test_pull_keeps_mode_and_time_on_request(device: Adb, folder: str, tmp_path: Path) -> None:
    device.shell(f"echo hello > {folder}/file; chmod 640 {folder}/file; touch -d @1500000000 {folder}/file")
    assert device.run("pull", "-a", f"{folder}/file", str(tmp_path / "file")).returncode == 0
    found = (tmp_path / "file").stat()
    assert (found.st_mode & 0o777, int(found.st_mtime)) == (0o640, 1_500_000_000)


def test_push_replaces_a_running_program(device: Adb, folder: str, tmp_path: Path) -> None:
    # The shell: a tool that is toybox under another name does not know what it is.
    device.shell(f"cp /system/bin/sh {folder}/program")
    running = subprocess.Popen(
        device.arguments("shell", f"{folder}/program -c 'echo up > {folder}/note; sleep 1000; :'")
    )
    try:
        _until(device, f"cat {folder}/note", "up")
        (tmp_path / "program").write_bytes(b"#!/system/bin/sh\necho new\n")
        (tmp_path / "program").chmod(0o755)
        assert device.run("push", str(tmp_path / "program"), f"{folder}/program").returncode == 0
        assert device.shell(f"{folder}/program") == "new\n"
    finally:
        device.run("shell", "pkill -f '[p]rogram -c'; pkill -f '[s]leep 1000'")
        running.wait(timeout=10)


@pytest.mark.parametrize(
    "name", ["empty", "with space", 'it\'s "quoted" $HOME `x`', "ünï-€-𝄞", "-dash", "semi;colon&amp", "back\\slash"]
)
def test_names_and_empty_files(device: Adb, folder: str, tmp_path: Path, name: str) -> None:
    content = b"" if name == "empty" else name.encode()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(content)
    assert device.run("push", str(tmp_path / "out" / name), f"{folder}/{name}").returncode == 0
    assert device.run("pull", f"{folder}/{name}", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == content
    assert device.run("shell", f"ls {folder}").stdout.decode() == f"{name}\n"


def test_folders(device: Adb, folder: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    for number in range(40):
        (tree / "a" / f"{number}.txt").write_text(str(number) * number)
    (tree / "a" / "b" / "deep").write_bytes(b"deep")
    assert device.run("push", str(tree), folder).returncode == 0
    assert device.run("pull", f"{folder}/tree", str(tmp_path / "back")).returncode == 0
    for path in tree.rglob("*"):
        twin = tmp_path / "back" / path.relative_to(tree)
        assert twin.is_dir() if path.is_dir() else twin.read_bytes() == path.read_bytes()


def test_empty_folder(device: Adb, folder: str, tmp_path: Path) -> None:
    """Pulled; not pushed, because the client leaves folders to the daemon of any phone since Android 9."""
    device.shell(f"mkdir -p {folder}/tree/empty")
    assert device.run("pull", f"{folder}/tree", str(tmp_path / "back")).returncode == 0
    assert list((tmp_path / "back").rglob("*")) == [tmp_path / "back" / "empty"]
    assert list((tmp_path / "back" / "empty").iterdir()) == []


def test_sync_skips_what_is_there(device: Adb, folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"same")
    for words in (b"1 file pushed, 0 skipped", b"0 files pushed, 1 skipped"):
        done = device.run("push", "--sync", str(tmp_path / "file"), f"{folder}/file")
        assert words in done.stdout + done.stderr


def test_dry_run_writes_nothing(device: Adb, folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert device.run("push", "-n", str(tmp_path / "file"), f"{folder}/file").returncode == 0
    assert device.shell(f"ls {folder}") == ""


def test_symbolic_links(device: Adb, folder: str, tmp_path: Path) -> None:
    device.shell(f"echo target > {folder}/file; ln -s file {folder}/link; ln -s nowhere {folder}/broken")
    assert device.run("pull", f"{folder}/link", str(tmp_path / "link")).returncode == 0
    assert (tmp_path / "link").read_bytes() == b"target\n"
    assert device.run("pull", f"{folder}/broken", str(tmp_path / "broken")).returncode != 0


def test_list_service(device: Adb, folder: str) -> None:
    device.shell(
        f"echo 12345 > {folder}/file; mkdir {folder}/dir; touch -d @1500000000 {folder}/file; chmod 640 {folder}/*"
    )
    rows = {row.split(" ", 3)[3]: row.split()[:3] for row in device.run("ls", folder).stdout.decode().splitlines()}
    assert set(rows) == {".", "..", "file", "dir"}
    assert rows["file"] == [f"{0o100640:08x}", f"{6:08x}", f"{1_500_000_000:08x}"]
    assert int(rows["dir"][0], 16) == 0o040640


def test_list_of_a_missing_folder_is_empty(device: Adb) -> None:
    done = device.run("ls", "/data/local/tmp/missing")
    assert done.stdout == b""


def test_pull_of_a_missing_file(device: Adb, tmp_path: Path) -> None:
    done = device.run("pull", "/data/local/tmp/missing", str(tmp_path / "x"))
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert (
        said.strip() == b"adb: error: failed to stat remote object '/data/local/tmp/missing': No such file or directory"
    )


def test_pull_of_an_unreadable_file(device: Adb, folder: str, tmp_path: Path) -> None:
    device.shell(f"echo x > {folder}/secret; chmod 000 {folder}/secret")
    done = device.run("pull", f"{folder}/secret", str(tmp_path / "x"))
    assert done.returncode == 1
    assert b"remote open failed: Permission denied" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/system/bin/new", b"remote couldn't create file: Read-only file system"),
        ("/proc/new", b"remote couldn't create file: No such file or directory"),
        ("/data/local/tmp/" + "n" * 300, b"stat failed when trying to push to /data/local/tmp/"),
        ("/dev/full", b"remote write failed: No space left on device"),
    ],
)
def test_push_to_an_unwritable_place(device: Adb, tmp_path: Path, target: str, words: bytes) -> None:
    (tmp_path / "file").write_bytes(bytes(2 * MB))
    done = device.run("push", str(tmp_path / "file"), target)
    assert done.returncode == 1
    assert words in done.stdout + done.stderr
    assert device.shell("echo alive") == "alive\n"


def test_path_too_long(device: Adb, tmp_path: Path) -> None:
    done = device.run("pull", "/data/local/tmp/" + "x/" * 800, str(tmp_path / "x"))
    assert done.returncode == 1
    assert device.shell("echo alive") == "alive\n"


def test_eight_shells_at_once(device: Adb) -> None:
    def one(number: int) -> tuple[int, str]:
        done = device.run("shell", f"head -c {2 * MB} /dev/zero | tr '\\0' '{number}'; exit {number}")
        return done.returncode, hashlib.sha256(done.stdout).hexdigest()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(8)))
    assert found == [(number, hashlib.sha256(str(number).encode() * 2 * MB).hexdigest()) for number in range(8)]


def test_a_killed_client_hangs_up_the_shell_alone(device: Adb) -> None:
    client = subprocess.Popen(
        device.arguments("shell", "sleep 1000 & echo $$ $!; wait"), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert client.stdout
    shell, child = client.stdout.readline().decode().split()
    client.kill()
    client.wait()
    client.stdout.close()
    _until(device, f"kill -0 {shell} 2>/dev/null || echo gone", "gone")
    assert device.shell(f"kill -0 {child} && echo alive") == "alive\n"
    device.shell(f"kill {child}")


def test_a_killed_client_without_shell_protocol_takes_its_programs_along(device: Adb) -> None:
    client = subprocess.Popen(
        device.arguments("exec-out", "sleep 1000 & echo $!; wait"), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert client.stdout
    child = client.stdout.readline().decode().strip()
    client.kill()
    client.wait()
    client.stdout.close()
    _until(device, f"kill -0 {child} 2>/dev/null || echo gone", "gone")


def test_a_client_that_does_not_read_holds_up_nobody(device: Adb) -> None:
    client = subprocess.Popen(device.arguments("shell", "cat /dev/zero"), stdout=subprocess.PIPE)
    try:
        time.sleep(0.5)
        assert device.shell("echo others") == "others\n"
        assert client.poll() is None
    finally:
        client.kill()
        client.communicate()
    _until(device, "ps -ef | grep -c '[c]at /dev/zero$'", "0")


def test_a_shell_waits_for_whoever_holds_its_stdout(device: Adb) -> None:
    begin = time.monotonic()
    assert device.shell("sleep 1 & echo now") == "now\n"
    assert time.monotonic() - begin >= 1


def test_terminal(device: Adb) -> None:
    done = device.run("shell", "-t", "-t", "test -t 0 && test -t 2 && tty; echo $TERM; exit 5")
    assert done.returncode == 5
    assert done.stdout.split()[0].startswith(b"/dev/pts/")


def test_interactive_shell(device: Adb) -> None:
    done = device.run("shell", "-t", "-t", stdin=b"echo $((6 * 7))\nexit 9\n")
    assert done.returncode == 9
    assert b"42\r\n" in done.stdout


def test_unknown_service_is_refused(device: Adb) -> None:
    done = device.run("root")
    assert b"unable to connect for root: closed" in done.stdout + done.stderr
    assert device.shell("echo alive") == "alive\n"


def test_the_server_may_be_restarted(device: Adb) -> None:
    """With a second server, because the first is everyone's; the phone is announced to it as emulators do it."""
    other = Adb(device.program, free_port(), device.serial)
    environment = {**os.environ, "ANDROID_ADB_SERVER_PORT": str(other.port)}

    def server(verb: str) -> None:
        subprocess.run([other.program, verb], check=True, capture_output=True, timeout=60, env=environment)

    for _ in range(2):
        server("start-server")
        with socket.create_connection(other.address, timeout=10) as connection:
            request = f"host:emulator:{int(other.serial.removeprefix('emulator-')) + 1}".encode()
            connection.sendall(b"%04x" % len(request) + request)
        asked = [other.program, "-s", other.serial, "wait-for-device", "shell", "echo back"]
        assert subprocess.run(asked, capture_output=True, timeout=30, env=environment).stdout == b"back\n"
        server("kill-server")
    assert device.shell("echo still here") == "still here\n"
