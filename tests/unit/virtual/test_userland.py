"""The shell and tools of a virtual phone: what each Android has, and what takes their place where they are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from bench.cache import Cache
from bench.virtual import android, commands, profile, userland
from bench.virtual.userland import Userland

OWN = Userland(userland.host_shell(), None, frozenset(), "this computer's own shell and tools", "none here")


def test_every_android_has_what_its_version_brought() -> None:
    six, seven, eight, nine, ten, twelve = (commands.of(sdk) for sdk in (23, 24, 26, 28, 29, 31))
    assert {"ls", "df", "taskset", "timeout", "sha1sum", "md5sum", "printf", "route"} <= six
    assert not {"sha256sum", "nproc", "awk", "gzip", "test", "[", "killall", "base64"} & six
    assert seven - six == {"base64", "flock", "iorenice", "killall", "tty", "ulimit", "xxd"}
    assert {"sha256sum", "gzip", "file", "ps", "top"} <= eight
    assert "route" not in eight
    assert nine - eight == {"awk", "fmt", "stty"}
    assert {"nproc", "getconf", "nc"} <= ten - nine
    assert twelve - commands.of(30) == {"[", "blkdiscard", "rtcwake", "test"}
    assert commands.of(36) == twelve
    assert commands.of(21) == six  # the lists begin there


def test_what_takes_the_place_of_toybox_is_known_for_all_but_a_few() -> None:
    assert commands.of(36) - commands.TOYBOX - commands.BUSYBOX == {"getfattr", "lsof", "modprobe"}


def test_the_known_names_are_those_of_the_toybox_that_is_here() -> None:
    found = userland.find(Cache())
    if found.toybox and found.name.endswith("toybox 0.8.9"):
        assert found.toybox_names == commands.TOYBOX


def test_a_phone_without_androids_shell_works_and_says_so(tmp_path: Path) -> None:
    root = android.build(profile.load("galaxy-s8"), tmp_path / "root", tmp_path / "data", OWN, sandboxed=True)
    binaries = root.folder / "system/bin"
    assert (binaries / "sh").resolve() == userland.host_shell()
    assert (binaries / "ls").exists()
    assert not (binaries / "toybox").exists()
    assert not (binaries / "sha256sum").exists()
    assert "ro.bench.tools=this computer's own shell and tools\n" in (root.folder / "system/build.prop").read_text()


def test_nothing_is_found_in_a_cache_that_is_empty_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userland, "HOST_FOLDERS", str(tmp_path))
    found = userland.find(Cache(tmp_path))
    if not list(Path("/usr/lib").glob("*-linux-musl*/bin/mksh")):
        assert found.toybox is None
        assert "apt-get install mksh toybox" in found.missing


def test_what_cannot_be_fetched_is_not_tried_again_the_same_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without apt-get nothing can be; the phone starts all the same."""
    monkeypatch.setattr(userland, "HOST_FOLDERS", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    told: list[str] = []
    for _ in range(2):
        userland.ensure(Cache(tmp_path), lambda fraction, text: told.append(text))
    note = tmp_path / "android-shell" / "failed"
    if told:
        assert len(told) == 1
        assert "no apt-get" in note.read_text()
        os.utime(note, (time.time() - 48 * 3600,) * 2)
        userland.ensure(Cache(tmp_path), lambda fraction, text: told.append(text))
        assert len(told) == 2


@pytest.mark.parametrize("shell", [shutil.which("mksh") or "/bin/sh", "/bin/sh"])
def test_toybox_of_a_version_knows_no_more_than_that_version(tmp_path: Path, shell: str) -> None:
    names = frozenset({"echo", "true"})
    for name in names:
        (tmp_path / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    script = tmp_path / "toybox"
    script.write_text(commands.multiplexer(names, shell, str(tmp_path)))
    script.chmod(0o755)

    def run(*words: str) -> tuple[int, str, str]:
        done = subprocess.run([script, *words], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    assert run() == (0, "echo true\n", "")
    assert run("echo", "a  b", "*") == (0, "a  b *\n", "")
    assert run("sha256sum", "x") == (127, "", "toybox: Unknown command sha256sum\n")
    assert run("echo true")[0] == 127
    assert run("*")[0] == 127
