"""Names of cores, from the several ways in which kernels write /proc/cpuinfo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.devices import core_names, processors
from bench.records import Cpu

ID = "CPU implementer\t: {}\nCPU architecture: 8\nCPU variant\t: {}\nCPU part\t: {}\nCPU revision\t: 4\n"


def block(*cores: int, implementer: str = "0x41", part: str = "0xd03", variant: str = "0x0", model: str = "") -> str:
    """A block of /proc/cpuinfo about these cores."""
    numbered = "".join(f"processor\t: {core}\n" for core in cores)
    return numbered + (f"model name\t: {model}\n" if model else "") + ID.format(implementer, variant, part) + "\n"


def names(cpuinfo: str, lines: str = "", soc: str = "") -> list[str]:
    return [cpu.name for cpu in processors.cpus(cpuinfo, lines, soc)]


def described(*clocks: int | None) -> str:
    """The probe's lines of cores with these top clocks, all online."""
    return "".join(f"cpu {i}|1|{khz or ''}||\n" for i, khz in enumerate(clocks))


def test_the_core_is_named_by_its_numbers_and_not_by_the_kernels_general_label() -> None:
    label = "ARMv8 Processor rev 4 (v8l)"
    text = block(0, implementer="0x51", part="0x801", model=label) + block(
        1, implementer="0x51", part="0x800", model=label
    )
    assert names(text) == ["Kryo 2xx Silver", "Kryo 2xx Gold"]


def test_the_general_label_serves_where_there_is_nothing_else() -> None:
    assert names("processor: 0\nmodel name: Intel(R) Atom(TM) CPU Z3580\n") == ["Intel(R) Atom(TM) CPU Z3580"]
    assert names("Processor: ARMv7 Processor rev 2 (v7l)\nprocessor: 0\n") == ["ARMv7 Processor rev 2 (v7l)"]


def test_numbers_given_once_at_the_end_are_of_all_cores() -> None:
    separate = "Processor: ARMv7 Processor rev 0 (v7l)\n" + "".join(
        f"processor: {i}\nBogoMIPS: 38.40\n\n" for i in range(4)
    )
    assert names(separate + "Features: swp half\n" + ID.format("0x51", "0x2", "0x06f")) == ["Krait"] * 4


def test_several_cores_in_one_block_share_its_numbers() -> None:
    assert names("Processor: NVIDIA Denver 1.0\n" + block(0, 1, implementer="0x4e", part="0x000")) == ["Denver"] * 2
    mixed = block(0, 1, part="0xd03") + block(2, 3, part="0xd08")
    assert names(mixed) == ["Cortex-A53", "Cortex-A53", "Cortex-A72", "Cortex-A72"]


def test_a_kernel_that_numbers_no_core_means_all() -> None:
    text = "Processor: ARMv7 Processor rev 2 (v7l)\n" + ID.format("0x41", "0x2", "0xc08")
    assert names(text) == ["Cortex-A8"]
    assert names(text, described(1000, 1000)) == ["Cortex-A8"] * 2


def test_cores_that_were_offline_while_asked_are_unknown() -> None:
    lines = described(1500, 1500) + "cpu 2|0|||\n"
    found = processors.cpus(block(0, 1), lines)
    assert [cpu.name for cpu in found] == ["Cortex-A53", "Cortex-A53", "unknown"]
    assert not found[2].online


def test_a_kernel_that_names_one_core_for_two_kinds_is_put_right_by_the_chipset() -> None:
    text = block(0, 1, 2)
    clocks = described(1_440_000, 1_440_000, 1_824_000)
    soc = "Qualcomm Technologies, Inc MSM8992"
    assert names(text, clocks, soc) == ["Cortex-A53", "Cortex-A53", "Cortex-A57"]
    assert names(text, "", soc) == ["Cortex-A53 or Cortex-A57"] * 3
    assert names(block(0), described(1_500_000) + "cpu 4|0|||\n", "SAMSUNG Exynos7420") == ["Cortex-A53", "unknown"]
    assert names(block(0) + block(4), "cpu 0|1|1391000||\ncpu 4|1|1950000||\n", "MT6797T") == ["Cortex-A53"] * 2
    assert names(block(0), described(1_391_000, 1_950_000, 2_288_000), "MT6797T") == [
        "Cortex-A53", "Cortex-A53", "Cortex-A72",
    ]  # fmt: skip


def test_parts_of_both_clusters_at_once_are_told_apart_by_clock() -> None:
    text = "".join(f"processor: {i}\n\n" for i in range(4)) + ID.format("0x41", "0x0 & 0x3", "0xc07 & 0xc0f")
    assert names(text) == ["Cortex-A7 or Cortex-A15"] * 4
    assert names(text, described(1305, 1305, 1709, 1709)) == ["Cortex-A7", "Cortex-A7", "Cortex-A15", "Cortex-A15"]


@pytest.mark.parametrize(
    ("implementer", "part", "name"),
    [
        ("0x41", "0xc07", "Cortex-A7"), ("0x41", "0xd87", "Cortex-A725"), ("0x41", "0xd85", "Cortex-X925"),
        ("0x51", "0x205", "Kryo Gold"), ("0x51", "0x211", "Kryo Silver"), ("0x51", "0x001", "Oryon"),
        ("0x51", "0x04d", "Krait"), ("0x4e", "0x003", "Denver 2"), ("0x48", "0xd40", "Cortex-A76"),
        ("0x53", "0x001", "Exynos M1"), ("0x41", "0xeee", "implementer 0x41 part 0xeee"),
    ],
)  # fmt: skip
def test_cores_of_many_makers_have_names(implementer: str, part: str, name: str) -> None:
    assert names(block(0, implementer=implementer, part=part)) == [name]


def test_an_exynos_m2_differs_from_an_m1_in_its_variant() -> None:
    assert names(block(0, implementer="0x53", part="0x001", variant="0x4")) == ["Exynos M2"]
    assert core_names.size("Exynos M2") == core_names.size("Exynos M1") == 1


@pytest.mark.parametrize("odd", ["0xfff41", "-1", "x", "", "9" * 5000])
def test_numbers_that_are_none_name_nothing(odd: str) -> None:
    assert names(block(0, implementer=odd)) == ["unknown"]
    assert names(f"processor: {odd}\n") == []
    assert processors.cpus("", f"cpu {odd}|1|{odd}|{odd}|{odd}") == ()


@given(st.lists(st.sampled_from([("0x41", "0xd03"), ("0x41", "0xd09"), ("0x51", "0x801")]), min_size=1, max_size=12))
def test_the_ways_of_writing_agree(cores: list[tuple[str, str]]) -> None:
    """A block for each core, and a block for each run of equal cores."""
    each = "".join(block(i, implementer=a, part=b) for i, (a, b) in enumerate(cores))
    runs: list[list[int]] = []
    for i, core in enumerate(cores):
        if i and cores[i - 1] == core:
            runs[-1].append(i)
        else:
            runs.append([i])
    grouped = "".join(block(*run, implementer=cores[run[0]][0], part=cores[run[0]][1]) for run in runs)
    assert processors.cpus(each, "") == processors.cpus(grouped, "")


def test_a_core_index_or_clock_beyond_reason_is_left_out() -> None:
    assert processors.cpus("processor: 999999\n", "cpu 99999|1|1|1|\n") == ()
    assert processors.cpus("", "cpu 1|1|0|x|0-9999999\n") == (Cpu(index=1, name="unknown"),)
