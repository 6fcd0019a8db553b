"""Faults in the middle of `bench run`: what a person sees, what is stored, and what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cache import Cache
from bench.campaign.phones import LOCKS
from bench.devices import hold
from bench.results.folder import RunFolder
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import bench, command, run
from tests.faults.injector import Injector, until

NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(96, 5))
"""
PLAN = """
name = "faults"
desktop = ["ncnn"]
[protocol]
launches = {launches}
reference_launches = 1
memory_launches = 1
warmup_iterations = 1
warmup_seconds = 0
min_iterations = 3
min_seconds = {seconds}
[[cases]]
model = "{net}:build"
label = "net"
input = "1x16x16"
variants = ["baseline"]
"""


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Path]:
    """A plan of one small network on the phone and on this host."""

    def make(launches: int = 4, seconds: float = 0.5) -> Path:
        (tmp_path / "net.py").write_text(NET)
        path = tmp_path / "plan.toml"
        path.write_text(PLAN.format(net=tmp_path / "net.py", launches=launches, seconds=seconds))
        return path

    return make


def ended(results: Path, pass_: str = "") -> int:
    """How many trials of the run have ended."""
    lines = [line for path in results.glob("*/trials.jsonl") for line in path.read_text().splitlines()]
    return sum(pass_ in line for line in lines)


def run_and(
    fault: Callable[[], object], injector: Injector, plan: Path, env: dict[str, str], results: Path
) -> tuple[subprocess.CompletedProcess[str], RunFolder]:
    """A run in whose latency pass something happens."""
    arguments = command("run", "-s", injector.phone.serial, "--plan", plan, "--results", results)
    with subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: ended(results, '"latency"') > 1 or process.poll() is not None, 120)
        fault()
        out, err = process.communicate(timeout=200)
    assert "Traceback" not in err, err
    (folder,) = results.glob("*/run.json")
    return subprocess.CompletedProcess(arguments, process.returncode, out, err), RunFolder(folder.parent)


def test_a_folder_removed_in_a_run_costs_no_trial(
    injector: Injector, own_env: dict[str, str], plan: Callable[..., Path], tmp_path: Path
) -> None:
    done, folder = run_and(injector.remove_folder, injector, plan(), own_env, tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert {one.status for one in folder.measurements()} == {"ok"}
    assert "had gone from" in done.stderr
    assert any("were brought again" in note for note in folder.record().notes)
    health = json.loads(bench("devices", "--health", "--json", env=own_env).stdout)
    (own,) = (one for one in health if one["serial"] == injector.phone.serial)
    assert (own["runs"], own["failures"], own["set_aside_since"]) == (1, {}, "")
    assert injector.phone.serial in bench("devices", "--health", env=own_env).stdout


@pytest.mark.slow_fault
def test_an_adb_server_killed_in_a_run_costs_no_trial(
    injector: Injector, own_env: dict[str, str], plan: Callable[..., Path], tmp_path: Path
) -> None:
    done, folder = run_and(injector.kill_adb_server, injector, plan(), own_env, tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert {one.status for one in folder.measurements()} == {"ok"}
    assert f"waiting up to 180 s for {injector.phone.serial}" in done.stderr


@pytest.mark.slow_fault
def test_a_phone_that_restarts_in_a_run_costs_no_trial(
    injector: Injector, own_env: dict[str, str], plan: Callable[..., Path], tmp_path: Path
) -> None:
    done, folder = run_and(lambda: injector.restart_phone(5), injector, plan(), own_env, tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert {one.status for one in folder.measurements()} == {"ok"}
    assert f"{injector.phone.serial} restarted during the run" in folder.record().notes
    assert "restarted during the run" in (folder.path / "report.html").read_text()


@pytest.mark.slow_fault
@pytest.mark.parametrize("injector", [48 << 20], indirect=True)
def test_a_phone_that_is_full_is_set_aside_and_the_other_is_measured_on(
    injector: Injector, own_env: dict[str, str], plan: Callable[..., Path], tmp_path: Path
) -> None:
    other = injector.maker.start()
    injector.fill_disk()
    serials, results = (injector.phone.serial, other.serial), tmp_path / "results"
    arguments = command("run", "-s", serials[0], "-s", serials[1], "--plan", plan(), "--results", results)
    with subprocess.Popen(arguments, env=own_env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout
        said = []
        for line in run.stdout:
            said.append(line)
            if f"{serials[0]} was set aside: " in line:
                injector.empty_disk()
    assert run.returncode == 0, said
    (folder,) = (RunFolder(path.parent) for path in results.glob("*/run.json"))
    assert {one.status for one in folder.measurements()} == {"ok"}
    notes = "; ".join(folder.record().notes)
    assert f"{serials[0]} was set aside: {serials[0]} has " in notes
    injector.fill_disk()
    alone = tmp_path / "alone.toml"
    alone.write_text(plan(5).read_text().replace('desktop = ["ncnn"]', "desktop = []"))
    injector.remove_folder()
    injector.fill_disk()
    assert (
        serials[0]
        in bench("run", "-s", serials[0], "--plan", alone, "--results", results, env=own_env, status=15).stderr
    )


@pytest.mark.slow_fault
def test_under_strict_a_phone_that_is_not_fit_is_left_out_and_the_other_is_measured_on(
    injector: Injector, own_env: dict[str, str], plan: Callable[..., Path], tmp_path: Path
) -> None:
    other, hot = injector.maker.start(), injector.phone
    words = hot.folder / "root/system/etc/dumpsys/thermalservice"
    words.write_text(words.read_text().replace("Thermal Status: 0", "Thermal Status: 3"))
    done = run("-s", hot.serial, "-s", other.serial, "--strict", "--plan", plan(), "--results", tmp_path, env=own_env)
    assert {one.trial.subject.device for one in RunFolder(done.folder).measurements()} == {"desktop", other.serial}
    assert any(note.startswith(f"{hot.serial} is left out: ") for note in done.record.notes)
    bench("run", "-s", hot.serial, "--strict", "--plan", plan(), "--results", tmp_path, env=own_env, status=33)


@pytest.mark.slow_fault
def test_one_phone_has_one_bench(
    virtual_phone: VirtualPhone, env: dict[str, str], plan: Callable[..., Path], tmp_path: Path
) -> None:
    serial = virtual_phone.serial
    with hold.held(Cache().root / LOCKS, [serial]):
        for verb in (("run", "--plan", plan(), "--results", tmp_path / "results"), ("clean",)):
            said = bench(*verb, "-s", serial, env=env, status=18).stderr
            assert f"another bench is measuring on {serial}" in said
            assert f"process {os.getpid()}" in said
        rows = json.loads(bench("devices", "--json", env=env).stdout)
    (row,) = (row for row in rows if row["serial"] == serial)
    assert f"process {os.getpid()}" in row["held"]
    assert not list((tmp_path / "results").glob("*"))


FULL = """
mkdir -p "$RESULTS" && mount -t tmpfs -o size=300k tmpfs "$RESULTS" && "$@"
status=$?
cp -r "$RESULTS"/. "$KEPT"
exit $status
"""


def test_a_full_disk_of_this_computer_stops_the_run_and_loses_nothing_stored(
    virtual_phone: VirtualPhone, env: dict[str, str], plan: Callable[..., Path], tmp_path: Path
) -> None:
    """The results are on a file system of 300 kB, which the samples of some launches fill."""
    results, kept = tmp_path / "results", tmp_path / "kept"
    kept.mkdir()
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    arguments = command("run", "-s", virtual_phone.serial, "--plan", plan(30, 0), "--results", results)
    done = subprocess.run(
        [*own, "sh", "-c", FULL, "sh", *arguments],
        env={**env, "RESULTS": str(results), "KEPT": str(kept)}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 23, done.stderr
    assert f"this computer has no room left for {results}" in done.stderr
    assert "every trial that had been stored is kept" in done.stderr
    (folder,) = (RunFolder(path.parent) for path in kept.glob("*/run.json"))
    stored = folder.measurements()
    assert stored
    assert set(folder.consolidate()["trial"]) >= {one.trial.id for one in stored}
    bench("report", folder.path, env=env)


JUMPING = """
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The time of day goes back by a day every three seconds, and comes again. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = syscall(SYS_clock_gettime, clock, now);
    struct timespec steady;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &steady);
    if (clock == CLOCK_REALTIME && steady.tv_sec / 3 % 2) now->tv_sec -= 86400;
    return status;
}
"""


@pytest.mark.slow_fault
def test_a_clock_that_jumps_back_changes_no_figure(
    virtual_phone: VirtualPhone, env: dict[str, str], plan: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "clock.c").write_text(JUMPING)
    library = tmp_path / "clock.so"
    bare = ("-shared", "-fPIC", "-O2", "-fno-sanitize=undefined", "-nostdlib", "-Wl,-z,undefs")
    compiler = [sys.executable, "-m", "ziglang", "cc", *bare, "-o", library, tmp_path / "clock.c"]
    subprocess.run(compiler, check=True, timeout=120)
    jumping = {**env, "LD_PRELOAD": str(library)}
    results = tmp_path / "results"
    bench("run", "-s", virtual_phone.serial, "--plan", plan(), "--results", results, env=jumping)
    (folder,) = (RunFolder(path.parent) for path in results.glob("*/run.json"))
    record, stored = folder.record(), folder.measurements()
    assert {one.status for one in stored} == {"ok"}
    assert len({one.started[:10] for one in stored}) == 2  # it did jump
    assert all(0 <= one.wall_s < 300 for one in stored)
    assert 0 < record.preparation_s < record.wall_s < 600
