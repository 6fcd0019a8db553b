"""Two hosts of a farm, processes of this computer with an adb server and a virtual phone each, over TLS."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import adbutils
import pytest

from bench.results.folder import RunFolder
from bench.virtual import phone as phones
from tests.e2e.command import QUICK, bench, command
from tests.e2e.conftest import Adb, PhoneMaker, free_port
from tests.faults.injector import until

pytestmark = pytest.mark.timeout(300)
PLAN = f"""
name = "farm"
desktop = []
{QUICK}
[[cases]]
model = "lenet5"
variants = ["baseline"]
"""


@dataclass
class Host:
    """A worker with one phone. Its cache and log are in `folder`."""

    name: str
    adb: Adb
    serial: str
    folder: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def work(self, farm: Farm) -> None:
        env = {
            **self.env, "ANDROID_ADB_SERVER_PORT": str(self.adb.port), "XDG_CACHE_HOME": str(self.folder / "cache"),
        }  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command("farm", "worker", "--scheduler", farm.address, "--credentials", farm.member("worker"),
                        "--name", self.name), env=env, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


@dataclass
class Farm:
    folder: Path
    env: dict[str, str]
    address: str
    hosts: list[Host]

    def member(self, name: str) -> Path:
        return self.folder / "farm" / name

    @property
    def flags(self) -> tuple[str | Path, ...]:
        return "--scheduler", self.address, "--credentials", self.member("coordinator")

    def plan(self, launches: int) -> Path:
        path = self.folder / f"plan-{launches}.toml"
        path.write_text(PLAN.replace("\nlaunches = 3", f"\nlaunches = {launches}"))
        return path


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, phone_maker: PhoneMaker, env: dict[str, str]) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    bench("farm", "init", folder / "farm", env=env)
    bench("farm", "init", folder / "other", "--name", "coordinator", env=env)
    made = Farm(folder, env, f"tls://127.0.0.1:{free_port()}", [])
    with ExitStack() as leaving:
        for name in ("one", "two"):
            adb = Adb(adbutils.adb_path(), free_port())
            leaving.callback(adb.run, "kill-server")
            adb.run("start-server")
            phone = PhoneMaker(adb, phone_maker.home).start()
            leaving.callback(phones.stop, phone.serial)
            (folder / name).mkdir()
            made.hosts.append(Host(name, adb, phone.serial, folder / name, env))
        processes = [
            subprocess.Popen(
                command("farm", "scheduler", "--listen", made.address, "--credentials", made.member("scheduler")),
                env=env, stdout=subprocess.DEVNULL,
            )
        ]  # fmt: skip
        for host in made.hosts:
            host.work(made)
        try:
            until(lambda: all("works emulator" in host.log for host in made.hosts), 60)
            yield made
        finally:
            processes += [host.process for host in made.hosts if host.process]
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)


def ended(results: Path) -> Counter[tuple[str, str]]:
    """Trials of the only run there, by phone and status."""
    (folder,) = (path for path in results.iterdir() if path.name.endswith("-farm"))
    return Counter((m.trial.subject.device, m.status) for m in RunFolder(folder).measurements())


def test_a_run_over_two_hosts_is_complete_and_a_file_comes_to_each_once(farm: Farm, tmp_path: Path) -> None:
    one, two = farm.hosts
    bench("run", *farm.flags, "--device", "all", "--plan", farm.plan(2), "--results", tmp_path, "-q", env=farm.env)
    assert ended(tmp_path) == {(one.serial, "ok"): 5, (two.serial, "ok"): 5}
    (folder,) = (path for path in tmp_path.iterdir() if path.name.endswith("-farm"))
    notes = " ".join(RunFolder(folder).record().notes)
    assert f"{one.serial} hung on host one" in notes
    assert f"{two.serial} hung on host two" in notes
    for host in farm.hosts:
        came = re.findall(r"took [\d,]+ bytes, (\w+)", host.log)
        assert len(came) == len(set(came)) == 3  # the runner, the network, the samples
        kept = [path.name for path in (host.folder / "cache" / "fr-bench" / "farm").iterdir()]
        assert sorted(name[:12] for name in kept) == sorted(came)


def test_a_host_that_is_killed_and_comes_back_loses_no_trial(farm: Farm, tmp_path: Path) -> None:
    one, two = farm.hosts
    running = subprocess.Popen(
        command("run", *farm.flags, "--device", "all", "--plan", farm.plan(8), "--results", tmp_path),
        env=farm.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said, lost = [], False
    with running:
        assert running.stderr
        for line in running.stderr:
            said.append(line)
            if "latency" in line and two.serial in line and not lost:
                lost = True
                two.kill()
            if "is lost; waiting" in line:
                two.work(farm)
    assert running.returncode == 0, "".join(said)
    assert any(f"the host of {two.serial} is lost; waiting up to 180 s" in line for line in said), "".join(said)
    assert any("0 bytes of files were sent to host two" in line for line in said), "".join(said)
    assert ended(tmp_path) == {(one.serial, "ok"): 11, (two.serial, "ok"): 11}


def test_who_has_a_certificate_of_another_authority_is_not_let_in(farm: Farm) -> None:
    stranger = ("--scheduler", farm.address, "--credentials", farm.folder / "other" / "coordinator")
    assert "cannot be reached" in bench("farm", "list", *stranger, env=farm.env, status=2).stderr


def test_phones_that_the_farm_does_not_have_are_refused_with_those_it_has(farm: Farm) -> None:
    refused = bench("run", *farm.flags, "-s", "R58M", env=farm.env, status=10).stderr
    assert "no host of the farm has R58M; there are: " in refused
    assert all(host.serial in refused for host in farm.hosts)


def test_phones_of_another_machines_adb_server_are_measured_beside_each_other(
    farm: Farm, phone_maker: PhoneMaker, env: dict[str, str], tmp_path: Path
) -> None:
    adb = Adb(adbutils.adb_path(), free_port())
    adb.run("start-server")
    try:
        started = [PhoneMaker(adb, phone_maker.home).start() for _ in range(2)]
        where = ("--adb-server", f"127.0.0.1:{adb.port}")
        listed = json.loads(bench("devices", *where, "--json", env=env).stdout)
        assert {row["serial"] for row in listed} == {phone.serial for phone in started}
        assert "✓ device" in bench("doctor", *where, "--device", started[1].serial, env=env, status=0).stdout
        bench("run", *where, "--device", "all", "--plan", farm.plan(2), "--results", tmp_path, "-q", env=env)
        assert ended(tmp_path) == {(phone.serial, "ok"): 5 for phone in started}
        for phone in started:
            phones.stop(phone.serial)
    finally:
        adb.run("kill-server")


def test_a_phone_by_host_and_port_is_connected_for_the_command_alone(adb: Adb, farm: Farm, env: dict[str, str]) -> None:
    port = int(farm.hosts[0].serial.removeprefix("emulator-")) + 1
    address = f"127.0.0.1:{port}"
    assert f"✓ device: {address}" in bench("doctor", "--device", address, env=env).stdout
    assert address not in adb.run("devices").stdout.decode()
