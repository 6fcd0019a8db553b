"""Scores from the facts of samples, and paired tests between two variants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.analyse.scores import SCORES, Facts, Score, estimate, paired, scores
from bench.errors import CorruptData
from bench.measure.answers import facts

RNG = np.random.default_rng(17)


def classified(right: float, n: int = 400, classes: int = 10, seed: int = 0) -> Facts:
    """Facts of a network that is right about so often."""
    random = np.random.default_rng(seed)
    labels, outputs = np.arange(n) % classes, random.normal(size=(n, classes))
    outputs[np.arange(n), np.where(random.random(n) < right, labels, random.integers(0, classes, n))] += 8
    return facts(outputs, outputs, labels, "classification")


def segmented(noise: float, n: int = 12, classes: int = 2, seed: int = 0) -> Facts:
    random = np.random.default_rng(seed)
    masks = np.random.default_rng(5).integers(0, classes, (n, 8, 8))
    outputs = np.eye(classes)[masks].transpose(0, 3, 1, 2) + noise * random.normal(size=(n, classes, 8, 8))
    return facts(outputs, outputs, masks, "segmentation")


def test_which_scores_there_are_follows_from_the_facts() -> None:
    assert list(scores(classified(0.9))) == ["top1", "top5", "confidence", "ece", "agreement"]
    assert list(scores(classified(0.9, classes=5))) == ["top1", "confidence", "ece", "agreement"]
    assert list(scores(segmented(0.5))) == ["dice", "iou", "agreement"]
    target = RNG.random((6, 1, 12, 12)).astype(np.float32)
    assert list(scores(facts(target + 0.1, target, target, "reconstruction"))) == ["psnr", "ssim"]
    assert scores(facts(target, target, None, "other")) == {}


def test_top1_and_top5_count_ranks() -> None:
    found = scores({"rank": np.array([0, 0, 3, 5, 0.0]), "label": np.arange(5.0) + 2, "answer": np.arange(5.0)})
    assert found["top1"].value == pytest.approx(0.6)
    assert found["top5"].value == pytest.approx(0.8)
    assert found["top1"].n == 5
    assert found["top1"].interval is not None
    assert found["top1"].interval.method == "Wilson"


def test_dice_is_the_mean_over_samples_and_iou_over_all_pixels() -> None:
    counts = {"both": np.array([1, 1, 0.0]), "ours": np.array([2, 1, 0.0]), "theirs": np.array([2, 1, 0.0])}
    found = scores(counts)
    assert found["dice"].value == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["iou"].value == pytest.approx(2 / 4)
    assert found["dice"].interval is None


def test_of_several_classes_those_count_that_there_are() -> None:
    pixels = {"both": (3, 1, 0, 2), "ours": (4, 2, 0, 2), "theirs": (3, 3, 0, 2)}
    found = scores(
        {
            f"{fact}.{k}": np.array([float(count)])
            for fact, counts in pixels.items()
            for k, count in zip((0, 1, 2, 10), counts, strict=True)
        }
    )
    assert found["iou"].value == pytest.approx((3 / 4 + 1 / 4 + 1) / 3)
    assert found["dice"].value == pytest.approx((2 / 5 + 1) / 2)


def test_psnr_of_a_known_error_and_of_none() -> None:
    found = estimate(SCORES["psnr"], {"squared_error": np.array([0.01, 0.0]), "peak": np.array([1.0, 1.0])})
    assert found.value == pytest.approx((20 + 100) / 2)


def test_the_calibration_error_by_hand() -> None:
    """Two bins: (0.9, 0.95 of which one is right) and (0.3, which is right)."""
    found = estimate(SCORES["ece"], {"confidence": np.array([0.9, 0.91, 0.3]), "rank": np.array([0, 4, 0.0])})
    assert found.value == pytest.approx((abs(1 - 1.81) + abs(1 - 0.3)) / 3)


def test_a_calibrated_network_has_a_small_error_and_a_boastful_one_a_large() -> None:
    confidence = RNG.uniform(0.5, 1, 20_000)
    rank = (RNG.random(20_000) > confidence).astype(np.float64)
    assert estimate(SCORES["ece"], {"confidence": confidence, "rank": rank}).value < 0.015
    boastful = estimate(SCORES["ece"], {"confidence": np.sqrt(confidence), "rank": rank})
    assert boastful.value > 0.08
    assert boastful.interval is not None
    assert boastful.interval.excludes(0.05)


@settings(deadline=None, max_examples=25)
@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(4)), elements=st.floats(-9, 9)), st.integers(0, 9))
def test_every_score_lies_in_its_interval_and_nothing_differs_from_itself(outputs: np.ndarray, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, len(outputs))
    found = facts(outputs, outputs, labels, "classification")
    for name, one in scores(found).items():
        assert 0 <= one.value <= 1 + 1e-9
        if one.interval is not None:
            assert one.interval.low <= one.value <= one.interval.high
        same = paired(SCORES[name], found, found)
        assert same.difference == 0
        assert same.p_value in (1, None)
        assert same.interval is None or not same.interval.excludes(0)


def test_variants_that_differ_on_few_samples_are_told_apart_by_pairs() -> None:
    """Twelve samples of 1,000 that only the first gets right: the intervals overlap, the test is clear."""
    a = {"rank": np.zeros(1000), "label": np.zeros(1000)}
    a["rank"][:100] = 1
    b = {"rank": a["rank"].copy(), "label": a["label"]}
    b["rank"][500:512] = 1
    first, second = (estimate(SCORES["top1"], one).interval for one in (a, b))
    assert first is not None
    assert second is not None
    assert first.low < second.high
    found = paired(SCORES["top1"], a, b)
    assert found.difference == pytest.approx(-0.012)
    assert found.p_value == pytest.approx(2 / 2**12)
    assert found.method == "McNemar exact"
    assert found.interval is not None
    assert found.interval.excludes(0)


@pytest.mark.parametrize("name", ["dice", "iou"])
def test_noise_in_masks_is_told_apart_by_a_paired_bootstrap(name: str) -> None:
    found = paired(SCORES[name], segmented(0.4), segmented(0.8, seed=1))
    assert found.method == "paired bootstrap"
    assert found.difference < -0.05
    assert found.interval is not None
    assert found.interval.high < 0
    assert found.p_value is not None
    assert found.p_value < 0.01
    back = paired(SCORES[name], segmented(0.8, seed=1), segmented(0.4))
    assert back.difference == pytest.approx(-found.difference)


def test_two_draws_of_the_same_noise_are_not_told_apart_more_often_than_chance() -> None:
    differ = [paired(SCORES["iou"], segmented(0.5, seed=2 * k), segmented(0.5, seed=2 * k + 1)) for k in range(40)]
    assert sum(one.p_value is not None and one.p_value < 0.05 for one in differ) <= 8  # 2 expected


def test_other_samples_are_not_compared() -> None:
    with pytest.raises(CorruptData, match=r"samples differ \(400 and 300\)"):
        paired(SCORES["top1"], classified(0.9), classified(0.9, n=300))
    shuffled = {**classified(0.9), "label": np.zeros(400)}
    with pytest.raises(CorruptData, match="samples differ"):
        paired(SCORES["top1"], classified(0.9), shuffled)


def test_a_new_score_is_a_description() -> None:
    worst = Score("half", "half right", "fraction", "higher", ("rank",), lambda facts: (facts["rank"] < 2)[:, None] / 2)
    found = estimate(worst, classified(0.9))
    assert 0.4 < found.value <= 0.5
    assert found.interval is not None
