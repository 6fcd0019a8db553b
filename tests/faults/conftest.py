"""A phone and an adb server of its own for each test that breaks them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.devices.adb import AdbServer, AdbTransport
from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from tests.e2e.conftest import Adb, PhoneMaker, free_port
from tests.faults.injector import Injector


@pytest.fixture
def transport(adb: Adb, virtual_phone: VirtualPhone) -> AdbTransport:
    """To the session's phone, which a test must leave as it was."""
    return AdbServer(*adb.address).choose(virtual_phone.serial)


@pytest.fixture
def own_server(adb: Adb) -> Iterator[Adb]:
    """An adb server that a test may kill."""
    own = Adb(adb.program, free_port())
    subprocess.run([own.program, "-P", str(own.port), "start-server"], check=True, capture_output=True, timeout=60)
    yield own
    subprocess.run([own.program, "-P", str(own.port), "kill-server"], capture_output=True, timeout=60)


@pytest.fixture
def injector(own_server: Adb, phone_home: Path, request: pytest.FixtureRequest) -> Iterator[Injector]:
    """Faults of a new phone on a new adb server; its storage may be limited by a parameter, in bytes."""
    maker, storage = PhoneMaker(own_server, phone_home), getattr(request, "param", None)
    made = Injector(maker, maker.start(storage=storage), storage)
    yield made
    if made.phone in phones.running():
        phones.stop(made.phone.serial)


@pytest.fixture
def broken(injector: Injector, own_server: Adb) -> AdbTransport:
    """To the injector's phone."""
    return AdbServer(*own_server.address, patience_s=5).choose(injector.phone.serial)


@pytest.fixture
def own_env(env: dict[str, str], own_server: Adb) -> dict[str, str]:
    """For `bench` as a child process, on the server that may be killed."""
    return {**env, "ANDROID_ADB_SERVER_PORT": str(own_server.port), "HOME": os.environ.get("HOME", "/")}
