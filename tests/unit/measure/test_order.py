"""The order of trials: complete, interleaved, the same for a seed; ids that do not depend on it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import order
from bench.measure.order import Entry, Place
from bench.plan import Case, Plan, Protocol
from bench.records import Precision, Subject, Trial

PHONE, HERE, TORCH = Place("p1", "ncnn"), Place("desktop", "ncnn"), Place("desktop", "torch", reference=True)
PLACES: dict[Place, tuple[Precision, ...]] = {PHONE: ("fp32",), HERE: ("fp32",), TORCH: ("fp32",)}


def planned(*labels: str, seed: int = 0, launches: int = 5, reference: int = 3) -> Plan:
    protocol = Protocol(launches=launches, reference_launches=reference, memory_launches=2, seed=seed)
    return Plan(name="a", cases=tuple(Case(model=label) for label in labels), protocol=protocol)


@given(
    launches=st.integers(1, 6),
    reference=st.integers(1, 4),
    threads=st.lists(st.integers(1, 8), min_size=1, max_size=2, unique=True),
    seed=st.integers(0, 2**32),
)
def test_the_order_is_a_complete_seeded_interleaving(
    launches: int, reference: int, threads: list[int], seed: int
) -> None:
    plan = planned("m", seed=seed, launches=launches, reference=reference)
    entries = [Entry("m", variant, PLACES, tuple(threads)) for variant in ("baseline", "b")]
    trials = order.trials(plan, entries)
    assert trials == order.trials(plan, entries)
    assert [t.order for t in trials] == list(range(len(trials)))
    assert len({t.id for t in trials}) == len({t.file_stem for t in trials}) == len(trials)
    timed = [t for t in trials if t.pass_ == "latency"]
    assert len(timed) == 2 * len(threads) * (2 * launches + reference)
    # No launch of a later round comes before one of an earlier round.
    assert [t.launch for t in timed] == sorted(t.launch for t in timed)
    # What is wrong is known before anything is timed.
    assert [t.pass_ for t in trials] == sorted(
        (t.pass_ for t in trials), key=["size", "accuracy", "memory", "latency"].index
    )


def test_the_seed_changes_the_order_and_no_id() -> None:
    entries = [Entry("m", variant, PLACES) for variant in ("baseline", "b")]
    orders = [tuple(t.id for t in order.trials(planned("m", seed=seed), entries)) for seed in range(4)]
    assert len(set(orders)) > 1
    assert len({frozenset(ids) for ids in orders}) == 1


def test_each_variant_runs_where_and_how_its_entry_says() -> None:
    entries = [
        Entry("m", "baseline", {PHONE: ("fp32", "bf16"), TORCH: ("fp32",)}),
        Entry("m", "b", {Place("p1", "other"): ("fp32",)}, (1, 4)),
        Entry("n", "baseline", {HERE: ("fp32",)}),
    ]
    trials = order.trials(planned("m", "n"), entries)
    assert {(s.model, s.variant, s.device, s.runtime, s.threads, s.precision) for s in (t.subject for t in trials)} == {
        ("m", "baseline", "p1", "ncnn", 1, "fp32"), ("m", "baseline", "p1", "ncnn", 1, "bf16"),
        ("m", "baseline", "desktop", "torch", 1, "fp32"), ("m", "b", "p1", "other", 1, "fp32"),
        ("m", "b", "p1", "other", 4, "fp32"), ("n", "baseline", "desktop", "ncnn", 1, "fp32"),
    }  # fmt: skip
    # One network is finished before the next begins.
    assert [t.subject.model for t in trials] == sorted(t.subject.model for t in trials)


def test_size_is_not_measured_on_the_reference_whose_files_nobody_deploys() -> None:
    trials = order.trials(planned("m"), [Entry("m", "baseline", PLACES)])
    assert {t.subject.runtime for t in trials if t.pass_ == "size"} == {"ncnn"}


LABELS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,59}", fullmatch=True)
SUBJECTS = st.builds(
    Subject, model=LABELS, variant=LABELS, device=st.sampled_from(["desktop", "10.0.0.7:5555", "emulator-5554"]),
    runtime=st.sampled_from(["ncnn", "torch"]), threads=st.integers(1, 64), precision=st.sampled_from(["fp32", "bf16"]),
)  # fmt: skip


TRIALS = st.builds(
    Trial, subject=SUBJECTS, pass_=st.sampled_from(["memory", "latency"]), launch=st.integers(0, 9)
)  # fmt: skip


@given(st.lists(TRIALS, min_size=2, max_size=6))
def test_different_trials_have_different_ids_and_files(trials: list[Trial]) -> None:
    ids = {t.id for t in trials}
    assert len(ids) == len({t.file_stem for t in trials}) == len(set(trials))
    assert all(len(t.file_stem) < 120 and t.file_stem.isascii() and "/" not in t.file_stem for t in trials)


def test_the_place_in_the_run_is_no_part_of_an_id() -> None:
    trial = Trial(subject=Subject(model="m", variant="v", device="d", runtime="ncnn"), pass_="latency")
    assert trial.id == trial.model_copy(update={"order": 17}).id == "latency/m/v/d/ncnn/t1/fp32/0"


def test_an_estimate_grows_with_what_is_asked_for() -> None:
    entries = [Entry("m", "baseline", PLACES)]
    few, many = (
        order.estimate_s(planned("m", launches=launches), entries, {"m": 0.01}, {"torch": 2.0}) for launches in (1, 10)
    )
    assert 0 < few < many
    assert order.estimate_s(planned("m"), [], {}, {}) == pytest.approx(0)


def test_a_pass_that_must_fail_is_tried_once_for_each_variant() -> None:
    plan = Plan(name="a", cases=(Case(model="m"),), protocol=Protocol(energy_seconds=5))
    entries = [Entry("m", variant, PLACES) for variant in ("baseline", "b")]
    every = list(order.of_device(order.blocks(plan, entries), "p1"))
    kept = [trial for block in order.once(every, "energy") for trial in block.trials]
    energy = [trial for trial in kept if trial.pass_ == "energy"]
    assert sorted((trial.subject.variant, trial.launch) for trial in energy) == [("b", 0), ("baseline", 0)]
    others = [trial for block in every for trial in block.trials if trial.pass_ != "energy"]
    assert [trial for trial in kept if trial.pass_ != "energy"] == others


def test_only_what_changes_its_capacity_is_launched_for_that() -> None:
    protocol = Protocol(switch_launches=2)
    plan = planned("m").model_copy(update={"protocol": protocol})
    places = {PHONE: ("fp32",), Place("p1", "other"): ("fp32",)}
    entries = [Entry("m", "nested", places, switching=frozenset({"ncnn"})), Entry("m", "baseline", places)]
    found = [t for t in order.trials(plan, entries) if t.pass_ == "switch"]
    assert [(t.subject.variant, t.subject.runtime, t.launch) for t in found] == [
        ("nested", "ncnn", 0), ("nested", "ncnn", 1),
    ]  # fmt: skip
