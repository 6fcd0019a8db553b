"""The adb program that comes with adbutils: starts a server, and has a version. The only module that knows adbutils,
whose own client has no deadlines, sends half chunks, and takes a dropped connection for success."""

from __future__ import annotations

import os
import re
import subprocess

import adbutils
from adbutils.errors import AdbError

from bench.devices.words import clean
from bench.errors import ToolMissing


def start_server(port: int) -> str:
    """Start this host's server on a port, if none runs there; returns what adb said. Raises ToolMissing."""
    try:
        done = subprocess.run(
            [adbutils.adb_path(), "-P", str(port), "start-server"],
            env={**os.environ, "ANDROID_ADB_SERVER_PORT": str(port)},
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    except (OSError, AdbError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"adb cannot be started: {error}", "Install the Android platform tools.") from error
    return clean(done.stderr)


def version() -> str:
    """The protocol version of this adb, e.g. `1.0.41`; empty where it does not tell."""
    try:
        done = subprocess.run([adbutils.adb_path(), "version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, AdbError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"version (1\.0\.\d+)", done.stdout)
    return found[1] if found else ""
