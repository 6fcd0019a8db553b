"""Which cores "big" and "little" are, and what is said when that cannot be told or had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.devices.topology import place
from bench.errors import UsageError
from bench.measure import gates
from bench.records import Cpu, Device

A53, A73, A76, X1 = "Cortex-A53", "Cortex-A73", "Cortex-A76", "Cortex-X1"


def cores(*groups: tuple[int, str, int | None], offline: tuple[int, ...] = ()) -> tuple[Cpu, ...]:
    """Clusters as (how many, kind, top clock), numbered in turn."""
    found: list[Cpu] = []
    for count, name, khz in groups:
        cluster = tuple(range(len(found), len(found) + count))
        found += [Cpu(index=i, name=name, max_khz=khz, cluster=cluster, online=i not in offline) for i in cluster]
    return tuple(found)


def phone(cpus: tuple[Cpu, ...], kind: str = "phone") -> Device:
    return Device.model_validate({"serial": "a", "kind": kind, "name": "", "os": "", "abis": (), "cpus": cpus})


@pytest.mark.parametrize(
    ("cpus", "big", "little"),
    [
        (cores((2, "", 3000), (2, "", 1000)), 0b0011, 0b1100),
        (cores((4, A53, 1989), (4, A73, 1989)), 0xF0, 0x0F),
        (cores((4, A53, 2000), (4, A73, 1900)), 0xF0, 0x0F),
        (cores((4, A53, None), (4, A73, None)), 0xF0, 0x0F),
        (cores((4, A53, 1401), (4, A53, 1094)), 0x0F, 0xF0),
        (cores((4, A53, 1800), (2, A76, 2250), (2, X1, 2800)), 0xC0, 0x0F),
        (cores((4, A53, None), (2, A76, None), (2, X1, None)), 0xC0, 0x0F),
    ],
)
def test_clusters_are_ordered_by_kind_and_then_by_clock(cpus: tuple[Cpu, ...], big: int, little: int) -> None:
    assert place(cpus, "big") == (big, "")
    assert place(cpus, "little") == (little, "")
    assert place(cpus, "any") == (0, "")
    assert place(cpus, "all") == ((1 << len(cpus)) - 1, "")


@pytest.mark.parametrize(
    ("cpus", "mask", "words"),
    [
        ((), 0, "does not list its cores"),
        (cores((4, "unknown", None), (4, "unknown", None)), 0, "neither the clocks nor the kinds"),
        (cores((4, "unknown", 1989), (4, "unknown", 1989)), 0, "neither clock nor kind"),
        (cores((4, A53, 1500)), 0, "neither clock nor kind"),
        (cores((4, A53, 1500), (4, A73, 2400), offline=(4, 5, 6, 7)), 0, "cpu4, cpu5, cpu6, cpu7 are switched off"),
        (cores((4, A53, 1500), (4, A73, 2400), offline=(7,)), 0x70, "cpu7 is switched off"),
        (cores((4, A53, None), (2, A76, None), (2, A76, None)), 0xF0, "clocks are not readable"),
    ],
)
def test_a_big_cluster_that_cannot_be_told_is_said_so(cpus: tuple[Cpu, ...], mask: int, words: str) -> None:
    placement = place(cpus, "big")
    assert placement.mask == mask
    assert words in placement.reason


def test_a_core_that_is_off_is_known_by_its_cluster() -> None:
    cluster = (4, 5, 6, 7)
    gone = [Cpu(index=i, name="unknown", online=False) for i in (2, 3)]
    cpus = (
        *(Cpu(index=i, name=A53, max_khz=1500, cluster=(0, 1, 2, 3)) for i in (0, 1)), *gone,
        *(Cpu(index=i, name=A73, max_khz=2400, cluster=cluster) for i in cluster),
    )  # fmt: skip
    assert place(cpus, "big") == (0xF0, "")
    assert "cpu2, cpu3 are switched off" in place(cpus, "little").reason
    assert "cpu2, cpu3 are switched off" in place(cpus, "all").reason


def test_a_mask_is_taken_as_it_is_written() -> None:
    cpus = cores((4, A53, 1500), (4, A73, 2400), offline=(5,))
    assert place(cpus, "0x0F") == (0x0F, "")
    assert place(cpus, "0x30").reason == "cpu5 is not there or switched off"
    assert "cpu8, cpu9 are not there" in place(cpus, "0x300").reason


@pytest.mark.parametrize("cores", ["", "0x0", "0xg", "4", "biggest", "0x" + "f" * 400])
def test_what_names_no_cores_is_refused(cores: str) -> None:
    with pytest.raises(UsageError, match="names no cores"):
        place((), cores)


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["unknown", A53, A73, X1]), st.none() | st.integers(1, 3)),
        max_size=4,
    ),
    st.sets(st.integers(0, 15)),
    st.sampled_from(["big", "little"]),
)
def test_a_mask_holds_cores_in_use_or_there_is_a_reason(
    groups: list[tuple[int, str, int | None]], offline: set[int], wanted: str
) -> None:
    cpus = cores(*groups, offline=tuple(offline))
    placement = place(cpus, wanted)
    online = sum(1 << cpu.index for cpu in cpus if cpu.online)
    assert placement.mask & ~online == 0
    assert placement.mask or placement.reason
    assert placement.mask != online or not online


PIXEL = cores((4, A53, 1800), (2, A76, 2250), (2, X1, 2800))


@pytest.mark.parametrize(
    ("cores", "threads", "allowed", "words"),
    [
        ("big", 2, "6-7", ""),
        ("big", 4, "6-7", "4 threads shared 2 cores"),
        ("any", 8, "0-7", ""),
        ("any", 4, "3", "4 threads shared 1 core"),
        ("any", 9, "", "9 threads shared 8 cores"),
        ("big", 1, "0-7", "not on those asked for"),
        ("big", 1, "", "did not report"),
        ("0xf", 4, "0-3", ""),
    ],
)
def test_a_launch_that_did_not_run_as_asked_is_doubtful(cores: str, threads: int, allowed: str, words: str) -> None:
    doubts = gates.placement_doubts(phone(PIXEL), cores, threads, allowed)
    assert (words in "; ".join(doubts)) if words else doubts == ()


def test_what_cannot_be_told_is_doubtful_though_the_launch_ran() -> None:
    (doubt,) = gates.placement_doubts(phone(cores((8, "unknown", 1989))), "big", 1, "0-7")
    assert "neither clock nor kind" in doubt


def test_clusters_are_not_asked_of_a_desktop() -> None:
    desktop = phone(cores((4, "Xeon", None)), kind="desktop")
    assert gates.affinity(desktop, "big") == 0
    assert gates.placement_doubts(desktop, "big", 4, "") == ()
    assert gates.placement_doubts(desktop, "any", 5, "") == ("5 threads shared 4 cores",)


def test_affinity_is_the_placements_mask() -> None:
    assert gates.affinity(phone(PIXEL), "big") == 0xC0
    assert gates.affinity(phone(PIXEL), "any") == 0
