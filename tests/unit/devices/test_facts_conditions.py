"""Battery, heat and screen: what phones print, what it means, and what it does not say."""

import pytest

from bench.devices import facts
from bench.devices.facts import Conditions
from bench.measure import gates

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
 Time when the latest updated value of the voltage was sent via battery changed broadcast: +4h6m8s668ms
  status: 2
  present: true
  level: 80
  scale: 100
  temperature: 364
MyVendorService state:
  level: 3
"""
THERMAL = """IsStatusOverride: false
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=60.0, mType=3, mName=skin, mStatus=2}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=0.0, mType=3, mName=OTHERSKIN, mStatus=0}
\tTemperature{mValue=44.637, mType=3, mName=skin, mStatus=2}
\tTemperature{mValue=-99.9, mType=3, mName=none, mStatus=0}
Current cooling devices from HAL:
"""


def read(battery: str = "", thermal: str = "", power: str = "") -> Conditions:
    return facts.conditions({"battery": battery, "thermal": thermal, "power": power})


def test_conditions_come_from_the_hal_and_ignore_absent_sensors() -> None:
    assert read(BATTERY, THERMAL, "  mWakefulness=Asleep\n") == Conditions(
        battery_present=True, battery_percent=80, battery_celsius=36.4, charging=True, thermal_status=2,
        skin_celsius=44.637, awake=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("HAL Ready: true", "HAL Ready: false"),
        ("IsStatusOverride: false", "IsStatusOverride: true"),
        ("ThermalHAL 2.0 connected: yes", "ThermalHAL 2.0 connected: no"),
        ("ThermalHAL 2.0", "ThermalHAL 1.0"),
    ],
)
def test_a_thermal_status_that_no_hal_reported_is_unknown(old: str, new: str) -> None:
    assert read(thermal=THERMAL.replace(old, new)).thermal_status is None


def test_cached_temperatures_are_not_current_ones() -> None:
    silent, _, _ = THERMAL.replace("HAL Ready: true", "HAL Ready: false").partition("HAL connection")
    assert read(thermal=silent).skin_celsius is None
    without, _, _ = THERMAL.partition("Current temperatures")
    assert read(thermal=without).skin_celsius is None


def sensors(*rows: tuple[float, int, str]) -> str:
    lines = (f"\tTemperature{{mValue={value}, mType={kind}, mName={name}, mStatus=0}}\n" for value, kind, name in rows)
    return f"Thermal Status: 0\nHAL Ready: true\nCurrent temperatures from HAL:\n{''.join(lines)}"


@pytest.mark.parametrize(
    ("rows", "skin"),
    [
        ([(39.6, 0, "AP"), (36.3, 2, "BAT"), (35.8, 3, "SKIN"), (0.0, 2, "SUBBAT")], 35.8),
        ([(50.0, 1, "CPU0"), (36.3, 3, "battery"), (35.8, 4, "skin")], 35.8),
        ([(50.0, 1, "CPU0"), (36.3, 3, "battery"), (35.8, 4, "case")], None),
        ([(50.0, 3, "CPU0")], None),
        ([(33.5, 3, "xo-therm"), (31.0, 2, "battery")], 33.5),
        ([(200.0, 3, "skin")], None),
    ],
)
def test_a_sensors_name_says_more_than_its_type(rows: list[tuple[float, int, str]], skin: float | None) -> None:
    assert read(thermal=sensors(*rows)).skin_celsius == skin


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("scale: 100", "scale: 200", {"battery_percent": 40}),
        ("  scale: 100\n", "", {"battery_percent": 80}),
        ("scale: 100", "scale: 0", {"battery_percent": None}),
        ("level: 80", "level: 180", {"battery_percent": None}),
        ("status: 2", "status: 3", {"charging": False}),
        ("status: 2", "status: 4", {"charging": False}),
        ("status: 2", "status: 5", {"charging": True}),
        ("  status: 2\n", "", {"charging": True}),
        ("USB powered: true\n", "USB powered: false\n  status: 5\n", {"charging": False}),
        ("temperature: 364", "temperature: 0", {"battery_celsius": None}),
        ("temperature: 364", "temperature: -50", {"battery_celsius": -5.0}),
        ("temperature: 364", "temperature: 99999", {"battery_celsius": None}),
    ],
)
def test_battery_words_in_their_meaning(old: str, new: str, expected: dict[str, object]) -> None:
    found = read(BATTERY.replace(old, new))
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_box_without_a_battery_is_not_empty() -> None:
    text = "  AC powered: true\n  status: 1\n  present: false\n  level: 0\n  scale: 100\n  temperature: 0\n"
    found = read(text)
    assert found == Conditions(battery_present=False, charging=True)
    assert gates.doubts(found) == ()


def test_a_battery_that_somebody_made_up_is_unknown() -> None:
    assert read("  (UPDATES STOPPED -- use 'reset' to restart)\n" + BATTERY) == Conditions()


def test_a_silent_phone_has_no_conditions() -> None:
    assert facts.conditions({}) == Conditions()
    assert gates.doubts(Conditions()) == ()


@pytest.mark.parametrize(
    ("conditions", "word"),
    [
        (Conditions(thermal_status=2), "throttles"),
        (Conditions(battery_celsius=41.0), "hot"),
        (Conditions(battery_percent=9, charging=False), "low"),
        (Conditions(power_saver=True), "saver"),
    ],
)
def test_doubtful_conditions_are_named(conditions: Conditions, word: str) -> None:
    (doubt,) = gates.doubts(conditions)
    assert word in doubt


STAT = "cpu  {} 0 10 {} 0 0 0 0 0 0\n"


@pytest.mark.parametrize(
    ("section", "text", "expected"),
    [
        ("stat", STAT.format(100, 1000) + STAT.format(130, 1070), {"busy": 0.3}),
        ("stat", STAT.format(100, 1000) + STAT.format(101, 1001), {"busy": None}),  # too short to tell
        ("stat", STAT.format(100, 1000), {"busy": None}),
        ("stat", STAT.format(100, 1000) + STAT.format(90, 900), {"busy": None}),  # backwards
        ("stat", "cpu  x\ncpu y\n", {"busy": None}),
        ("saver", "1\n", {"power_saver": True}),
        ("saver", "0\n", {"power_saver": False}),
        ("saver", "null\n", {"power_saver": None}),
        ("saver", "", {"power_saver": None}),
        ("space", "Filesystem 1K-blocks Used Available Use% Mounted on\n/d 100 40 60 40% /data\n",
         {"free_bytes": 61440}),
        ("space", "", {"free_bytes": None}),
        ("power", "  mWakefulness=Awake\n", {"awake": True}),
    ],
)  # fmt: skip
def test_load_saver_room_and_screen(section: str, text: str, expected: dict[str, object]) -> None:
    found = facts.conditions({section: text})
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)
