"""Breaks things for real: a virtual phone, its storage and its programs, and the adb server. Each method is one fault;
those that leave something broken have one that mends it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.devices.adb import FOLDER
from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from tests.e2e.conftest import Adb, PhoneMaker

FILLER = "/data/local/tmp/filler"


@dataclass
class Injector:
    """Faults of one virtual phone and of the adb server that knows it."""

    maker: PhoneMaker
    phone: VirtualPhone
    storage: int | None = None
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def adb(self) -> Adb:
        return self.maker.adb.on(self.phone)

    def kill_phone(self) -> None:
        """The battery falls out: the phone and all its programs end at once."""
        os.kill(self.phone.pid, signal.SIGKILL)
        while self.phone in phones.running():
            time.sleep(0.02)

    def start_phone(self) -> None:
        """The same phone again, with its storage; its boot id is another."""
        self.phone = self.maker.start(self.phone.profile, port=self.phone.port, storage=self.storage)

    def restart_phone(self, gone_s: float = 1.0) -> None:
        self.kill_phone()
        time.sleep(gone_s)
        self.start_phone()

    def remove_folder(self) -> None:
        """Somebody cleans up the phone in the middle of a run."""
        # Again while a launch writes there.
        self.adb.shell(f"until rm -rf {FOLDER}; do :; done")

    def fill_disk(self) -> None:
        """All room of a phone with limited `storage`."""
        assert self.storage
        self.adb.run("shell", f"cat /dev/zero > {FILLER}")

    def empty_disk(self) -> None:
        self.adb.shell(f"rm -f {FILLER}")

    def corrupt_file(self) -> str:
        """One byte of a deployed file changes; returns which file."""
        names = self.adb.shell(f"ls {FOLDER}/store").split()
        name = self.dice.choice([one for one in names if not one.endswith(".part")])
        self.adb.shell(f"printf '\\377' | dd of={FOLDER}/store/{name} bs=1 seek=9 conv=notrunc 2>/dev/null")
        return name

    def signal_runner(self, number: signal.Signals) -> bool:
        """SIGKILL, SIGSTOP, … to what was started from the store; whether there was something."""
        pids = []
        for line in self.adb.shell("ps -ef").splitlines():
            _, pid, *_, called = line.split(None, 7)
            # A script stands behind its shell; the shell around a launch has it in its argument.
            if any(word.startswith(f"{FOLDER}/store/") for word in called.split()[:2]):
                pids.append(pid)
        for pid in pids:
            self.adb.run("shell", f"kill -{number.value} {pid}")
        return bool(pids)

    def kill_adb_server(self) -> None:
        subprocess.run([self.maker.adb.program, "-P", str(self.maker.adb.port), "kill-server"], check=False, timeout=30)


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something that must happen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
