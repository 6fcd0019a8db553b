"""What has to hold of a phone before it is measured, from what phones print; and what makes a launch doubtful."""

from __future__ import annotations

from typing import Any

import pytest

from bench.devices import facts
from bench.devices.facts import Conditions
from bench.errors import DeviceUnfit
from bench.measure import gates
from bench.records import Cpu, Device, Gate

PHONE = Device(serial="R58M123", kind="phone", name="A phone", os="Android 14", abis=("arm64-v8a",))
ABIS = ("arm64-v8a", "x86_64")
FIT: dict[str, str] = {
    "battery": (
        "  AC powered: false\n  USB powered: true\n  status: 2\n  present: true\n  level: 80\n  scale: 100\n"
        "  temperature: 304\n"
    ),
    "thermal": (
        "IsStatusOverride: false\nThermal Status: 0\nHAL Ready: true\nHAL connection:\n"
        "\tThermalHAL 2.0 connected: yes\n"
        "Current temperatures from HAL:\n\tTemperature{mValue=31.4, mType=3, mName=skin, mStatus=0}\n"
        "Current cooling devices from HAL:\n"
    ),
    "power": "  mWakefulness=Awake\n",
    "saver": "0\n",
    "space": "/dev/d 112000000 40000000 71000000 36% /data\n",
    "stat": "cpu  100 0 10 1000 0 0 0 0 0 0\ncpu  105 0 11 1100 0 0 0 0 0 0\n",
}


def preflight(device: Device = PHONE, **sections: str) -> dict[str, Gate]:
    conditions = facts.conditions(FIT | sections)
    return {gate.name: gate for gate in gates.preflight(device, conditions, ABIS)}


def test_a_fit_phone_passes_every_gate_and_says_what_was_found() -> None:
    found = preflight()
    assert {gate.state for gate in found.values()} == {"ok"}
    assert {name: gate.found for name, gate in found.items()} == {
        "phone": "real", "ABI": "arm64-v8a", "space": "72.7 GB free",
        "heat": "thermal status 0, skin 31.4 °C, battery 30.4 °C", "battery": "80 %, charging", "battery saver": "off",
        "screen": "on", "other load": "6 % of the cores' time",
    }  # fmt: skip
    gates.refuse(PHONE, tuple(found.values()))


@pytest.mark.parametrize(
    ("section", "old", "new", "name", "state", "words"),
    [
        ("thermal", "Thermal Status: 0", "Thermal Status: 2", "heat", "unfit", "throttles for heat (thermal status 2)"),
        ("battery", "temperature: 304", "temperature: 412", "heat", "unfit", "battery is hot (41.2 °C)"),
        ("battery", "level: 80", "level: 15", "battery", "unfit", "low: 15 %, charging"),
        ("battery", "  level: 80\n", "", "battery", "unknown", "charge is not reported"),
        ("battery", "present: true", "present: false", "battery", "ok", "none"),
        ("saver", "0", "1", "battery saver", "unfit", "slows the clocks"),
        ("power", "Awake", "Asleep", "screen", "warn", "off"),
        ("power", "  mWakefulness=Awake\n", "", "screen", "warn", "not reported"),
        ("space", "71000000", "400000", "space", "warn", "410 MB free"),
        ("space", FIT["space"], "", "space", "unknown", "not reported"),
        ("stat", "105 0 11 1100", "150 0 60 1100", "other load", "warn", "50 % of the cores' time"),
    ],
)
def test_each_gate_has_its_verdict_and_advice(
    section: str, old: str, new: str, name: str, state: str, words: str
) -> None:
    gate = preflight(**{section: FIT[section].replace(old, new)})[name]
    assert gate.state == state
    assert words in gate.found
    assert bool(gate.advice) == (state != "ok" and gate.found != "not reported")


def test_waiting_helps_heat_and_a_battery_that_is_being_charged() -> None:
    hot = FIT["thermal"].replace("Status: 0", "Status: 3")
    low = FIT["battery"].replace("level: 80", "level: 9")
    assert preflight(thermal=hot)["heat"].waits
    assert preflight(battery=low)["battery"].waits
    assert not preflight(battery=low.replace("status: 2", "status: 3"))["battery"].waits
    assert not preflight(saver="1")["battery saver"].waits


def test_what_the_phone_does_not_say_is_no_gate_of_its_own() -> None:
    assert not {"battery saver", "other load"} & preflight(saver="", stat="").keys()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"battery": FIT["battery"].replace("304", "450")}, "heat: the battery is hot (45 °C)"),
        ({"battery": FIT["battery"].replace("level: 80", "level: 3")}, "battery: low: 3 %"),
        ({"saver": "1"}, "battery saver: on"),
        (
            {"battery": "", "thermal": ""},
            "heat: neither temperature nor thermal status is reported; battery: its charge",
        ),
        ({"space": ""}, "space: free space is not reported"),
    ],
)
def test_a_strict_run_refuses_what_is_unfit_or_unknown(sections: dict[str, str], words: str) -> None:
    with pytest.raises(DeviceUnfit) as refused:
        gates.refuse(PHONE, tuple(preflight(**sections).values()))
    assert refused.value.what.startswith("R58M123 is not fit to be measured: ")
    assert words in refused.value.what
    assert "Without --strict" in refused.value.fix


def test_a_strict_run_lets_remarks_pass_and_a_virtual_phone_that_reports_nothing() -> None:
    gates.refuse(PHONE, tuple(preflight(power="mWakefulness=Asleep", stat="").values()))
    virtual = PHONE.model_copy(update={"virtual": True})
    silent = preflight(virtual, **dict.fromkeys(FIT, ""))
    gates.refuse(virtual, tuple(silent.values()))
    hot = preflight(virtual, thermal=FIT["thermal"].replace("Status: 0", "Status: 2"))
    with pytest.raises(DeviceUnfit, match="throttles"):
        gates.refuse(virtual, tuple(hot.values()))


def test_a_machine_that_may_be_no_phone_is_refused_by_a_strict_run() -> None:
    board = PHONE.model_copy(update={"facts": {"virtual": "unknown"}})
    with pytest.raises(DeviceUnfit, match="real or virtual: unknown"):
        gates.refuse(board, tuple(preflight(board).values()))


COOL, HOT = Conditions(thermal_status=0, battery_celsius=31.0), Conditions(thermal_status=2, battery_celsius=36.0)


@pytest.mark.parametrize(
    ("pass_", "before", "after", "words"),
    [
        ("latency", COOL, COOL, []),
        ("latency", COOL, None, []),
        ("latency", HOT, HOT, ["the phone throttles for heat (thermal status 2)"]),
        ("latency", HOT, COOL, ["the phone throttles for heat (thermal status 2)"]),
        ("latency", COOL, HOT, ["the phone began to throttle during the launch (thermal status 0 before, 2 after)"]),
        ("contended", COOL, HOT, ["the phone began to throttle during the launch (thermal status 0 before, 2 after)"]),
        ("latency", COOL, Conditions(battery_celsius=41.0), ["during the launch the battery is hot (41 °C)"]),
        ("sustained", COOL, HOT, []),
        ("sustained", HOT, HOT, ["the phone throttles for heat (thermal status 2)"]),
        ("memory", HOT, HOT, []),
        ("latency", Conditions(), HOT, ["the phone began to throttle during the launch (thermal status 2)"]),
    ],
)
def test_heat_counts_before_and_after_a_launch(
    pass_: Any, before: Conditions, after: Conditions | None, words: list[str]
) -> None:
    assert list(gates.launch_doubts(pass_, before, after)) == words


def hidden(**cpu: Any) -> Device:
    """Eight cores of which the kernel says neither clock nor kind."""
    return PHONE.model_copy(update={"cpus": tuple(Cpu(index=i, name="unknown", **cpu) for i in range(8))})


def test_big_cores_of_a_phone_that_hides_its_clocks_are_tagged() -> None:
    (doubt,) = gates.placement_doubts(hidden(), "big", 1, "0-7")
    assert 'reports neither the clocks nor the kinds of its cores, so which are "big" is not known' in doubt
    assert gates.placement_doubts(hidden(), "any", 1, "0-7") == ()


def test_more_threads_than_cores_are_tagged_with_how_many_shared() -> None:
    known = hidden(max_khz=2_000_000)
    assert gates.placement_doubts(known, "0x3", 4, "0-1") == ("4 threads shared 2 cores",)
    assert gates.placement_doubts(known, "0x3", 2, "0-1") == ()
    assert gates.placement_doubts(known, "0x1", 2, "0") == ("2 threads shared 1 core",)
