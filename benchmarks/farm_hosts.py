"""Hosts of a farm on one computer: each a network namespace with an adb server, virtual phones and a worker of its own,
or, where namespaces cannot be made, only with its own adb server, folders and ports."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import adbutils

BENCH = [sys.executable, "-m", "bench.cli"]
ADB_PORT, PHONE_PORT, SCHEDULER_PORT = 15411, 16101, 15410


def ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True)


@dataclass
class Host:
    """`number` from 1. The coordinator reaches it at `address`, and it the coordinator at `gate`."""

    number: int
    folder: Path
    apart: bool
    worker: subprocess.Popen[bytes] | None = None
    serials: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"host-{self.number}"

    @property
    def space(self) -> str:
        return f"bench-farm-{os.getpid()}-{self.number}"

    @property
    def link(self) -> str:
        return f"bf{os.getpid() % 100000}-{self.number}"

    @property
    def gate(self) -> str:
        return f"10.213.{self.number}.1" if self.apart else "127.0.0.1"

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ, "ANDROID_ADB_SERVER_PORT": str(ADB_PORT + self.number), "ADB_MDNS": "0", "ADB_EMU": "0",
            "ADB_USB": "0", "XDG_STATE_HOME": str(self.folder / "state"), "XDG_CACHE_HOME": str(self.folder / "cache"),
        }  # fmt: skip

    def command(self, *arguments: str) -> list[str]:
        return [*(["ip", "netns", "exec", self.space] if self.apart else []), *arguments]

    def bench(self, *arguments: str) -> None:
        done = subprocess.run(self.command(*BENCH, *arguments), env=self.env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{self.name}: bench {' '.join(arguments)}: {done.stderr}")

    def open(self) -> None:
        if self.apart:
            ip("netns", "add", self.space)
            ip("link", "add", self.link, "type", "veth", "peer", "name", "uplink", "netns", self.space)
            ip("addr", "add", f"{self.gate}/30", "dev", self.link)
            ip("link", "set", self.link, "up")
            for link in ("lo", "uplink"):
                ip("-n", self.space, "link", "set", link, "up")
            ip("-n", self.space, "addr", "add", f"10.213.{self.number}.2/30", "dev", "uplink")

    def start_phone(self) -> None:
        port = PHONE_PORT + 100 * self.number + 2 * len(self.serials)
        self.bench("phone", "start", "--port", str(port))
        self.serials.append(f"emulator-{port - 1}")

    def start_worker(self, credentials: Path) -> None:
        log = (self.folder / "worker.log").open("ab")
        address = f"tls://{self.gate}:{SCHEDULER_PORT}"
        arguments = ["farm", "worker", "--scheduler", address, "--credentials", str(credentials), "--name", self.name]
        self.worker = subprocess.Popen(self.command(*BENCH, *arguments), env=self.env, stdout=log, stderr=log)

    def kill_worker(self) -> None:
        """As by a power cut: nothing is said."""
        assert self.worker
        self.worker.kill()
        self.worker.wait()

    @property
    def taken(self) -> list[str]:
        """What its worker said of files that came."""
        log = self.folder / "worker.log"
        return [line for line in log.read_text().splitlines() if line.startswith("took")] if log.exists() else []

    def close(self) -> None:
        if self.worker and self.worker.poll() is None:
            self.worker.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.worker.wait(20)
            self.worker.kill()
            self.worker.wait()
        quiet = {"env": self.env, "capture_output": True}
        subprocess.run(self.command(*BENCH, "phone", "stop"), **quiet)  # type: ignore[call-overload]
        adb = [adbutils.adb_path(), "-P", self.env["ANDROID_ADB_SERVER_PORT"], "kill-server"]
        subprocess.run(self.command(*adb), **quiet)  # type: ignore[call-overload]
        if self.apart:
            ip("link", "del", self.link, check=False)
            ip("netns", "del", self.space, check=False)


def can_be_apart() -> bool:
    """Whether this user may make network namespaces and links between them."""
    probe = Host(9, Path(), True)
    try:
        probe.open()
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        with contextlib.suppress(OSError):
            ip("link", "del", probe.link, check=False)
            ip("netns", "del", probe.space, check=False)
    return True


@contextmanager
def hosts(folder: Path, count: int, phones: int) -> Iterator[list[Host]]:
    """So many hosts with so many phones each, no worker yet; nothing is left behind."""
    apart = can_be_apart()
    made: list[Host] = []
    try:
        for number in range(1, count + 1):
            one = Host(number, folder / f"host-{number}", apart)
            one.folder.mkdir()
            made.append(one)
            one.open()
            for _ in range(phones):
                one.start_phone()
        yield made
    finally:
        for one in made:
            one.close()


@contextmanager
def scheduler(credentials: Path, folder: Path, *, apart: bool) -> Iterator[str]:
    """A scheduler; its address for the coordinator."""
    listen = f"tls://{'0.0.0.0' if apart else '127.0.0.1'}:{SCHEDULER_PORT}"
    log = (folder / "scheduler.log").open("ab")
    one = subprocess.Popen(
        [*BENCH, "farm", "scheduler", "--listen", listen, "--credentials", str(credentials)], stdout=log, stderr=log
    )
    try:
        while "listens" not in (folder / "scheduler.log").read_text() and one.poll() is None:
            time.sleep(0.1)
        yield f"tls://127.0.0.1:{SCHEDULER_PORT}"
    finally:
        one.terminate()
        one.wait()
