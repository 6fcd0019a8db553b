"""A phone that does not let glibc's loader do its work: its shell's own words, and what bench makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cache import Cache
from bench.devices.adb import AdbServer
from bench.devices.transport import Transport
from bench.errors import RunnerFailed
from bench.measure import lines
from bench.runtimes.loaded import libc
from bench.runtimes.ncnn.toolchain import host_abi

FOLDER = "/data/local/tmp/loader"


@pytest.fixture(scope="module")
def phone(adb: Any, virtual_phone: Any, tmp_path_factory: pytest.TempPathFactory) -> Transport:
    """One with glibc's loader and its C library, and a mathematics library that was cut off."""
    transport = AdbServer(*adb.address).choose(virtual_phone.serial)
    base = libc.base(host_abi(), Cache(tmp_path_factory.mktemp("cache")), lambda *_: None)
    named = {one.name.partition(".")[0]: one for one in base.libraries}
    short = tmp_path_factory.mktemp("files") / "short"
    short.write_bytes(named["libm"].read_bytes()[:50])
    transport.run(["mkdir", "-p", FOLDER], deadline_s=30)
    for path, name in ((base.loader, "loader"), (named["libc"], "libc"), (short, "short")):
        transport.push(path, f"{FOLDER}/{name}", deadline_s=60)
    transport.run(["chmod", "755", f"{FOLDER}/loader"], deadline_s=30)
    return transport


def started(phone: Transport, *command: str) -> None:
    """As a station starts a launch. Raises RunnerFailed for what it leaves."""
    done = phone.run([*command], deadline_s=60)
    lines.read([], done.status, done.stderr)


def test_a_loader_that_may_not_be_executed(phone: Transport) -> None:
    phone.run(["cp", f"{FOLDER}/loader", f"{FOLDER}/forbidden"], deadline_s=30)
    phone.run(["chmod", "644", f"{FOLDER}/forbidden"], deadline_s=30)
    with pytest.raises(RunnerFailed, match=r"cannot be executed: .* SELinux forbids it .*[Pp]ermission"):
        started(phone, "env", f"{FOLDER}/forbidden", f"{FOLDER}/libc")


def test_a_library_that_was_cut_off_is_told_although_the_program_ran(phone: Transport) -> None:
    good = phone.run(["env", f"{FOLDER}/loader", f"{FOLDER}/libc"], deadline_s=60)
    assert good.status == 0, good
    assert "GNU C Library" in good.stdout
    with pytest.raises(RunnerFailed, match=r"cannot be loaded: it was cut off \(file too short\)"):
        started(phone, "env", f"{FOLDER}/loader", "--preload", f"{FOLDER}/short", f"{FOLDER}/libc")


def test_a_system_call_that_the_phone_forbids(phone: Transport) -> None:
    with pytest.raises(RunnerFailed, match=r"ended by signal 31 \(SIGSYS, this device forbids a system call"):
        started(phone, "sh", "-c", "sh -c 'kill -31 $$'; exit $?")
