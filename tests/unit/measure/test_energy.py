"""Energy of an inference from gauges as phones print them: right within its error, or refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.devices import gauge
from bench.devices.gauge import Gauge
from bench.errors import DeviceUnfit
from bench.measure import energy
from bench.measure.energy import MOST_ERROR, Look
from bench.records import Device

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: false
  Wireless powered: false
  Max charging current: 0
  Charge counter: {counter}
  status: 3
  health: 2
  present: true
  level: 80
  scale: 100
  voltage: {voltage}
  temperature: 304
  technology: Li-ion
"""
VOLTS = 4.0
RATE = 50.0


def words(counter: int = 3_412_000, voltage: int = 4000, supply: str = "", power: str = "mWakefulness=Awake") -> Gauge:
    return gauge.read({"battery": BATTERY.format(counter=counter, voltage=voltage), "supply": supply, "power": power})


def test_a_gauge_is_read_as_a_phone_prints_it() -> None:
    supply = (
        "battery|charge_counter|3411876\nbattery|current_now|-412345\nbattery|voltage_now|4012345\n"
        "usb|current_now|500000\nbattery_charger|current_now|12\nbms|charge_now|\nwireless|voltage_now|5000000\n"
    )
    found = words(supply=supply)
    assert found == Gauge(
        present=True, plugged=False, charging=False, percent=80, awake=True, volts=4.0,
        counters={"dumpsys battery": 3_412_000, "battery/charge_counter": 3_411_876},
        currents={"battery/current_now": -412_345},
    )  # fmt: skip


@pytest.mark.parametrize(("voltage", "volts"), [(4228, 4.228), (4_228_000, 4.228), (7600, 7.6), (4, None), (0, None)])
def test_voltage_is_in_the_unit_that_makes_a_battery_of_it(voltage: int, volts: float | None) -> None:
    assert words(voltage=voltage).volts == (None if volts is None else pytest.approx(volts))


def test_a_voltage_that_android_does_not_give_is_the_drivers() -> None:
    assert words(voltage=0, supply="bms|voltage_now|4012345\n").volts == pytest.approx(4.012345)


def test_a_gauge_that_shows_nothing_has_nothing() -> None:
    assert gauge.read({}) == Gauge()
    assert gauge.read({"battery": "Can't find service: battery", "supply": "battery|current_now|x|y\n"}) == Gauge()


BASE = Gauge(present=True, plugged=False, charging=False, percent=80, awake=True, volts=VOLTS)


def phase(begin: float, seconds: float, every: float, show: Callable[[float], Gauge]) -> list[Look]:
    count = int(seconds / every)
    return [Look(begin + k * every, show(begin + k * every)) for k in range(count + 1)]


def drained(
    rest_watts: float, load_watts: float, *, seconds: float = 60, step: float = 1, every: float = 5, unit: float = 1e-6,
    period: float = 0, full: float = 3.4, **changes: object,
) -> tuple[list[Look], list[Look]]:  # fmt: skip
    """Looks at the counter of an ideal battery, in steps of so many units of Ah × `unit`, read anew every `period`."""

    def left(at: float) -> float:
        at = at // period * period if period else at
        joules = rest_watts * min(at, seconds) + load_watts * max(0.0, at - seconds)
        return (full - joules / VOLTS / 3600) / unit

    def show(at: float) -> Gauge:
        return replace(BASE, counters={"c": int(left(at) // step * step)}, **changes)  # type: ignore[arg-type]

    return phase(0, seconds, every, show), phase(seconds, seconds, every, show)


def test_a_fine_counter_gives_the_energy_less_what_rest_takes() -> None:
    found = energy.per_inference(*drained(0.8, 2.8), RATE)
    assert found.joules == pytest.approx(2.0 / RATE, rel=0.01)
    assert (found.rest_watts, found.load_watts) == pytest.approx((0.8, 2.8), rel=0.01)
    assert "taken as µAh" in found.words


def test_a_counter_in_mah_is_told_by_the_battery_that_it_would_make() -> None:
    found = energy.per_inference(*drained(1, 9, unit=1e-3, seconds=2400, every=60), RATE)
    assert found.joules == pytest.approx(8 / RATE, rel=MOST_ERROR)
    assert "taken as mAh" in found.words


def test_a_coarse_counter_is_refused_with_a_length_that_suffices() -> None:
    coarse = {"step": 1000.0, "every": 5.0}
    with pytest.raises(DeviceUnfit, match=r"moves by 2,000 µAh.* --energy \d+m would suffice") as refused:
        energy.per_inference(*drained(1.0, 4.0, seconds=120, **coarse), RATE)  # type: ignore[arg-type]
    minutes = re.search(r"--energy (\d+)m", refused.value.what)
    assert minutes
    found = energy.per_inference(*drained(1.0, 4.0, seconds=60.0 * int(minutes[1]), **coarse), RATE)  # type: ignore[arg-type]
    assert found.joules == pytest.approx(3.0 / RATE, rel=MOST_ERROR)


def test_a_counter_that_is_read_anew_once_a_minute_counts_as_that_coarse() -> None:
    with pytest.raises(DeviceUnfit, match="would suffice"):
        energy.per_inference(*drained(1.0, 3.0, seconds=150, period=60), RATE)
    found = energy.per_inference(*drained(1.0, 3.0, seconds=3000, period=60), RATE)
    assert found.joules == pytest.approx(2.0 / RATE, rel=MOST_ERROR)


def flowing(rest: Sequence[int], load: Sequence[int]) -> tuple[list[Look], list[Look]]:
    def looks(begin: float, values: Sequence[int]) -> list[Look]:
        return [Look(begin + 5 * k, replace(BASE, currents={"i": v})) for k, v in enumerate(values)]

    return looks(0, rest), looks(100, load)


@pytest.mark.parametrize("sign", [1, -1], ids=["positive", "negative"])
@pytest.mark.parametrize(("unit", "word"), [(1000, "µA"), (1, "mA")])
def test_a_current_counts_whatever_its_sign_and_unit(sign: int, unit: int, word: str) -> None:
    rest, load = [[sign * unit * (mean + wander) for wander in (-2, 1, 0, 2, -1, 0)] for mean in (200, 700)]
    found = energy.per_inference(*flowing(rest, load), RATE)
    assert found.joules == pytest.approx(0.5 * VOLTS / RATE, rel=0.01)
    assert f"taken as {word}" in found.words


def both(unit_a: float, rest_watts: float = 0.8, load_watts: float = 3.9) -> tuple[list[Look], list[Look]]:
    """Looks at a true counter and at a current of the same battery, which counts in so many amperes."""
    shown = []
    for looks, watts in zip(drained(rest_watts, load_watts), (rest_watts, load_watts), strict=True):
        values = [round((watts / VOLTS + wander) / unit_a) for wander in (-0.01, 0, 0.01, 0.005, -0.005, 0, 0.002)]
        shown.append(
            [
                one._replace(gauge=replace(one.gauge, currents={"i": values[k % len(values)]}))
                for k, one in enumerate(looks)
            ]
        )
    return shown[0], shown[1]


def alone(unit_a: float) -> tuple[list[Look], list[Look]]:
    rest, load = both(unit_a)
    bare = [[one._replace(gauge=replace(one.gauge, counters={})) for one in phase] for phase in (rest, load)]
    return bare[0], bare[1]


@pytest.mark.parametrize("unit_a", [1e-6, 1e-3])
def test_two_figures_of_a_gauge_that_agree_confirm_each_other(unit_a: float) -> None:
    found = energy.per_inference(*both(unit_a), RATE)
    assert found.joules == pytest.approx(3.1 / RATE, rel=0.02)
    assert found.doubt == ""


@pytest.mark.parametrize(("unit_a", "said"), [(1e-5, "0.31"), (1e-4, "3[01]")])
def test_two_figures_of_a_gauge_that_contradict_each_other_are_refused_with_both(unit_a: float, said: str) -> None:
    words = rf"contradicts itself: by the charge counter \(c\) the load took 3.1 W, by the current \(i\) {said}.*unit"
    with pytest.raises(DeviceUnfit, match=words):
        energy.per_inference(*both(unit_a), RATE)


def test_a_current_alone_says_that_only_its_size_told_its_unit() -> None:
    found = energy.per_inference(*alone(1e-6), RATE)
    assert found.joules == pytest.approx(3.1 / RATE, rel=0.02)
    assert "in µA was told by its size alone, 985,000" in found.doubt


@pytest.mark.parametrize("looks", [alone(1e-4), flowing([5, 6, 5, 6, 5], [30, 31, 29, 30, 31, 30])[:2]])
def test_powers_that_no_phone_takes_are_refused(looks: tuple[list[Look], list[Look]]) -> None:
    rest, load = looks
    if max(one.gauge.currents["i"] for one in load) < 1000:
        load = [one._replace(gauge=replace(one.gauge, volts=2.0)) for one in load]
        rest = [one._replace(gauge=replace(one.gauge, volts=2.0)) for one in rest]
    with pytest.raises(DeviceUnfit, match=r"W under load, and a phone at work takes 0.1 to 20 W"):
        energy.per_inference(rest, load, RATE)


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        (drained(1, 3, plugged=True), "plugged in"),
        (drained(1, 3, plugged=None), "does not report whether it is plugged in"),
        (drained(1, 3, charging=True), "charging, though nothing"),
        (drained(1, 3, made_up=True), "by hand"),
        (drained(1, 3, present=False), "no battery"),
        (drained(1, 3, awake=None), "whether its screen is on"),
        (drained(1, 3, volts=None), "voltage"),
        (drained(1, 3, percent=None), "µAh or mAh cannot be told"),
        (drained(1, 3, full=340), "µAh or mAh cannot be told"),
        (drained(3, 1), "no more than at rest"),
        (drained(-1, -3), "rises while the phone discharges"),
        (drained(0, 0), "stood still under load"),
        (drained(1, 3, step=10_000), "moved once|stood still"),
        ((drained(1, 3)[0], []), "too short"),
        (flowing([200_000] * 6, [700_000] * 6), "read anew 1 times in 25 s"),
        (flowing([200_000, 210_000, 190_000], [-700_000, -710_000, -720_000]), "changes its direction"),
        (flowing([11_000, 12_000, 13_000], [14_000, 15_000, 15_500]), "µA or mA cannot be told"),
        (flowing([200_000, 900_000, 100_000, 700_000], [700_000, 300_000, 900_000, 500_000]), "varies too much"),
        (([Look(0, BASE)] * 3, [Look(9, BASE)] * 3), "neither a charge counter nor a current"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_reason(looks: tuple[list[Look], list[Look]], reason: str) -> None:
    with pytest.raises(DeviceUnfit, match=reason) as refused:
        energy.per_inference(*looks, RATE)
    assert refused.value.what.startswith("no energy: ")
    assert "adb tcpip 5555" in refused.value.fix


def test_a_screen_that_goes_off_meanwhile_spoils_the_launch() -> None:
    rest, load = drained(1, 3)
    load[-1] = load[-1]._replace(gauge=replace(load[-1].gauge, awake=False))
    with pytest.raises(DeviceUnfit, match="screen went on or off"):
        energy.per_inference(rest, load, RATE)


def test_another_figure_serves_where_one_is_too_coarse() -> None:
    counted, flow = drained(1, 3, step=10_000), drained(1, 3)
    both = [
        [
            a._replace(gauge=replace(a.gauge, counters={**a.gauge.counters, "fine": b.gauge.counters["c"]}))
            for a, b in zip(*pair, strict=True)
        ]
        for pair in zip(counted, flow, strict=True)
    ]
    assert "(fine)" in energy.per_inference(both[0], both[1], RATE).words


@given(
    rest=st.floats(0.05, 3), more=st.floats(0.05, 8), seconds=st.sampled_from([30.0, 60.0, 300.0, 1200.0]),
    step=st.integers(1, 3000), period=st.sampled_from([0.0, 7.0, 10.0, 31.0, 60.0]), rate=st.floats(0.1, 2000),
)  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_a_figure_of_an_ideal_battery_is_right_or_refused(
    rest: float, more: float, seconds: float, step: int, period: float, rate: float
) -> None:
    try:
        found = energy.per_inference(*drained(rest, rest + more, seconds=seconds, step=step, period=period), rate)
    except DeviceUnfit:
        return
    assert found.error <= MOST_ERROR
    assert found.joules == pytest.approx(more / rate, rel=found.error + 0.01)


@given(st.dictionaries(st.sampled_from(["battery", "supply", "power"]), st.text(max_size=200)))
def test_any_words_of_a_gauge_are_read(sections: dict[str, str]) -> None:
    found = gauge.read(sections)
    assert all(value > 0 for value in found.counters.values())


def test_virtual_translated_and_desktop_machines_have_none() -> None:
    phone = Device(serial="s", kind="phone", name="", os="", abis=())
    energy.refuse(phone)
    for changes, word in (
        ({"virtual": True}, "virtual"),
        ({"virtual": True, "translated": True}, "translated"),
        ({"kind": "desktop"}, "no fuel gauge"),
    ):
        with pytest.raises(DeviceUnfit, match=word):
            energy.refuse(phone.model_copy(update=changes))
