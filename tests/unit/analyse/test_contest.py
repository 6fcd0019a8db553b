"""Who is on a front, who is beaten for sure and who perhaps, on runs that are made up."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse import analyse
from bench.analyse.contest import beats
from bench.analyse.scores import floors
from bench.contest import COSTS, Contest, jobs
from bench.findings import Findings
from bench.records import Subject
from bench.results.folder import RunFolder
from tests.rivals import DESKTOP, FEW, PHONE, One, many, store

POINTS = st.lists(
    st.tuples(st.integers(1, 12).map(float), st.integers(1, 12).map(float)), min_size=1, max_size=25
)  # fmt: skip


def found(folder: RunFolder) -> Findings:
    return analyse(folder.consolidate(), folder.record(), folder.answers())


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return found(store(tmp_path_factory.mktemp("several"), "several", many()[:14], launches=3))


def only(findings: Findings) -> Contest:
    (contest,) = findings.contests
    return contest


def at(findings: Findings, subject: Subject, metric: str) -> float:
    summary = findings.summary(subject, metric)
    assert summary is not None
    assert summary.statistics is not None
    return summary.statistics.median


@given(POINTS)
def test_beating_has_no_circles_so_that_something_is_always_in_front(points: list[tuple[float, float]]) -> None:
    for same in (0.0, 0.02, 0.3):
        front = [p for p in points if not any(beats(q, p, same) for q in points)]
        assert front
        assert not any(beats(p, p, same) for p in points)


@given(POINTS)
def test_whatever_is_behind_is_behind_something_in_front(points: list[tuple[float, float]]) -> None:
    front = [p for p in points if not any(beats(q, p) for q in points)]
    assert all(p in front or any(beats(q, p) for q in front) for p in points)


@given(cost=st.floats(1, 1e9), score=st.floats(0, 1), less=st.floats(0, 0.019))
def test_sizes_that_match_are_one_size(cost: float, score: float, less: float) -> None:
    smaller = (cost * (1 - less), score)
    assert not beats(smaller, (cost, score), 0.02)
    assert beats((cost, score + 0.1), smaller, 0.02)


def test_no_one_in_front_is_beaten_and_everyone_behind_is_beaten_by_someone(several: Findings) -> None:
    contest = only(several)
    assert set(contest.standings) == set(COSTS)
    for cost, standings in contest.standings.items():
        same = 0.02 if cost in ("deployed", "downloaded") else 0.0
        points = {one.subject: (at(several, one.subject, cost), at(several, one.subject, "top1")) for one in standings}
        for one in standings:
            ahead = [s for s, point in points.items() if beats(point, points[one.subject], same)]
            assert (one.place == "front") == (not ahead)
            assert one.by is None if one.place == "front" else one.by in ahead
        assert {one.place for one in standings} == {"front", "beaten", "perhaps"}


def test_a_difference_that_may_be_chance_beats_nobody_for_sure(tmp_path: Path) -> None:
    """Half a point of a thousand digits is no difference; eight points are."""
    ones = (
        FEW[0], One("a:2kB", 20.0, 2_000, 2.0, 0.960), One("b:9kB", 40.0, 9_000, 3.0, 0.957),
        One("c:9kB", 41.0, 9_001, 3.1, 0.880),
    )  # fmt: skip
    contest = only(found(store(tmp_path, "r", ones)))
    places = {one.subject.variant: (one.place, one.by and one.by.variant) for one in contest.standings["deployed"]}
    assert places["b:9kB"] == ("perhaps", "a:2kB")
    assert places["c:9kB"] == ("beaten", "a:2kB")
    assert places["baseline"] == ("front", None)


def test_a_latency_within_noise_beats_nobody_for_sure(tmp_path: Path) -> None:
    ones = (FEW[0], One("a:2kB", 20.0, 2_000, 2.0, 0.97), One("b:2kB", 20.05, 2_001, 2.0, 0.90))
    contest = only(found(store(tmp_path, "r", ones)))
    later = {one.subject.variant: one.place for one in contest.standings["latency"]}
    assert later["b:2kB"] in ("perhaps", "front")
    assert {one.subject.variant: one.place for one in contest.standings["deployed"]}["b:2kB"] == "beaten"


def test_what_is_tagged_or_failed_is_on_no_front(tmp_path: Path) -> None:
    ones = (
        FEW[0], One("a:2kB", 1.0, 2_000, 2.0, 0.97, status="tagged"), One("b:2kB", 20.0, 2_000, 2.0, 0.96),
        One("c:2kB", 1.0, 2_000, 2.0, 0.95, status="failed"),
    )  # fmt: skip
    contest = only(found(store(tmp_path, "r", ones)))
    places = {one.subject.variant: one.place for one in contest.standings["latency"]}
    assert places == {"a:2kB": "unusable", "b:2kB": "front", "baseline": "front"}


def test_phones_desktops_and_threads_compete_apart(tmp_path: Path) -> None:
    findings = found(store(tmp_path, "r", FEW[:2], devices=(PHONE, DESKTOP), threads=(1, 2), launches=3))
    assert [(c.device, c.threads) for c in findings.contests] == [(PHONE.serial, 1), (PHONE.serial, 2)]
    assert all(len({s.threads for s in c.subjects}) == 1 for c in findings.contests)


def test_networks_of_other_samples_do_other_jobs(tmp_path: Path) -> None:
    run = store(tmp_path, "r", FEW[:2]).record()
    assert list(jobs(run, ["lenet5"])) == [("lenet5",)]
    assert list(jobs(run, ["lenet5", "unknown", "other"])) == [("lenet5",), ("unknown",), ("other",)]
    twin = run.model_copy(update={
        "artifacts": (*run.artifacts, run.artifacts[0].model_copy(update={"model": "twin"})),
        "samples": run.samples | {"twin": run.samples["lenet5"]},
    })  # fmt: skip
    assert list(jobs(twin, ["lenet5", "twin"])) == [("lenet5", "twin")]


def test_the_majority_class_is_what_a_score_is_without_a_network(tmp_path: Path) -> None:
    folder = store(tmp_path, "r", FEW[:2])
    labels = next(iter(folder.answers().values()))["label"]
    (floor,) = found(folder).floors["lenet5"]
    assert floor.metric == "top1"
    assert floor.value == np.bincount(labels.astype(int)).max() / len(labels)


def test_masks_without_a_mark_are_the_floor_of_segmentation(tmp_path: Path) -> None:
    run = store(tmp_path, "r", FEW[:2]).record()
    subject = Subject(model="lenet5", variant="baseline", device="d", runtime="ncnn")
    masks = np.array([0.0, 8.0, 4.0, 2.0])
    two = {"both": masks / 2, "ours": masks, "theirs": masks}
    assert {f.metric: f.value for f in floors(run, {subject: two})["lenet5"]} == {"dice": 0.25, "iou": 0.0}
    three = {f"{fact}.{k}": np.full(4, 10.0 - k) for fact in ("both", "ours", "theirs") for k in range(3)}
    values = {f.metric: f.value for f in floors(run, {subject: three})["lenet5"]}
    assert values["dice"] == 0.0
    assert values["iou"] == pytest.approx(10 / (10 + 9 + 8) / 3)
