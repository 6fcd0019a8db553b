"""`bench push`: an update on a virtual phone, made whole there by the real runner."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.devices import update
from bench.virtual.phone import stop
from tests.e2e.command import QUICK, bench, command, run
from tests.e2e.conftest import Adb, PhoneMaker
from tests.e2e.native_kit import EXITS, runner

MODELS = "/data/local/tmp/bench/models"


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    """Weights, and the same after some training."""
    random = np.random.default_rng(1)
    before = random.standard_normal(30_000).astype(np.float16)
    after = (before + 0.01 * random.standard_normal(30_000)).astype(np.float16)
    paths = tmp_path / "before.bin", tmp_path / "after.bin"
    for path, values in zip(paths, (before, after), strict=True):
        path.write_bytes(values.tobytes())
    return paths


@pytest.fixture
def name(device: Adb) -> Iterator[str]:
    yield "test.bin"
    device.shell(f"rm -f {MODELS}/test.bin*")


def push(adb: Adb, path: Path, name: str, env: dict[str, str], *more: str | Path) -> dict[str, Any]:
    done = bench("push", path, "--device", adb.serial, "--name", name, "--json", *more, env=env)
    (found,) = json.loads(done.stdout)
    return dict(found)


def content(adb: Adb, name: str, tmp_path: Path) -> bytes:
    local = tmp_path / "back"
    assert adb.run("pull", f"{MODELS}/{name}", str(local)).returncode == 0
    return local.read_bytes()


def test_an_update_goes_as_the_difference_and_is_whole_on_the_phone(
    versions: tuple[Path, Path], name: str, device: Adb, tmp_path: Path, env: dict[str, str]
) -> None:
    before, after = versions
    device.run("push", str(before), f"{MODELS}/{name}")
    assert push(device, before, name, env)["sent"] == 0
    found = push(device, after, name, env, "--from", before)
    offers = dict(found["offers"])
    assert found["form"] in ("difference", "whole")  # the latter where the runner would have to come first
    assert offers["difference"] < 0.6 * offers["whole"]
    assert offers["difference"] < 0.7 * found["zstd_from_old"]
    assert found["sent"] == offers[found["form"]]
    assert content(device, name, tmp_path) == after.read_bytes()
    assert push(device, after, name, env)["sent"] == 0
    assert device.shell(f"ls {MODELS} | grep {name}").split() == [name]


def test_another_old_file_than_the_phones_serves_for_nothing(
    versions: tuple[Path, Path], name: str, device: Adb, tmp_path: Path, env: dict[str, str]
) -> None:
    before, after = versions
    (tmp_path / "strange").write_bytes(b"what somebody put there")
    device.run("push", str(tmp_path / "strange"), f"{MODELS}/{name}")
    found = push(device, after, name, env, "--from", before)
    assert "difference" not in dict(found["offers"])
    assert content(device, name, tmp_path) == after.read_bytes()


@pytest.fixture
def small(phone_maker: PhoneMaker, adb: Adb) -> Iterator[tuple[Adb, int]]:
    """A phone with little storage, and how much of it is free."""
    phone = phone_maker.start(storage=8 << 20)
    there = adb.on(phone)
    there.shell(f"mkdir -p {MODELS}")
    yield there, int(there.shell("df -k /data/local/tmp | tail -1").split()[3]) << 10
    stop(phone.serial)


def test_a_file_that_fits_beside_what_is_there_is_not_refused_and_one_that_does_not_is(
    small: tuple[Adb, int], tmp_path: Path, env: dict[str, str]
) -> None:
    there, free = small
    noise = tmp_path / "noise.bin"
    noise.write_bytes(np.random.default_rng(3).bytes(free * 2 // 3))
    there.shell(f"printf half > {MODELS}/test.bin.part")  # of a call that was killed
    assert push(there, noise, "test.bin", env)["form"] == "whole"
    assert content(there, "test.bin", tmp_path) == noise.read_bytes()
    assert there.shell(f"ls {MODELS}").split() == ["test.bin"]
    noise.write_bytes(np.random.default_rng(4).bytes(free * 2 // 3))
    refused = bench("push", noise, "--device", there.serial, "--name", "test.bin", env=env, status=15)
    assert f"{noise.stat().st_size + (64 << 10):,} are needed" in refused.stderr


def test_a_damaged_package_replaces_no_good_one(device: Adb, tmp_path: Path, env: dict[str, str]) -> None:
    good, bad = tmp_path / "net.frq", tmp_path / "bad.frq"
    good.write_bytes((Path(update.__file__).parents[1] / "pretrained" / "lenet5.frq").read_bytes())
    bad.write_bytes(good.read_bytes()[:-20])
    noise = tmp_path / "noise.bin"
    noise.write_bytes(np.random.default_rng(5).bytes(3_000))
    at = ("--device", device.serial, "--name")
    try:
        push(device, good, "test.frq", env)
        for file, name in ((bad, "test.frq"), (noise, "test.frq"), (good, "test.nested"), (bad, "test.weights")):
            said = bench("push", file, *at, name, env=env, status=31).stderr
            assert str(file) in said
            assert "Nothing was sent" in said
        assert content(device, "test.frq", tmp_path) == good.read_bytes()
    finally:
        device.shell(f"rm -f {MODELS}/test.*")


@contextmanager
def held(to: tuple[str, int], most: int) -> Iterator[tuple[str, threading.Event]]:
    """An address that leads to the adb server `to`, and what is set when a client has sent `most` bytes over one
    connection: no byte of it passes after that."""
    stopped, ended = threading.Event(), threading.Event()
    door = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def start(work: Callable[..., None], *arguments: object) -> None:
        threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        threads[-1].start()

    def answers(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def asks(client: socket.socket) -> None:
        left = most
        with client, suppress(OSError), socket.create_connection(to) as server:
            back = threading.Thread(target=answers, args=(server, client), daemon=True)
            back.start()
            while data := client.recv(1 << 16):
                if (left := left - len(data)) < 0:
                    stopped.set()
                    ended.wait()
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR if left < 0 else socket.SHUT_WR)
            back.join()

    def serve() -> None:
        with suppress(OSError):
            while not ended.is_set():
                start(asks, door.accept()[0])

    start(serve)
    try:
        yield f"127.0.0.1:{door.getsockname()[1]}", stopped
    finally:
        ended.set()
        with socket.create_connection(door.getsockname()):
            pass  # wakes what waits for a client
        for thread in threads:
            thread.join(60)
        door.close()


def test_a_push_that_is_killed_half_way_leaves_the_old_file(
    name: str, device: Adb, tmp_path: Path, env: dict[str, str]
) -> None:
    random = np.random.default_rng(2)
    before, after = tmp_path / "before", tmp_path / "after"
    for path in (before, after):
        path.write_bytes(random.bytes(3_000_000))
    push(device, before, name, env)
    with held(device.address, 1_500_000) as (address, stopped):
        arguments = ("push", after, "--device", device.serial, "--name", name, "--adb-server", address)
        going = subprocess.Popen(command(*arguments), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert stopped.wait(300), going.communicate(timeout=10)
        finally:
            going.send_signal(signal.SIGKILL)
            going.communicate(timeout=60)
    assert content(device, name, tmp_path) == before.read_bytes()
    assert push(device, after, name, env)["sent"] == len(after.read_bytes())
    assert content(device, name, tmp_path) == after.read_bytes()
    assert device.shell(f"ls {MODELS} | grep {name}").split() == [name]


def test_the_files_of_a_run_and_a_package_are_pushed(device: Adb, tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "plan.toml").write_text(f'name = "p"\ndesktop = []\n{QUICK}\n[[cases]]\nmodel = "lenet5"\n')
    arguments = ("--plan", tmp_path / "plan.toml", "--variant", "half")
    done = run("-s", device.serial, *arguments, "--results", tmp_path / "results", env=env)
    at = ("--device", device.serial, "--json")
    try:
        pushed = json.loads(bench("push", done.folder, "--variant", "half", *at, env=env).stdout)
        (artifact,) = (one for one in done.record.artifacts if (one.variant, one.runtime) == ("half", "ncnn"))
        assert {one["sha256"] for one in pushed} == {file.sha256 for file in artifact.needed}
        for one in pushed:
            assert device.shell(f"sha256sum {one['path']}").split()[0] == one["sha256"]
        package = tmp_path / "net.frq"
        bench(
            "compress", "lenet5", "--method", "fr", "--target", "1000x", "--one-shot", "-o", package, "--quiet", env=env
        )
        (one,) = json.loads(bench("push", package, *at, env=env).stdout)
        assert one["sent"] == min(size for _, size in one["offers"]) <= package.stat().st_size
        assert content(device, "net.frq", tmp_path) == package.read_bytes()
    finally:
        device.shell(f"rm -f {MODELS}/net.frq {MODELS}/lenet5-half.*")


def test_mistakes_are_said(device: Adb, tmp_path: Path, env: dict[str, str]) -> None:
    at = ("--device", device.serial)
    assert "cannot be read" in bench("push", tmp_path / "none", *at, env=env, status=2).stderr
    (tmp_path / "empty").touch()
    assert "is empty" in bench("push", tmp_path / "empty", *at, env=env, status=2).stderr
    (tmp_path / "some").write_text("some")
    for name in ("../x", "net.frq.part", "net.frq.update"):
        assert "file's name" in bench("push", tmp_path / "some", *at, "--name", name, env=env, status=2).stderr


@pytest.mark.parametrize(("old", "new"), [(b"", b"new"), (b"old", b""), (b"12345", b"1234567"), (b"12345678", b"123")])
def test_the_runner_makes_what_the_document_says(old: bytes, new: bytes, tmp_path: Path) -> None:
    for word in update.WORDS:
        done = _update(tmp_path, update._made(new, old, word), old)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "new").read_bytes() == new


def test_a_damaged_update_leaves_the_old_file(versions: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = (path.read_bytes()[:4_000] for path in versions)
    made = update.smallest(new, old)
    damaged = [made[:40], made[:-9], made + b"more", old, b""]
    damaged += [bytes([*made[:at], made[at] ^ 0x55, *made[at + 1 :]]) for at in range(0, len(made) - 4, 97)]
    for one in damaged:
        done = _update(tmp_path, one, old)
        assert done.returncode in (EXITS["ok"], EXITS["bad_weights"]), done
        assert (tmp_path / "new").read_bytes() == (b"as it was" if done.returncode else new)
    assert _update(tmp_path, made, new).returncode == EXITS["bad_weights"]


def test_an_update_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "update").write_bytes(update.smallest(b"new"))
    (tmp_path / "new").mkdir()
    at = [str(tmp_path / "update"), "-", str(tmp_path / "new")]
    assert subprocess.run([runner(), "--update", *at], capture_output=True).returncode == EXITS["write_failed"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("new")] == ["new"]


def _update(folder: Path, made: bytes, old: bytes) -> subprocess.CompletedProcess[str]:
    (folder / "update").write_bytes(made)
    (folder / "old").write_bytes(old)
    (folder / "new").write_bytes(b"as it was")
    at = [str(folder / "update"), str(folder / "old") if old else "-", str(folder / "new")]
    return subprocess.run([str(runner()), "--update", *at], capture_output=True, text=True)
