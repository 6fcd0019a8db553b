"""Files deployed by content, on machines with all kinds of tools; this host stands for them."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from bench.devices.deployment import Payload, damaged, deploy
from bench.devices.host import HostTransport
from bench.devices.transport import Completed, free_bytes
from bench.errors import CorruptData, DeviceRefused, TransportBroken

ALWAYS = ("sh", "mkdir", "chmod", "mv", "rm", "df")


@pytest.fixture
def host(tmp_path: Path) -> HostTransport:
    return HostTransport(tmp_path / "host")


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, with the tools that every machine has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ALWAYS:
        # Never a symbolic link: a test that replaces a tool here would write through it into the host's own.
        script(folder / tool, f'exec {shutil.which(tool)} "$@"')
    monkeypatch.setenv("PATH", str(folder))
    return folder


def payload(path: Path, content: bytes, *, executable: bool = False) -> Payload:
    path.write_bytes(content)
    return Payload(path, hashlib.sha256(content).hexdigest(), len(content), executable)


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_nothing_is_copied_twice(host: HostTransport, tmp_path: Path) -> None:
    files = [payload(tmp_path / "a", b"one"), payload(tmp_path / "b", b"two two", executable=True)]
    assert deploy(host, files) == 10
    assert deploy(host, files) == 0
    remote = Path(files[1].remote(host.folder))
    assert remote.read_bytes() == b"two two"
    assert os.access(remote, os.X_OK)


@pytest.mark.parametrize("damage", [b"twO two", b"two", b""])
def test_a_damaged_file_is_replaced_whatever_its_size_and_this_is_said(
    host: HostTransport, tmp_path: Path, damage: bytes
) -> None:
    files = [payload(tmp_path / "a", b"one"), payload(tmp_path / "b", b"two two")]
    deploy(host, files)
    remote = Path(files[1].remote(host.folder))
    remote.write_bytes(damage)
    said: list[str] = []
    assert deploy(host, files, say=said.append) == 7
    assert remote.read_bytes() == b"two two"
    assert said == ["b was damaged on desktop and was replaced"]
    assert deploy(host, files, say=said.append) == 0
    assert len(said) == 1


@pytest.mark.parametrize("tools", [("sha256sum",), ("md5sum",), ()])
def test_what_was_damaged_since_it_was_deployed_is_found(
    host: HostTransport, only: Path, tmp_path: Path, tools: tuple[str, ...]
) -> None:
    for tool in tools:
        script(only / tool, f'exec {shutil.which(tool, path="/usr/bin:/bin")} "$@"')
    files = [payload(tmp_path / "a", b"one"), payload(tmp_path / "b", b"two two")]
    deploy(host, files)
    assert damaged(host, files) == ()
    Path(files[1].remote(host.folder)).write_bytes(b"twO two")
    assert damaged(host, files) == (files[1],)


def test_a_copy_that_arrives_damaged_never_takes_its_name(host: HostTransport, tmp_path: Path) -> None:
    lying = Payload(payload(tmp_path / "a", b"one").path, "0" * 64, 3)
    with pytest.raises(TransportBroken, match="SHA-256"):
        deploy(host, [lying])
    assert not Path(lying.remote(host.folder)).exists()


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("sha256sum", 'exec {sha256sum} "$@"'),
        ("sha1sum", 'exec {sha1sum} "$@"'),
        ("md5sum", 'exec {md5sum} "$@"'),
        ("toybox", '[ "$1" = sha1sum ] && shift && exec {sha1sum} "$@"'),
        ("busybox", '[ "$1" = sha256sum ] && shift && exec {sha256sum} "$@"'),
    ],
)
def test_any_hash_that_a_machine_has_will_do(
    host: HostTransport, only: Path, tmp_path: Path, name: str, does: str
) -> None:
    tools = {tool: shutil.which(tool, path="/usr/bin:/bin") for tool in ("sha256sum", "sha1sum", "md5sum")}
    script(only / name, does.format(**tools))
    file = payload(tmp_path / "a", b"one")
    assert deploy(host, [file]) == 3
    assert deploy(host, [file]) == 0
    Path(file.remote(host.folder)).write_bytes(b"onE")
    assert deploy(host, [file]) == 3
    file.path.write_bytes(b"two")
    Path(file.remote(host.folder)).unlink()
    with pytest.raises((CorruptData, TransportBroken)):
        deploy(host, [file])


RUNNER = '#!/bin/sh\n[ "$1" = --sha256 ] || exit 2\nshift\n{note}exec {tool} "$@"\n'


def test_without_any_tool_the_runner_hashes(host: HostTransport, only: Path, tmp_path: Path) -> None:
    note = tmp_path / "called"
    tool = shutil.which("sha256sum", path="/usr/bin:/bin")
    text = RUNNER.format(tool=tool, note=f'echo "$@" >> {note}\n')
    files = [payload(tmp_path / "a", b"one"), payload(tmp_path / "r", text.encode(), executable=True)]
    assert deploy(host, files) == 3 + len(text)
    assert files[0].remote(host.folder) in note.read_text()
    assert deploy(host, files) == 0
    Path(files[0].remote(host.folder)).write_bytes(b"onE")
    said: list[str] = []
    assert deploy(host, files, say=said.append) == 3
    assert said == ["a was damaged on desktop and was replaced"]


def test_without_anything_that_hashes_copies_are_read_back(host: HostTransport, only: Path, tmp_path: Path) -> None:
    files = [payload(tmp_path / "a", b"one"), payload(tmp_path / "r", b"#!/bin/sh\nexit 2\n", executable=True)]
    assert deploy(host, files) == 3 + files[1].bytes
    assert Path(files[0].remote(host.folder)).read_bytes() == b"one"
    with pytest.raises(TransportBroken, match="arrived damaged"):
        deploy(host, [Payload(files[0].path, "0" * 64, 3)])


def test_a_tool_that_computes_nonsense_is_not_used(host: HostTransport, only: Path, tmp_path: Path) -> None:
    script(only / "sha256sum", 'for file in "$@"; do echo "' + "0" * 64 + '  $file"; done')
    file = payload(tmp_path / "a", b"one")
    assert deploy(host, [file]) == 3


def test_a_folder_that_takes_no_files_is_a_refusal(host: HostTransport, only: Path, tmp_path: Path) -> None:
    script(only / "mv", "echo mv: Read-only file system >&2; exit 1")
    with pytest.raises(DeviceRefused, match=r"cannot mv .*Read-only"):
        deploy(host, [payload(tmp_path / "a", b"one")])


class Prints(HostTransport):
    """A machine on which every command prints the same."""

    said = ""

    def run(self, *_: object, **__: object) -> Completed:
        return Completed(0, self.said, "")


@pytest.mark.parametrize(
    ("said", "free"),
    [
        ("Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/x 100 40 60 40% /data\n", 60 << 10),
        (
            "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/block/long\n   100 40 60 40% /data/a b\n",
            60 << 10,
        ),
        ("Filesystem               Size     Used     Free   Blksize\n/data 12.2G 5.1G 7.5G   4096\n", 15 << 29),
        ("-k: No such file or directory\nFilesystem Size Used Free Blksize\n/data 2.0M 1.0M 512.0K 4096\n", 1 << 19),
        ("df: not found\n", None),
        ("", None),
        ("/data 1.1.1G 1.1.1G 1.1.1G 4096\n", None),
    ],
)
def test_free_space_in_the_words_of_every_df(tmp_path: Path, said: str, free: int | None) -> None:
    machine = Prints(tmp_path)
    machine.said = said
    assert free_bytes(machine) == free
