"""What a machine is, from what phones, emulators and boards say in the odd ways in which they say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.devices import facts, processors
from bench.devices.words import MOST, clean
from bench.records import Cpu

GETPROP = """[ro.product.model]: [Pixel 8]
[ro.product.manufacturer]: [Google]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a,armeabi]
[ro.hardware]: [shiba]
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


def getprop(**props: str) -> dict[str, str]:
    """The probe's sections of a phone with these properties; `_` in a name stands for a dot."""
    return {"getprop": "".join(f"[{name.replace('_', '.')}]: [{value}]\n" for name, value in props.items())}


def test_a_phone_from_its_own_words() -> None:
    device = facts.phone(
        "abc", {"getprop": GETPROP, "cpuinfo": CPUINFO, "cpus": CPUS, "meminfo": "MemTotal:  7812345 kB\n"}
    )
    assert (device.name, device.os, device.ram_bytes) == ("Google Pixel 8", "Android 14", 7812345 * 1024)
    assert device.abis == ("arm64-v8a", "armeabi-v7a", "armeabi")
    assert not device.virtual
    assert "virtual" not in device.facts
    assert device.cpus == (
        Cpu(index=0, name="Cortex-A510", max_khz=1704000, min_khz=324000, cluster=(0, 1)),
        Cpu(index=1, name="unknown", max_khz=1704000, min_khz=324000, cluster=(0, 1)),
        Cpu(index=2, name="Cortex-X3", max_khz=2914000, min_khz=500000, cluster=(2,)),
        Cpu(index=3, name="unknown", online=False),
    )


def test_properties_keep_values_over_several_lines() -> None:
    props = facts.properties(GETPROP)
    assert props["persist.odd"] == "first line\nsecond [line]"
    assert props["ro.empty"] == ""
    assert props["ro.build.version.sdk"] == "34"


@pytest.mark.parametrize("piece", ["\n", " ", "[a]: [\n", "level:\n", "\r\n", "processor: 1\n", "Temperature{mValue=1"])
def test_much_of_anything_is_read_in_a_moment(piece: str) -> None:
    said = piece * (200_000 // len(piece))
    sections = dict.fromkeys(SECTIONS, said)
    facts.phone("x", sections)
    facts.conditions(sections)


@pytest.mark.parametrize(
    "prop",
    [
        "ro.kernel.qemu]: [1", "ro.boot.qemu]: [1", "ro.bench.virtual]: [pixel-8", "ro.hardware]: [ranchu",
        "ro.hardware]: [goldfish", "ro.hardware]: [cutf_cvm", "ro.boot.hardware]: [cutf", "ro.hardware]: [vbox86",
        "ro.product.name]: [sdk_gphone64_arm64", "ro.boot.qemu.avd_name]: [Pixel_8",
    ],
)  # fmt: skip
def test_emulators_of_every_kind_are_virtual(prop: str) -> None:
    device = facts.phone("e", {"getprop": f"[ro.product.manufacturer]: [Google]\n[{prop}]\n"})
    assert device.virtual
    assert prop.split("]")[0] in device.facts["virtual"]


@pytest.mark.parametrize(
    "sections",
    [
        {"cpuinfo": "processor: 0\nflags\t\t: fpu vme hypervisor lahf_lm\n"},
        {"board": "QEMU\nStandard PC (Q35 + ICH9, 2009)\n"},
        {"board": "linux,dummy-virt\0"},
        {"board": "innotek GmbH\nVirtualBox\n"},
        {"hypervisor": "xen\n"},
    ],
)
def test_virtual_machines_that_are_no_phones_are_virtual(sections: dict[str, str]) -> None:
    assert facts.phone("board", sections).virtual


def test_what_does_not_tell_whether_it_is_real_is_unknown_and_a_board_is_real() -> None:
    silent = facts.phone("board", {"uname": "Linux 6.1.0\n"})
    assert (silent.virtual, silent.facts["virtual"], silent.os) == (False, "unknown", "Linux 6.1.0")
    board = facts.phone("board", {"board": "Raspberry Pi 4 Model B Rev 1.4\0raspberrypi,4-model-b\0"})
    assert (board.virtual, board.name) == (False, "Raspberry Pi 4 Model B Rev 1.4")
    assert "virtual" not in board.facts


@pytest.mark.parametrize(
    ("sections", "abis"),
    [
        (getprop(ro_product_cpu_abi="armeabi-v7a", ro_product_cpu_abi2="armeabi"), ("armeabi-v7a", "armeabi")),
        (getprop(ro_product_cpu_abilist="", ro_product_cpu_abi="x86"), ("x86",)),
        ({"machine": "aarch64\n"}, ("arm64-v8a",)),
        ({"machine": "armv7l\n"}, ("armeabi-v7a",)),
        ({"machine": "armv8l\n"}, ("armeabi-v7a",)),
        ({"machine": "x86_64\n"}, ("x86_64",)),
        ({"machine": "vax\n"}, ()),
        (getprop(ro_product_cpu_abi="armeabi-v7a") | {"machine": "aarch64\n"}, ("armeabi-v7a",)),
    ],
)
def test_the_abi_is_found_where_the_machine_tells_it(sections: dict[str, str], abis: tuple[str, ...]) -> None:
    assert facts.phone("a", sections).abis == abis


@pytest.mark.parametrize(
    ("maker", "model", "name"),
    [
        ("OnePlus", "ONEPLUS A5010", "ONEPLUS A5010"),
        ("HUAWEI", "HUAWEI P9", "HUAWEI P9"),
        ("samsung", "SM-G950U", "samsung SM-G950U"),
        ("Google", "", "Google"),
        ("", "", "serial"),
    ],
)
def test_the_maker_is_named_once(maker: str, model: str, name: str) -> None:
    assert facts.phone("serial", getprop(ro_product_manufacturer=maker, ro_product_model=model)).name == name


@pytest.mark.parametrize(
    ("props", "soc"),
    [
        ({"ro_soc_model": "SM8550", "ro_board_platform": "kalama"}, "SM8550"),
        ({"ro_chipname": "MSM8998", "ro_board_platform": "msm8998"}, "MSM8998"),
        ({"ro_soc_model": "unknown", "ro_board_platform": "zuma"}, "zuma"),
        ({"ro_board_platform": "mt6750", "ro_mediatek_platform": "MT6755"}, "mt6750"),
        ({}, "Qualcomm Technologies, Inc MSM8937"),
    ],
)
def test_the_chipset_has_its_most_specific_name(props: dict[str, str], soc: str) -> None:
    sections = getprop(**props) | {"cpuinfo": "processor: 0\n\nHardware\t: Qualcomm Technologies, Inc MSM8937\n"}
    assert facts.phone("a", sections).facts["soc"] == soc


HOSTILE = "\x1b[2J\x1b]0;owned\x07Pixel\u202e 8\r\n\x9b31m" + "x" * 100_000


def test_words_of_a_device_are_bounded_and_cannot_drive_a_terminal() -> None:
    sections = getprop(ro_product_model=HOSTILE, ro_build_version_release=HOSTILE, ro_soc_model=HOSTILE)
    sections |= {"uname": HOSTILE, "cpuinfo": f"processor: 0\nmodel name: {HOSTILE}\n"}
    device = facts.phone(HOSTILE, sections)
    words = [device.name, device.os, device.serial, device.cpus[0].name, *device.facts.values()]
    assert all(word.isprintable() and 0 < len(word) <= MOST for word in words)
    assert device.name.startswith("Pixel 8 31mx")


@given(st.text())
def test_clean_words_are_printable_short_and_stay_as_they_are(text: str) -> None:
    once = clean(text)
    assert once == "" or once.isprintable()
    assert len(once) <= MOST
    assert clean(once) == once


def test_ordinary_words_are_kept() -> None:
    assert clean("Größe 8 µA 𝄞 (2)") == "Größe 8 µA 𝄞 (2)"


@given(st.sets(st.integers(0, 200), max_size=20))
def test_cpu_lists_round_trip_in_both_spellings(cpus: set[int]) -> None:
    assert processors.cpu_list(",".join(map(str, sorted(cpus)))) == tuple(sorted(cpus))
    assert processors.cpu_list(" ".join(map(str, cpus)) + "\n") == tuple(sorted(cpus))


SECTIONS = (
    "getprop", "cpuinfo", "cpus", "meminfo", "battery", "thermal", "power", "uname", "machine", "board", "hypervisor",
)  # fmt: skip
PIECES = st.sampled_from(
    ["[ro.product.model]: [", "]\n", "processor\t: ", "CPU part\t: 0x", "CPU implementer\t: ", "\n\n", "cpu 3|",
     "level: ", "temperature: ", "Temperature{mValue=", ", mType=", "MemTotal: ", " kB", "9" * 5000, "٣", "-1"]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=30), max_size=30).map("".join))
def test_no_parser_raises_whatever_a_phone_says(said: str) -> None:
    for sections in (dict.fromkeys(SECTIONS, said), dict.fromkeys(SECTIONS, GETPROP + said + CPUINFO)):
        facts.phone("x", sections)
        facts.conditions(sections)
    processors.cpu_list(said)
