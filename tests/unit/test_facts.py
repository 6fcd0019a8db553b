"""What phones say, in the odd ways in which they say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.devices import facts
from bench.devices.facts import Conditions
from bench.measure import gates
from bench.records import Cpu, Device

GETPROP = """[ro.product.model]: [Pixel 8]
[ro.product.manufacturer]: [Google]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a,armeabi]
[ro.build.version.release]: [14]
[ro.empty]: []
[persist.odd]: [first line
second [line]]
[ro.build.version.sdk]: [34]
"""
CPUINFO = """processor\t: 0
Features\t: fp asimd
CPU implementer\t: 0x41
CPU part\t: 0xd46

processor\t: 2
CPU implementer\t: 0x41
CPU part\t: 0xd4e

Hardware\t: something
"""
CPUS = "cpu 0||1704000|324000|0 1\ncpu 1|1|1704000|324000|0-1\ncpu 2|1|2914000|500000|2\ncpu 3|0|||\n"
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
 Time when the latest updated value of the voltage was sent via battery changed broadcast: +4h6m8s668ms
  level: 80
  temperature: 364
"""
THERMAL = """Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=60.0, mType=3, mName=skin, mStatus=2}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=0.0, mType=3, mName=OTHERSKIN, mStatus=0}
\tTemperature{mValue=44.637, mType=3, mName=skin, mStatus=2}
\tTemperature{mValue=-99.9, mType=3, mName=none, mStatus=0}
"""


def test_a_phone_from_its_own_words() -> None:
    device = facts.phone(
        "abc", {"getprop": GETPROP, "cpuinfo": CPUINFO, "cpus": CPUS, "meminfo": "MemTotal:  7812345 kB\n"}
    )
    assert (device.name, device.os, device.ram_bytes) == ("Google Pixel 8", "Android 14", 7812345 * 1024)
    assert device.abis == ("arm64-v8a", "armeabi-v7a", "armeabi")
    assert not device.virtual
    assert device.cpus == (
        Cpu(index=0, name="Cortex-A510", max_khz=1704000, min_khz=324000, cluster=(0, 1)),
        Cpu(index=1, name="unknown", max_khz=1704000, min_khz=324000, cluster=(0, 1)),
        Cpu(index=2, name="Cortex-X3", max_khz=2914000, min_khz=500000, cluster=(2,)),
        Cpu(index=3, name="unknown", online=False),
    )


@pytest.mark.parametrize("prop", ["ro.kernel.qemu]: [1", "ro.boot.qemu]: [1", "ro.bench.virtual]: [pixel-8"])
def test_emulators_of_every_kind_are_virtual(prop: str) -> None:
    assert facts.phone("e", {"getprop": f"[{prop}]\n"}).virtual


def test_properties_keep_values_over_several_lines() -> None:
    props = facts.properties(GETPROP)
    assert props["persist.odd"] == "first line\nsecond [line]"
    assert props["ro.empty"] == ""
    assert props["ro.build.version.sdk"] == "34"


def test_conditions_come_from_the_hal_and_ignore_absent_sensors() -> None:
    sections = {"battery": BATTERY, "thermal": THERMAL, "power": "  mWakefulness=Asleep\n"}
    assert facts.conditions(sections) == Conditions(
        battery_percent=80, battery_celsius=36.4, charging=True, thermal_status=2, skin_celsius=44.637, awake=False
    )


def test_a_silent_phone_has_no_conditions() -> None:
    assert facts.conditions({}) == Conditions()
    assert gates.doubts(Conditions()) == ()


@pytest.mark.parametrize(
    ("conditions", "word"),
    [
        (Conditions(thermal_status=2), "throttles"),
        (Conditions(battery_celsius=41.0), "hot"),
        (Conditions(battery_percent=9, charging=False), "low"),
    ],
)
def test_doubtful_conditions_are_named(conditions: Conditions, word: str) -> None:
    (doubt,) = gates.doubts(conditions)
    assert word in doubt


def test_affinity_goes_by_clock_and_not_by_index() -> None:
    cpus = tuple(Cpu(index=i, name="", max_khz=3000 if i < 2 else 1000, online=i != 1) for i in range(4))
    device = Device(serial="a", kind="phone", name="", os="", abis=(), cpus=cpus)
    assert gates.affinity(device, "big") == 0b0001
    assert gates.affinity(device, "little") == 0b1100
    assert gates.affinity(device, "any") == 0
    unknown = device.model_copy(update={"cpus": (Cpu(index=0, name=""),)})
    assert gates.affinity(unknown, "big") == 0


@given(st.sets(st.integers(0, 200), max_size=20))
def test_cpu_lists_round_trip_in_both_spellings(cpus: set[int]) -> None:
    assert facts.cpu_list(",".join(map(str, sorted(cpus)))) == tuple(sorted(cpus))
    assert facts.cpu_list(" ".join(map(str, cpus)) + "\n") == tuple(sorted(cpus))


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_parser_raises_whatever_a_phone_says(one: str, other: str) -> None:
    names = ("getprop", "cpuinfo", "cpus", "meminfo", "battery", "thermal", "power", "uname")
    for said in (dict.fromkeys(names, one), dict.fromkeys(names, GETPROP + one + BATTERY + other)):
        facts.phone("x", said)
        facts.conditions(said)
        facts.cpu_list(one)
