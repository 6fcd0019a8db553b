"""Phone profiles and what is made of them: properties, processor, dumpsys, the root on the host."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cache import Cache
from bench.errors import ToolMissing, UnknownName
from bench.virtual import android, cores, profile, userland
from bench.virtual.profile import Cluster

TOOLS = userland.find(Cache())
"""Android's shell and tools if this computer has them, else its own: a phone works with both."""
HOST_PROFILES = ("galaxy-s8", "oneplus-5t", "pixel-8")


def test_the_shipped_profiles() -> None:
    assert profile.profile_names() == ("galaxy-s8", "moto-g5-arm", "oneplus-5t", "pixel-8", "pixel-8-arm64")
    assert profile.load("pixel-8-arm64").model == profile.load("pixel-8").model
    assert [profile.load(name).abi for name in profile.profile_names()] == [
        "host", "armeabi-v7a", "host", "host", "arm64-v8a",
    ]  # fmt: skip


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        profile.load("pixel8")
    assert "Did you mean pixel-8" in caught.value.fix


def test_a_missing_translator_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    foreign = next(n for n in ("pixel-8-arm64", "moto-g5-arm") if profile.load(n).abi != _host_abi())
    with pytest.raises(ToolMissing) as caught:
        profile.load(foreign).translation()
    assert "qemu-user-static" in caught.value.fix


def _host_abi() -> str:
    return profile.load("pixel-8").machine_abi


def test_properties_tell_the_truth_about_the_machine_code() -> None:
    known = {"x86_64": "x86_64", "aarch64": "arm64-v8a"}
    for name in HOST_PROFILES:
        abi = profile.load(name).machine_abi
        made = android.properties(profile.load(name), abi, "", TOOLS.name)
        assert made["ro.product.cpu.abi"] == made["ro.product.cpu.abilist"] == known[platform.machine()]
        assert made["ro.bench.virtual"] == name
        assert made["ro.bench.tools"] == TOOLS.name
        assert "ro.bench.translation" not in made
        assert android.properties(profile.load(name), abi, "qemu", "")["ro.bench.translation"] == "qemu"


def clusters(*cores_and_speed: tuple[int, int]) -> tuple[Cluster, ...]:
    return tuple(Cluster(cores=count, part=1, frequencies=(speed,)) for count, speed in cores_and_speed)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ([0], [(0, 2)]),
        ([0, 1], [(0, 0), (1, 2)]),
        ([4, 7, 9], [(4, 0), (7, 1), (9, 2)]),
        ([0, 1, 2, 3, 4], [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)]),
        (range(64), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1), (7, 1), (8, 2)]),
    ],
)
def test_cores_span_the_clusters(host: list[int], shown: list[tuple[int, int]]) -> None:
    chosen = cores.choose(clusters((4, 1000), (4, 2000), (1, 3000)), host)
    assert [(core.index, core.cluster) for core in chosen] == shown


def test_a_fast_cluster_that_comes_first_stays_first() -> None:
    assert [core.cluster for core in cores.choose(profile.load("moto-g5-arm").cpu.clusters, [0, 1, 2])] == [0, 0, 1]


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 9)), min_size=1, max_size=4),
    st.sets(st.integers(0, 200), min_size=1, max_size=40),
)
def test_every_choice_is_true_to_host_and_phone(shape: list[tuple[int, int]], host: set[int]) -> None:
    made = clusters(*shape)
    chosen = cores.choose(made, host)
    assert {core.index for core in chosen} <= host
    assert len(chosen) == min(len(host), sum(count for count, _ in shape))
    assert [core.cluster for core in chosen] == sorted(core.cluster for core in chosen)
    fastest = max(speed for _, speed in shape)
    assert any(shape[core.cluster][1] == fastest for core in chosen)
    for number, (count, _) in enumerate(shape):
        assert [c.place for c in chosen if c.cluster == number] == list(range(count))[: _taken(chosen, number)]


def _taken(chosen: tuple[cores.Core, ...], cluster: int) -> int:
    return sum(core.cluster == cluster for core in chosen)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_cpu_lists_round_trip(numbers: set[int]) -> None:
    text = cores.ranges(numbers)
    back: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        back |= set(range(int(first), int(last or first) + 1))
    assert back == numbers
    assert ",".join(sorted(text.split(","), key=lambda part: int(part.split("-")[0]))) == text


def test_a_root_without_sandbox_works_by_itself(tmp_path: Path) -> None:
    root = android.build(profile.load("galaxy-s8"), tmp_path / "root", tmp_path / "data", TOOLS, sandboxed=False)
    system, data = str(root.folder / "system"), str(root.data)

    def run(command: str) -> str:
        done = subprocess.run(
            [f"{system}/bin/sh", "-c", root.translate(command.encode())],
            env=android.environment(system, data), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    assert run("getprop ro.product.model") == "SM-G950U\n"
    assert run("getprop no.such default") == "default\n"
    assert "[ro.build.version.base_os]: []\n[ro.build" in run("getprop")
    assert run("setprop a.b 'x y'; getprop a.b; getprop | grep a.b") == "x y\n[a.b]: [x y]\n"
    assert run("setprop ro.product.model x || echo no; getprop ro.product.model") == "no\nSM-G950U\n"
    assert "  temperature: 303\n" in run("dumpsys battery")
    assert "Temperature{mValue=0.0, mType=2, mName=SUBBAT, mStatus=0}" in run("dumpsys thermalservice")
    assert "CPU part\t: 0x80" in run("cat /proc/cpuinfo")
    assert run("cat /sys/devices/system/cpu/online") == cores.ranges(cores.host_cores()[:8]) + "\n"
    assert run("echo x > /data/local/tmp/f; cat '/data/local/tmp/f'") == "x\n"
    assert (root.data / "local/tmp/f").read_text() == "x\n"
    assert run("echo /database a/data /data-x") == "/database a/data /data-x\n"
    assert run("ls /system/build.prop | wc -l").strip() == "1"
    assert not {"cat", "df", "kill", "printf", "sha1sum", "stat", "taskset"} & set(root.missing)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("galaxy-s8", {"sha256sum", "gzip", "nproc", "getconf", "stty", "test"}),
        ("oneplus-5t", {"nproc", "getconf", "stty", "test"}),
        ("pixel-8", set()),
    ],
)
def test_a_phone_has_the_tools_of_its_android_version(tmp_path: Path, name: str, absent: set[str]) -> None:
    root = android.build(profile.load(name), tmp_path / "root", tmp_path / "data", TOOLS, sandboxed=True)
    tools = {path.name for path in (root.folder / "system/bin").iterdir()}
    assert {"sha256sum", "gzip", "nproc", "getconf", "stty", "test"} - tools == absent
    assert {"sha1sum", "md5sum", "df", "stat"} <= tools


def test_properties_that_persist(tmp_path: Path) -> None:
    for _ in range(2):
        android.build(profile.load("pixel-8"), tmp_path / "root", tmp_path / "data", TOOLS, sandboxed=True)
        left = {path.name for path in (tmp_path / "data/property").iterdir()}
        (tmp_path / "data/property/persist.x").write_text("1\n")
        (tmp_path / "data/property/debug.x").write_text("1\n")
    assert left == {"persist.x"}


def test_clock_facts_are_the_profiles(tmp_path: Path) -> None:
    facts = profile.load("pixel-8").cpu
    cores.write_sysfs(tmp_path, facts, cores.choose(facts.clusters, range(9)))
    assert (tmp_path / "cpu8/cpufreq/cpuinfo_max_freq").read_text() == "2914000\n"
    assert (tmp_path / "cpu4/cpufreq/related_cpus").read_text() == "4 5 6 7\n"
    assert (tmp_path / "possible").read_text() == "0-8\n"
    assert stat.S_ISDIR(os.stat(tmp_path / "cpu0/topology").st_mode)
