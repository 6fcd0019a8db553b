"""`python -m benchmarks.farm`: two hosts in network namespaces, two virtual phones each, one run over them with TLS.

Shows that a stranger's certificate is refused, that files come to a host once, what a trial costs beside its launch
with 1, 2 and 4 phones, and what becomes of the trials of a host that is killed: once it comes back, once it does not.
Needs root for the namespaces; without, the hosts are processes on the loopback. Leaves nothing behind.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import plan
from bench.cache import Cache
from bench.campaign import asked, session
from bench.campaign.lane import Patience
from bench.campaign.reached import reached
from bench.cli import terminal
from bench.devices.transport import Transport
from bench.records import Measurement
from benchmarks.farm_hosts import BENCH, Host, hosts, scheduler
from tests.e2e.command import QUICK

PLAN = f"""
name = "farm"
desktop = []
{QUICK}
[[cases]]
model = "lenet5"
variants = ["baseline"]
"""
SLEEP_S, ROUNDS = 0.5, 20
PATIENCE = Patience(comes_back_s=20.0, probe_every_s=5.0, set_aside_s=10.0)
"""Shorter than that of `bench run` (180 s, 30 s, 300 s), to see the end of it."""


class Watched(terminal.Quiet):
    """Prints what happens to hosts, and calls `at_trial` with the number of each trial that has ended."""

    def __init__(self, at_trial: Callable[[int], None] = lambda number: None) -> None:
        self._ended, self._at_trial = 0, at_trial

    def trial(self, measurement: Measurement) -> None:
        self._ended += 1
        self._at_trial(self._ended)

    def note(self, sentence: str) -> None:
        print(f"  {sentence}", flush=True)


def run(title: str, launches: int, folder: Path, farm: tuple[str, Path], watcher: Watched) -> None:
    print(f"\n{title}", flush=True)
    address, credentials = farm
    wanted = asked.checked(plan.parse(PLAN.replace("\nlaunches = 3", f"\nlaunches = {launches}"), "farm"))
    with reached(["all"], watcher, scheduler=address, credentials=credentials) as (phones, where):
        before = time.monotonic()
        stored, _ = session.run(wanted, phones, folder / "results", Cache(), watcher, patience=PATIENCE, hosts=where)
        took = time.monotonic() - before
    ended = Counter[tuple[str, str]]()
    reasons: dict[str, str] = {}
    for one in stored.measurements():
        serial = one.trial.subject.device
        ended[serial, one.status] += 1
        if one.status == "failed":
            reasons[serial] = one.reason or ""
    for (serial, status), count in sorted(ended.items()):
        why = f": {reasons[serial]}" if status == "failed" else ""
        print(f"  {serial} at {where[serial].host}: {count} {status}{why}")
    print(f"  {took:.1f} s", flush=True)


def lane(phone: Transport, job: Path) -> None:
    """Trials that sleep: a job goes to the phone, a command runs, its answer comes back."""
    back = job.with_name(f"{phone.serial}.back")
    for _ in range(ROUNDS):
        phone.push(job, f"{phone.folder}/work.job", deadline_s=30)
        phone.run(["sleep", str(SLEEP_S)], deadline_s=30)
        phone.pull(f"{phone.folder}/work.job", back, deadline_s=30, most=1 << 20)


def scaling(folder: Path, farm: tuple[str, Path]) -> None:
    print(f"\nWhat a trial costs beside its launch (push of 1 kB, sleep {SLEEP_S:g} s, pull; {ROUNDS} a phone)")
    job = folder / "job"
    job.write_bytes(b"x" * 1000)
    with reached(["all"], terminal.Quiet(), scheduler=farm[0], credentials=farm[1]) as (phones, where):
        by_host = defaultdict(list)
        for one in phones:
            by_host[where[one.serial].host].append(one)
        mixed = [one for several in zip(*by_host.values(), strict=True) for one in several]
        for one in mixed:
            one.run(["mkdir", "-p", one.folder], deadline_s=30)
        alone = 0.0
        for count in (1, 2, 4):
            before = time.monotonic()
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(lane, mixed[:count], [job] * count))
            each = (time.monotonic() - before) / ROUNDS
            alone = alone or each
            cost = 1000 * (each - SLEEP_S)
            print(f"  phones: {count}, {cost:.0f} ms a trial, efficiency {alone / each:.0%}", flush=True)


def lost(made: Sequence[Host], credentials: Path, *, comes_back: bool) -> Watched:
    """Kills the last host's worker after the twentieth trial; it may be started again 3 s later."""

    def at_trial(number: int) -> None:
        if number == 20:
            print(f"  {made[-1].name} is killed", flush=True)
            made[-1].kill_worker()
            if comes_back:
                threading.Timer(3, made[-1].start_worker, [credentials]).start()

    return Watched(at_trial)


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave nothing behind then either
    with tempfile.TemporaryDirectory() as made_in, hosts(Path(made_in), 2, 2) as made:
        folder = Path(made_in)
        for where in ("farm", "other"):
            subprocess.run([*BENCH, "farm", "init", str(folder / where)], check=True, capture_output=True)
        member = {name: folder / "farm" / name for name in ("scheduler", "coordinator", "worker")}
        print("hosts: " + ("network namespaces" if made[0].apart else "processes on the loopback"), flush=True)
        with scheduler(member["scheduler"], folder, apart=made[0].apart) as address:
            for one in made:
                one.start_worker(member["worker"])
            listing = [*BENCH, "farm", "list", "--scheduler", address, "--credentials"]
            for _ in range(60):
                listed = subprocess.run([*listing, str(member["coordinator"])], capture_output=True, text=True)
                if all(serial in listed.stdout for one in made for serial in one.serials):
                    break
                time.sleep(0.5)
            print(listed.stdout.rstrip())
            stranger = subprocess.run([*listing, str(folder / "other" / "coordinator")], capture_output=True, text=True)
            print(f"with another authority's certificate: exit {stranger.returncode}, {stranger.stderr.strip()}")
            farm = (address, member["coordinator"])
            run("All four phones", 10, folder, farm, Watched())
            for one in made:
                print(f"  {one.name}: {'; '.join(one.taken)}")
            scaling(folder, farm)
            run("A host is killed and comes back", 30, folder, farm, lost(made, member["worker"], comes_back=True))
            run("A host is killed and stays away", 30, folder, farm, lost(made, member["worker"], comes_back=False))


if __name__ == "__main__":
    main()
