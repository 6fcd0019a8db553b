"""The parts of a virtual phone that is a machine: its first file system, what it refuses, what it needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.cache import Cache
from bench.errors import ToolMissing, VirtualPhoneError
from bench.virtual import profile
from bench.virtual.machine import start as machines
from bench.virtual.machine.cpio import Archive
from bench.virtual.machine.image import own_part


def entries(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and content by name, read as the kernel does (initramfs.c)."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        assert at % 4 == 0
        numbers = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = archive[at + 110 : at + 110 + numbers[11]]
        assert name[-1:] == b"\0"
        begin = (at + 110 + numbers[11] + 3) // 4 * 4
        if name == b"TRAILER!!!\0":
            assert len(archive) % 4 == 0
            return found
        found[name[:-1].decode()] = numbers[1], archive[begin : begin + numbers[6]]
        at = (begin + numbers[6] + 3) // 4 * 4


def test_the_kernel_finds_every_file_where_it_was_put() -> None:
    made = Archive()
    made.file("a/b/c", b"12345", executable=True)
    made.file("a/b/d", b"")
    made.link("a/e", "/b")
    made.folder("f")
    assert entries(made.finish()) == {
        "a": (0o40755, b""), "a/b": (0o40755, b""), "a/b/c": (0o100755, b"12345"), "a/b/d": (0o100644, b""),
        "a/e": (0o120777, b"/b"), "f": (0o40755, b""),
    }  # fmt: skip


def test_the_system_unpacks_it_too(tmp_path: Path) -> None:
    if cpio := shutil.which("cpio") or shutil.which("busybox"):
        made = Archive()
        made.file("x/y", b"content")
        command = [cpio, "cpio", "-i"] if cpio.endswith("busybox") else [cpio, "-i"]
        subprocess.run(command, input=made.finish(), cwd=tmp_path, check=True, capture_output=True)
        assert (tmp_path / "x/y").read_bytes() == b"content"


def test_a_machine_says_that_it_is_virtual_and_translated() -> None:
    made = entries(own_part(profile.load("galaxy-s8")))
    told = made["system/build.prop"][1].decode().splitlines()
    assert {
        "ro.bench.virtual=galaxy-s8", "ro.bench.translation=qemu-system", "ro.product.cpu.abi=arm64-v8a",
        "ro.product.cpu.abilist32=", "ro.kernel.qemu=1", "ro.build.version.sdk=24",
    } <= set(told)  # fmt: skip
    assert made["system/bin/ls"][1] == b"../lib/toybox"
    assert made["system/bin/dd"][1] == b"/bin/busybox"
    assert "system/bin/sha256sum" not in made
    assert "sha256sum" not in made["system/bin/toybox"][1].decode()
    assert {"system/bin/getprop", "system/bin/setprop", "system/bin/dumpsys"} <= set(made)
    assert b"export ADBD_PORT=5555\n" in made["system/etc/environment"][1]


def _start(name: str, folder: Path, **options: int) -> None:
    machines.start(profile.load(name), folder, 5571, Cache(folder), lambda fraction, text: None, **options)


def test_without_qemu_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing) as caught:
        _start("pixel-8", tmp_path)
    assert "apt-get install qemu-system-arm" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("moto-g5-arm", {}, "32-bit"),
        ("pixel-8", {"ram_bytes": 1 << 20}, "1,048,576 bytes of memory"),
        ("pixel-8", {"storage_bytes": 1000}, "1,000 of storage"),
    ],
)
def test_what_cannot_be_a_machine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, int], word: str
) -> None:
    (tmp_path / "qemu-system-aarch64").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VirtualPhoneError, match=word):
        _start(name, tmp_path, **options)
