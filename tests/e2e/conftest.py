"""The real adb client, and virtual phones on it; the fixtures that start them are in tests/conftest.py."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

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
        return [self.program, "-P", str(self.port), *(["-s", self.serial] if self.serial else []), *arguments]

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.arguments(*arguments), input=stdin, capture_output=True, timeout=timeout)

    def shell(self, command: str) -> str:
        """Stdout of a shell command that must succeed."""
        done = self.run("shell", command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.decode()

    def on(self, phone: VirtualPhone) -> Adb:
        return Adb(self.program, self.port, phone.serial)


@dataclass(frozen=True)
class PhoneMaker:
    """Starts phones whose storage is thrown away with the session. Builds and other caches stay the user's."""

    adb: Adb
    home: Path

    def start(
        self,
        profile: str = phones.DEFAULT,
        *,
        port: int | None = None,
        ram: int | None = None,
        storage: int | None = None,
    ) -> VirtualPhone:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(self.home / "cache"))
            return phones.start(
                profile, port=port or free_port(odd=True), ram_bytes=ram, storage_bytes=storage,
                adb_server=self.adb.address,
            )  # fmt: skip


def ordinary_user() -> list[str]:
    """A command prefix that gives root up. Reading stays allowed, because the interpreter may live in root's home."""
    if os.geteuid() != 0:
        return []
    only = "-all,+dac_read_search"
    user = ["--reuid", "1234", "--regid", "1234", "--clear-groups"]
    return ["setpriv", *user, f"--inh-caps={only}", f"--ambient-caps={only}"]
