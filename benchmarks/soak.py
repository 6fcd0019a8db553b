"""`python -m benchmarks.soak`: one run on several virtual phones while things break, one about every ten seconds.

Every trial must end as measured, or as failed with a reason that was injected; the store must be whole, nothing may be
left on a phone, and the memory of bench and of the adb server must not grow. Leaves with 1 where that is not so.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import adbutils

from bench.cache import Cache
from bench.campaign.phones import LOCKS
from bench.cli import terminal
from bench.devices import hold
from bench.devices.adb import FOLDER, AdbServer
from bench.errors import BenchError
from bench.records import Measurement
from bench.results.folder import RunFolder
from bench.virtual import phone as phones
from tests.e2e.conftest import Adb, PhoneMaker, free_port
from tests.faults.injector import Injector, until

STORAGE = 96 << 20
GROWTH_BYTES = 24 << 20
"""What the median memory of the last quarter may be above that of the second: less than a tenth of bench's own."""
SPAN_S = 60.0
"""A fault explains what failed on its phone so many seconds later at most, beside the length of the trial."""

NET = """
from torch import nn

def build():
    wide = nn.Conv2d(1, 24, 3), nn.ReLU(), nn.Conv2d(24, 24, 3), nn.ReLU()
    return nn.Sequential(*wide, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(96, 5))
"""
PLAN = """
name = "soak"
desktop = []
[protocol]
launches = {launches}
memory_launches = {launches}
warmup_iterations = 1
warmup_seconds = 0
min_iterations = 20
min_seconds = 2
deadline_seconds = 20
[[cases]]
model = "{net}:build"
label = "net"
input = "1x128x128"
variants = ["baseline", "half"]
"""

LINK = frozenset({"DeviceOffline", "TransportBroken"})
EXPLAINS: dict[str, frozenset[str]] = {
    "phone restarts": LINK | {"DeadlineExceeded"},
    "adb server killed": LINK | {"NoDevice"},
    "folder removed": frozenset(),
    "file damaged": frozenset(),
    "storage full": frozenset({"DiskFull", "DeviceRefused"}),
    "runner killed": frozenset({"RunnerFailed"}),
    "runner crashes": frozenset({"RunnerFailed"}),
    "runner stands still": frozenset({"DeadlineExceeded"}),
}
"""Each fault, and the kinds of errors that a trial may fail with after it."""


class Fault(NamedTuple):
    kind: str
    serial: str
    begun: float
    took_s: float
    hit: bool
    """Whether there was something to break."""


@dataclass
class Breaking:
    """Breaks something of these phones about every `every_s` seconds, until it is told to stop."""

    injectors: Sequence[Injector]
    seed: int
    every_s: float
    done: list[Fault] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def go(self) -> None:
        dice = random.Random(self.seed)
        while not self.over.wait(dice.uniform(0.6, 1.4) * self.every_s):
            kind, one = dice.choice(tuple(EXPLAINS)), dice.choice(self.injectors)
            begun = time.time()
            try:
                hit = self._break(kind, one, dice)
            except Exception as error:  # of the injector: that is no fault of bench, and the soak is not what it says
                self.wrong.append(f"{kind} on {one.phone.serial} could not be injected: {error!r}"[:300])
                hit = False
            self.done.append(Fault(kind, one.phone.serial, begun, time.time() - begun, hit))

    def _break(self, kind: str, one: Injector, dice: random.Random) -> bool:
        match kind:
            case "phone restarts":
                one.restart_phone(dice.uniform(0.5, 4))
            case "adb server killed":
                one.kill_adb_server()
                self._all_there()
            case "folder removed":
                one.remove_folder()
            case "file damaged":
                with contextlib.suppress(AssertionError, IndexError):  # nothing is there yet after another fault
                    one.corrupt_file()
                    return True
                return False
            case "storage full":
                one.fill_disk()
                self.over.wait(dice.uniform(1, 4))
                one.empty_disk()
            case "runner killed":
                return self._signal(one, signal.SIGKILL)
            case "runner crashes":
                return self._signal(one, signal.SIGSEGV)
            case "runner stands still":
                return self._signal(one, signal.SIGSTOP)
        return True

    def _signal(self, one: Injector, number: signal.Signals) -> bool:
        """To the next launch that is seen at work."""
        end = time.monotonic() + 5
        while not (hit := one.signal_runner(number)) and time.monotonic() < end:
            time.sleep(0.05)
        return hit

    def _all_there(self) -> None:
        """A new adb server knows only the phones that somebody tells it of: bench those that it measures on, and the
        soak those that have nothing left to do."""
        server = AdbServer(*self.injectors[0].maker.adb.address)

        def there() -> bool:
            found = {one.serial for one in server.devices() if one.state == "device"}
            return found >= {one.phone.serial for one in self.injectors}

        begun = time.monotonic()
        while time.monotonic() < begun + 8 and not self.over.is_set():
            if there():
                return
            time.sleep(0.3)

        def told() -> bool:
            for one in self.injectors:
                server.introduce(one.phone.serial)
            time.sleep(1)
            return there()

        until(told, 60)


class Memory:
    """Resident bytes of bench and of the adb server, sampled while trials end."""

    def __init__(self, bench: int, port: int, due: int, ended: Callable[[], int]) -> None:
        self.bench: list[int] = []
        self.server: list[int] = []
        self._pid, self._port, self._due, self._ended = bench, port, due, ended

    def sample(self) -> None:
        # The first launches import and allocate what the others use, and the report has its own needs.
        if not 8 <= self._ended() < self._due:
            return
        for kept, pid in ((self.bench, self._pid), (self.server, _server(self._port))):
            if pid and (size := _resident(pid)):
                kept.append(size)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _server(port: int) -> int:
    """The process of the adb server on that port, 0 if none runs."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"fork-server" in words and any(str(port).encode() in word for word in words):
            return int(path.parent.name)
    return 0


def growth(sizes: Sequence[int]) -> int:
    """By how much the median of the last quarter is above that of the second, in bytes."""
    n = len(sizes)
    if n < 8:
        return 0
    return int(statistics.median(sizes[3 * n // 4 :]) - statistics.median(sizes[n // 4 : n // 2]))


def unexplained(failed: Sequence[Measurement], faults: Sequence[Fault]) -> Iterator[str]:
    """Failed trials whose kind of error nothing that was injected on their phone explains."""
    for one in failed:
        begun = datetime.fromisoformat(one.started).timestamp()
        near = [
            fault
            for fault in faults
            if fault.serial == one.trial.subject.device or fault.kind == "adb server killed"
            if fault.begun - 5 < begun + one.wall_s and begun < fault.begun + fault.took_s + SPAN_S
        ]
        if not any(one.fault in EXPLAINS[fault.kind] for fault in near):
            yield f"{one.trial.id} failed for no reason that was injected: {one.fault}: {one.reason}"


def left(injectors: Sequence[Injector]) -> Iterator[str]:
    """What is left on phones, and of locks and port forwards."""
    for one in injectors:
        serial = one.phone.serial
        said = one.adb.run("shell", "ps -ef").stdout.decode(errors="replace")
        for line in said.splitlines():
            if f"{FOLDER}/store/" in line:
                yield f"a process on {serial}: {line}"
        for line in one.adb.run("shell", f"ls -d {FOLDER}/work {FOLDER}/store/*.part").stdout.decode().splitlines():
            if line.startswith(FOLDER):
                yield f"a file on {serial}: {line}"
        for direction in ("forward", "reverse"):
            if text := one.adb.run(direction, "--list").stdout.decode().strip():
                yield f"a port {direction} of {serial}: {text}"
        if who := hold.holder(Cache().root / LOCKS, serial):
            yield f"the lock of {serial}: {who}"


def planned(launches: int, count: int) -> int:
    """Trials of two variants on so many phones: size, accuracy, and launches of memory and latency."""
    return count * 2 * (2 + 2 * launches)


def wrong_of_store(folder: RunFolder, launches: int, serials: Sequence[str]) -> Iterator[str]:
    """What is not as it should be in what was stored."""
    lines = [line for line in (folder.path / "trials.jsonl").read_text().splitlines() if line]
    stored = folder.measurements()
    if len(lines) != len(stored):
        yield f"{len(lines) - len(stored)} trials were stored twice"
    due = planned(launches, len(serials))
    if len(stored) != due:
        yield f"{len(stored)} trials ended; {due} were planned"
    frame = folder.consolidate()
    if set(frame["trial"]) != {one.trial.id for one in stored}:
        yield "samples and trials are not of the same"
    yield from folder.missing(frame, folder.answers())
    if not folder.record().finished:
        yield "the run is not marked as finished"


@contextlib.contextmanager
def shelf(count: int, home: Path) -> Iterator[list[Injector]]:
    """So many virtual phones on an adb server of their own, all of it ended in the end."""
    os.environ.update(ANDROID_ADB_SERVER_PORT=str(free_port()), XDG_STATE_HOME=str(home / "state"))
    os.environ.update(dict.fromkeys(("ADB_USB", "ADB_LIBUSB", "ADB_EMU", "ADB_MDNS"), "0"))
    for name in ("ANDROID_SERIAL", "ANDROID_ADB_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    adb = Adb(adbutils.adb_path(), int(os.environ["ANDROID_ADB_SERVER_PORT"]))
    subprocess.run([adb.program, "-P", str(adb.port), "start-server"], check=True, capture_output=True, timeout=60)
    maker, made = PhoneMaker(adb, home), []
    try:
        for n in range(count):
            made.append(Injector(maker, maker.start(storage=STORAGE), STORAGE, random.Random(n)))
        yield made
    finally:
        for phone in phones.running():
            phones.stop(phone.serial)
        subprocess.run([adb.program, "-P", str(adb.port), "kill-server"], check=False, capture_output=True, timeout=60)


def soak(minutes: float, count: int, trials: int, seed: int, every_s: float, home: Path) -> int:
    launches = max(1, math.ceil(trials / count / 4) - 1)
    (home / "net.py").write_text(NET)
    (home / "plan.toml").write_text(PLAN.format(net=home / "net.py", launches=launches))
    results, said = home / "results", home / "bench.log"
    with shelf(count, home) as injectors:
        port, serials = injectors[0].maker.adb.port, [one.phone.serial for one in injectors]
        arguments = [sys.executable, "-m", "bench.cli", "run", "--device", "all", "--plan", str(home / "plan.toml")]
        begun = time.monotonic()
        with (
            said.open("wb") as log,
            subprocess.Popen([*arguments, "--results", str(results)], stdout=log, stderr=log) as bench,
        ):
            lines = lambda: sum(path.read_bytes().count(b"\n") for path in results.glob("*/trials.jsonl"))  # noqa: E731
            memory, breaking = (
                Memory(bench.pid, port, planned(launches, count), lines),
                Breaking(injectors, seed, every_s),
            )
            thread = threading.Thread(target=breaking.go)
            while bench.poll() is None and time.monotonic() < begun + 60 * minutes:
                if lines() and thread.ident is None:
                    thread.start()
                memory.sample()
                time.sleep(1)
            late = bench.poll() is None
            if late:
                bench.kill()
            breaking.over.set()
        if thread.ident is not None:
            thread.join(90)
        took_s = time.monotonic() - begun
        wrong = [f"it did not end within {minutes:g} minutes"] * late + breaking.wrong
        if not late and bench.returncode:
            wrong.append(f"bench left with {bench.returncode}: {said.read_text(errors='replace')[-600:]}")
        if "Traceback" in said.read_text(errors="replace"):
            wrong.append(f"there is a traceback in what bench said: {said}")
        wrong += left(injectors)
    folders = [RunFolder(path.parent) for path in results.glob("*/run.json")]
    stored: tuple[Measurement, ...] = ()
    if len(folders) == 1:
        try:
            stored = folders[0].measurements()
            wrong += wrong_of_store(folders[0], launches, serials)
        except BenchError as error:
            wrong.append(f"the store is damaged: {error.what}")
    else:
        wrong.append(f"{len(folders)} runs were stored")
    failed = [one for one in stored if one.status == "failed"]
    wrong += unexplained(failed, breaking.done)
    for name, sizes in (("bench", memory.bench), ("the adb server", memory.server)):
        if growth(sizes) > GROWTH_BYTES:
            wrong.append(f"the memory of {name} grew by {growth(sizes) >> 20} MiB")
    show(breaking.done, stored, serials, memory, took_s)
    for one in wrong:
        terminal.say(f"WRONG: {one}")
    if not wrong:
        terminal.say("Nothing is wrong.")
    return bool(wrong)


def show(
    faults: Sequence[Fault], stored: Sequence[Measurement], serials: Sequence[str], memory: Memory, took_s: float
) -> None:
    rows = []
    for serial in serials:
        own = [one for one in stored if one.trial.subject.device == serial]
        kinds = Counter(one.fault for one in own if one.status == "failed")
        words = ", ".join(f"{kind} {n}" for kind, n in kinds.items())
        hits = sum(fault.hit and fault.serial == serial for fault in faults)
        measured = sum(one.status != "failed" for one in own)
        rows.append((serial, words, str(hits), str(len(own)), str(measured), str(sum(kinds.values()))))
    terminal.table(("phone", "failed with", "faults", "trials", "measured", "failed"), rows, words=2)
    kinds = Counter(fault.kind for fault in faults if fault.hit)
    terminal.table(("fault", "times"), [(kind, str(kinds[kind])) for kind in EXPLAINS])
    mib = [
        (
            name,
            *(f"{value / 2**20:.0f} MiB" for value in (sizes[0], statistics.median(sizes), max(sizes), growth(sizes))),
        )
        for name, sizes in (("bench", memory.bench), ("adb server", memory.server))
        if sizes
    ]
    terminal.table(("memory of", "first", "median", "most", "growth"), mib)
    terminal.say(f"{len(stored)} trials, {sum(f.hit for f in faults)} faults that hit, {took_s:.0f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="it is ended then, which is wrong")
    parser.add_argument("--phones", type=int, default=4)
    parser.add_argument("--trials", type=int, default=200, help="at least so many of all phones")
    parser.add_argument("--every", type=float, default=10, help="seconds from the end of a fault to the next")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder in which everything stays")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        home = given.keep or Path(made)
        home.mkdir(parents=True, exist_ok=True)
        status = soak(given.minutes, given.phones, given.trials, given.seed, given.every, home)
    sys.exit(status)


if __name__ == "__main__":
    main()
