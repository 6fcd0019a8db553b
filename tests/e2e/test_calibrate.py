"""A device's noise, measured on a virtual phone, is known to every later question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.virtual.phone import VirtualPhone
from tests.e2e.command import bench

pytestmark = pytest.mark.timeout(1200)  # the first run trains LeNet-5 where the cache does not hold it


def test_noise_is_measured_kept_and_used(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path) -> None:
    where = ("--results", tmp_path)
    first = bench("calibrate", "-s", virtual_phone.serial, "--launches", "5", *where, "--json", "-q", env=env)
    known = {one["metric"]: one for one in json.loads(first.stdout)}
    assert known["latency"]["noise"]["launch_freedom"] == 8
    assert known["latency"]["within"]["measured"]
    assert not known["latency"]["between"]["measured"]
    (listed,) = json.loads(bench("results", "list", *where, "--json", env=env).stdout)
    assert (listed["name"], listed["kept"], listed["virtual"]) == (Path(listed["folder"]).name, True, True)
    (power,) = json.loads(bench("plan", "--suite", "quick", *where, "--json", env=env).stdout)["power"]
    assert power["noise"] == known["latency"]["noise"]
    shown = bench("results", "show", "last:a", *where, env=env).stdout
    assert "vm_hwm" in shown
