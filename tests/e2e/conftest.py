"""An adb server of our own and a virtual phone on it, for every end-to-end test."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import adbutils
import pytest

from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone


def free_port(odd: bool = False) -> int:
    """A port of 127.0.0.1 that nobody listens on, above those that adb servers look at by themselves."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port > 10_000 and (port % 2 == 1 or not odd):
            return port


@dataclass(frozen=True)
class Adb:
    """The real adb client against the session's own server."""

    program: str
    port: int
    serial: str = ""

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def arguments(self, *arguments: str) -> list[str]:
        return [self.program, *(["-s", self.serial] if self.serial else []), *arguments]

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.arguments(*arguments), input=stdin, capture_output=True, timeout=timeout)

    def shell(self, command: str) -> str:
        """Stdout of a shell command that must succeed."""
        done = self.run("shell", command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.decode()

    def on(self, phone: VirtualPhone) -> Adb:
        return Adb(self.program, self.port, phone.serial)


@pytest.fixture(scope="session")
def adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adb]:
    """A running adb server on a free port, known to child processes, without USB and without a scan for emulators."""
    server = Adb(adbutils.adb_path(), free_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        patch.delenv("ANDROID_ADB_SERVER_ADDRESS", raising=False)
        patch.delenv("ANDROID_SERIAL", raising=False)
        for name in ("ADB_USB", "ADB_LIBUSB", "ADB_EMU", "ADB_MDNS"):
            patch.setenv(name, "0")
        patch.setenv("ANDROID_USER_HOME", str(tmp_path_factory.mktemp("android")))
        subprocess.run([server.program, "start-server"], check=True, capture_output=True, timeout=60)
        yield server
        subprocess.run([server.program, "kill-server"], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def phone_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Virtual phones of this session keep their state apart from the user's; all are stopped at the end."""
    home = tmp_path_factory.mktemp("phones")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        yield home
        for phone in phones.running():
            phones.stop(phone.serial)


@pytest.fixture(scope="session")
def env(adb: Adb, phone_home: Path) -> dict[str, str]:
    """For `bench` as a child process: the session's adb server and phones, the user's cache."""
    return {**os.environ, "COLUMNS": "200"}


@dataclass(frozen=True)
class PhoneMaker:
    """Starts phones whose storage is thrown away with the session. Builds and other caches stay the user's."""

    adb: Adb
    home: Path

    def start(self, profile: str = phones.DEFAULT, *, port: int | None = None, ram: int | None = None) -> VirtualPhone:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(self.home / "cache"))
            return phones.start(profile, port=port or free_port(odd=True), ram_bytes=ram, adb_server=self.adb.address)


@pytest.fixture(scope="session")
def phone_maker(adb: Adb, phone_home: Path) -> PhoneMaker:
    return PhoneMaker(adb, phone_home)


@pytest.fixture(scope="session")
def virtual_phone(phone_maker: PhoneMaker) -> Iterator[VirtualPhone]:
    """One phone of the default profile, listed by the session's adb server as a device."""
    phone = phone_maker.start()
    yield phone
    if phone in phones.running():
        phones.stop(phone.serial)


@pytest.fixture(scope="session")
def device(adb: Adb, virtual_phone: VirtualPhone) -> Adb:
    """The adb client, bound to the session's phone."""
    return adb.on(virtual_phone)


@pytest.fixture
def folder(device: Adb, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new folder on the phone, removed after the test."""
    name = device.shell("mktemp -d /data/local/tmp/test.XXXXXX").strip()
    yield name
    device.shell(f"rm -rf {name}")


def ordinary_user() -> list[str]:
    """A command prefix that gives root up. Reading stays allowed, because the interpreter may live in root's home."""
    if os.geteuid() != 0:
        return []
    only = "-all,+dac_read_search"
    user = ["--reuid", "1234", "--regid", "1234", "--clear-groups"]
    return ["setpriv", *user, f"--inh-caps={only}", f"--ambient-caps={only}"]
