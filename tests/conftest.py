"""An adb server of our own and a virtual phone on it, for every test that wants one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import adbutils
import pytest

from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from tests.e2e.conftest import Adb, PhoneMaker, free_port


@pytest.fixture(scope="session")
def adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adb]:
    """A running adb server on a free port, known to child processes, without USB and without a scan for emulators."""
    server = Adb(adbutils.adb_path(), free_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        patch.delenv("ANDROID_ADB_SERVER_ADDRESS", raising=False)
        patch.delenv("ANDROID_SERIAL", raising=False)
        for name in ("ADB_USB", "ADB_LIBUSB", "ADB_EMU", "ADB_MDNS"):
            patch.setenv(name, "0")
        patch.setenv("ANDROID_USER_HOME", str(tmp_path_factory.mktemp("android")))
        subprocess.run([server.program, "start-server"], check=True, capture_output=True, timeout=60)
        yield server
        subprocess.run([server.program, "kill-server"], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def phone_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Virtual phones of this session keep their state apart from the user's; all are stopped at the end."""
    home = tmp_path_factory.mktemp("phones")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        yield home
        for phone in phones.running():
            phones.stop(phone.serial)


@pytest.fixture(scope="session")
def env(adb: Adb, phone_home: Path) -> dict[str, str]:
    """For `bench` as a child process: the session's adb server and phones, the user's cache."""
    return {**os.environ, "COLUMNS": "200"}


@pytest.fixture(scope="session")
def phone_maker(adb: Adb, phone_home: Path) -> PhoneMaker:
    return PhoneMaker(adb, phone_home)


@pytest.fixture(scope="session")
def virtual_phone(phone_maker: PhoneMaker) -> Iterator[VirtualPhone]:
    """One phone of the default profile, listed by the session's adb server as a device."""
    phone = phone_maker.start()
    yield phone
    if phone in phones.running():
        phones.stop(phone.serial)


@pytest.fixture(scope="session")
def device(adb: Adb, virtual_phone: VirtualPhone) -> Adb:
    """The adb client, bound to the session's phone."""
    return adb.on(virtual_phone)


@pytest.fixture
def folder(device: Adb, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new folder on the phone, removed after the test."""
    name = device.shell("mktemp -d /data/local/tmp/test.XXXXXX").strip()
    yield name
    device.shell(f"rm -rf {name}")
