"""A phone of another host as a transport: its messages go to an agent in this process, whose phone is this computer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.cache import Cache
from bench.devices.host import HostTransport
from bench.errors import CorruptData, DeadlineExceeded, DeviceBusy, TransportBroken
from bench.farm import messages as m
from bench.farm.agent import Agent
from bench.farm.client import At
from bench.farm.transport import FarmTransport


class Wire:
    """What `Farm` is to a transport, without Dask: JSON and bytes go to the agent and back."""

    def __init__(self, folder: Path) -> None:
        self.phone = HostTransport(folder / "phone")
        self.said: list[str] = []
        server: Any = self
        self.agent = Agent(server, ("desktop",), Cache(folder / "cache"), self.said.append)
        self.messages: list[m.Request] = []

    def choose(self, serial: str) -> HostTransport:
        return self.phone

    def ask(
        self, serial: str, request: m.Request, data: bytes = b"", *, wait_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> tuple[m.Reply, bytes]:  # fmt: skip
        self.messages.append(request)
        if on_line and isinstance(request, m.Run):
            request = request.model_copy(update={"told": "here"})
        tell = (lambda topic, message: on_line(message[1])) if on_line else (lambda topic, message: None)
        text, back = self.agent.answer(request.model_dump_json(), data, tell)
        reply = m.Reply.model_validate_json(text)
        if reply.wrong:
            raise reply.wrong.raised()
        return reply, back


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path)
    yield made
    made.agent.close()


def of(wire: Wire) -> FarmTransport:
    farm: Any = wire
    return FarmTransport(farm, At("desktop", m.Host(name="lab-2", boot="b", bench_version="1", phones=())))


def test_a_command_is_run_there_and_its_lines_come_as_they_are(wire: Wire) -> None:
    lines: list[str] = []
    done = of(wire).run(["sh", "-c", "echo one; echo two; echo no >&2; exit 7"], deadline_s=20, on_line=lines.append)
    assert (done.status, done.stdout, done.stderr) == (7, "one\ntwo\n", "no\n")
    assert lines == ["one", "two"]
    with pytest.raises(DeadlineExceeded, match="sleep did not end within"):
        of_again(wire).run(["sleep", "30"], deadline_s=0.2)


def of_again(wire: Wire) -> FarmTransport:
    """Another coordinator, after all others have gone."""
    wire.agent.leases.sweep(everything=True)
    return of(wire)


def test_a_large_file_comes_once_for_all_phones_of_a_host(wire: Wire, tmp_path: Path) -> None:
    local = tmp_path / "weights.bin"
    local.write_bytes(os.urandom(2 * m.PART + 5))
    first = of(wire)
    first.push(local, str(tmp_path / "there"), deadline_s=60)
    assert (tmp_path / "there").read_bytes() == local.read_bytes()
    assert first.sent == local.stat().st_size
    assert sum(isinstance(one, m.Part) for one in wire.messages) == 3
    second = of_again(wire)
    second.push(local, str(tmp_path / "again"), deadline_s=60)
    assert (tmp_path / "again").read_bytes() == local.read_bytes()
    assert second.sent == 0


def test_a_small_file_travels_with_its_message_and_stays_in_no_cache(wire: Wire, tmp_path: Path) -> None:
    local = tmp_path / "job"
    local.write_bytes(b"mode latency\n")
    of(wire).push(local, str(tmp_path / "there"), deadline_s=60)
    assert (tmp_path / "there").read_bytes() == b"mode latency\n"
    assert not list((tmp_path / "cache" / "farm").iterdir())


def test_a_file_that_changed_on_the_way_does_not_reach_the_phone(wire: Wire, tmp_path: Path) -> None:
    phone = of(wire)
    phone.claim()
    (claim,) = wire.messages
    assert isinstance(claim, m.Claim)
    push = m.Push(serial="desktop", token=claim.token, remote=str(tmp_path / "there"), name="job", sha256="0" * 64,
                  size=4, beside=True, deadline_s=20)  # fmt: skip
    with pytest.raises(TransportBroken, match="arrived damaged at host"):
        wire.ask("desktop", push, b"mode", wait_s=20)
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("size", [0, 10, m.PART, m.PART + 1, 2 * m.PART + 7])
def test_a_file_of_the_phone_comes_home_whole(wire: Wire, tmp_path: Path, size: int) -> None:
    remote, local = tmp_path / "answers", tmp_path / "home"
    remote.write_bytes(os.urandom(size))
    of(wire).pull(str(remote), local, deadline_s=60, most=size)
    assert local.read_bytes() == remote.read_bytes()
    if size:
        with pytest.raises(CorruptData, match="than the"):
            of_again(wire).pull(str(remote), local, deadline_s=60, most=size - 1)


def test_a_phone_is_claimed_again_after_its_worker_forgot_who_has_it(wire: Wire) -> None:
    phone = of(wire)
    phone.claim()
    assert phone.run(["true"], deadline_s=20).status == 0
    with pytest.raises(DeviceBusy, match="another coordinator"):
        of(wire).run(["true"], deadline_s=20)
    wire.agent.leases.sweep(everything=True)
    assert phone.run(["true"], deadline_s=20).status == 0
    phone.leave()
    assert of(wire).run(["true"], deadline_s=20).status == 0
