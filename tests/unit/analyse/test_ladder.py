"""The ladder's rungs: what differs, where, by how much, and what was done instead where that can be told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from bench.analyse import ladder
from bench.analyse.modules import Modules
from bench.preprocess import Preprocess

RANDOM = np.random.default_rng(3)
PIXELS = RANDOM.integers(0, 256, (40, 50, 3), np.uint8)
PLAN = Preprocess(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
SHAPE = (3, 16, 24)
RESIZED = ladder.fitted(PLAN, PIXELS, SHAPE)
INPUT = PLAN.colours(RESIZED, 3)


def test_equal_values_do_not_differ() -> None:
    rung = ladder.layer("conv", "Convolution", INPUT, INPUT, exact=True)
    assert not rung.differs
    assert rung.delta == 0
    assert rung.off == 0
    assert rung.values == INPUT.size


def test_one_value_that_differs_is_found_with_its_place_and_channel() -> None:
    other = INPUT.copy()
    other[2, 5, 7] += 0.5
    rung = ladder.layer("conv", "Convolution", other, INPUT, exact=False)
    assert rung.differs
    assert (rung.place, rung.channels, rung.off) == ((2, 5, 7), (2,), 1)
    assert rung.delta == pytest.approx(0.5)
    assert rung.found == pytest.approx(float(other[2, 5, 7]))
    assert rung.wanted == pytest.approx(float(INPUT[2, 5, 7]))


def test_rounding_is_allowed_between_processors_and_not_on_one() -> None:
    rounded = INPUT * np.float32(1 + 1e-6)
    assert not ladder.layer("conv", "", rounded, INPUT, exact=False).differs
    assert ladder.layer("conv", "", rounded, INPUT, exact=True).differs


def test_values_that_are_not_numbers_on_one_side_differ() -> None:
    broken = INPUT.copy()
    broken[0, 0, 0] = np.nan
    for found, wanted in ((broken, INPUT), (INPUT, broken)):
        rung = ladder.layer("conv", "", found, wanted, exact=False)
        assert rung.differs
        assert rung.place == (0, 0, 0)


def test_values_that_are_numbers_on_neither_side_are_no_agreement() -> None:
    broken = INPUT.copy()
    broken[0, 0, 0] = np.nan
    for exact in (True, False):
        rung = ladder.layer("conv", "", broken, broken, exact=exact)
        assert rung.differs is None
        assert rung.open
        assert "1 of 1,152 values cannot be compared" in rung.remark
    other = broken.copy()
    other[2, 5, 7] += 0.5
    assert ladder.layer("conv", "", other, broken, exact=True).differs


def test_what_is_not_finite_on_the_desktop_excuses_no_other_value() -> None:
    for value in (np.nan, np.inf):
        wanted = INPUT.copy()
        wanted[0, 0, 0] = value
        found = wanted.copy()
        found[2, 5, 7] += 1000
        rung = ladder.layer("conv", "", found, wanted, exact=False)
        assert rung.differs is not False
        assert rung.open == (not rung.differs)
    infinite = INPUT.copy()
    infinite[0, 0, 0] = np.inf
    assert ladder.layer("conv", "", INPUT, infinite, exact=False).differs
    assert ladder.layer("conv", "", infinite, infinite, exact=False).differs is False


def test_no_values_are_no_agreement() -> None:
    nothing = INPUT[:, :0]
    assert ladder.layer("conv", "", nothing, nothing, exact=True).open


def test_another_shape_differs_and_says_both() -> None:
    rung = ladder.layer("conv", "", INPUT[:, :8], INPUT, exact=False)
    assert rung.differs
    assert "3×8×24" in rung.remark
    assert "3×16×24" in rung.remark


def test_jpeg_may_differ_by_a_few_levels_and_png_by_none() -> None:
    other = np.where(PIXELS < 250, PIXELS + 3, PIXELS).astype(np.uint8)
    assert not ladder.pixels(other, PIXELS, lossy=True).differs
    assert ladder.pixels(other, PIXELS, lossy=False).differs


def test_a_rung_is_judged_on_what_the_device_had_before_it() -> None:
    shifted = np.roll(PIXELS, 9, axis=1)
    own = ladder.fitted(PLAN, shifted, SHAPE)
    assert ladder.pixels(shifted, PIXELS, lossy=False).differs
    assert not ladder.resized(own, shifted, PLAN, SHAPE).differs
    assert not ladder.normalised(PLAN.colours(own, 3), own, PLAN).differs


@pytest.mark.parametrize("change", [{"filter": "nearest"}, {"filter": "bicubic"}, {"resize": "exact"}])
def test_another_way_of_resizing_is_named(change: dict[str, str]) -> None:
    other = Preprocess.model_validate(PLAN.model_dump() | change)
    rung = ladder.resized(ladder.fitted(other, PIXELS, SHAPE), PIXELS, PLAN, SHAPE)
    assert rung.differs
    assert other.text.split(", ")[0] in rung.remark


def test_what_the_desktop_refuses_to_make_differs_from_what_the_device_made() -> None:
    whole = Preprocess(resize="none", crop=False)
    rung = ladder.resized(RESIZED, PIXELS, whole, SHAPE)
    assert rung.differs
    assert "40×50 pixels after resizing" in rung.remark
    grey = ladder.normalised(INPUT, RESIZED[..., :1], PLAN)
    assert grey.differs
    assert "pixels of 1 channels" in grey.remark


def test_channels_in_the_opposite_order_are_named() -> None:
    rung = ladder.normalised(PLAN.colours(RESIZED[..., ::-1], 3)[:], RESIZED, PLAN)
    assert rung.differs
    assert "opposite order" in rung.remark
    bare = Preprocess()
    assert "opposite order" in ladder.normalised(bare.colours(RESIZED, 3)[::-1], RESIZED, bare).remark


def test_another_mean_is_named_with_both_formulas() -> None:
    other = Preprocess(mean=(0.5,), deviation=(0.5,))
    rung = ladder.normalised(other.colours(RESIZED, 3), RESIZED, PLAN)
    assert rung.differs
    assert "0.00784314 × value − 1" in rung.remark
    assert "0.0171248 × value − 2.1179" in rung.remark


def test_a_file_is_the_same_by_its_digest() -> None:
    assert not ladder.file("picture", "a" * 64, "a" * 64).differs
    assert ladder.file("picture", "a" * 64, "b" * 64).differs


@dataclass(frozen=True)
class Part:
    name: str
    values: np.ndarray
    kind: str = "Conv2d"


def parts() -> list[Part]:
    return [Part(f"part{i}", RANDOM.normal(size=(4, 5, 6)).astype(np.float32)) for i in range(4)]


def test_modules_are_found_in_a_graph_by_value_whatever_its_layers_are_called() -> None:
    ours = parts()
    modules = Modules(ours)
    for number in (0, 2, 3):  # the second was merged into the third
        modules.look(f"blob{number}", ours[number].values.reshape(4, 30) * np.float32(1 + 1e-7))
    rungs = modules.rungs(answers_differ=False)
    assert [rung.differs for rung in rungs] == [False, None, False, False]
    assert rungs[2].remark == "= blob2"


def test_the_module_from_which_a_graph_computes_something_else_is_named() -> None:
    ours = parts()
    modules = Modules(ours)
    modules.look("blob0", ours[0].values)
    wrong = ours[1].values.copy()
    wrong[3] *= 2
    modules.look("blob1", wrong)
    modules.look("blob2", ours[2].values + 1)
    rungs = modules.rungs(answers_differ=True)
    assert [rung.differs for rung in rungs] == [False, True, True, True]
    first = rungs[1]
    assert (first.name, first.channels, first.place[0]) == ("part1", (3,), 3)
    assert first.remark == "nearest: blob1"


def test_a_module_whose_values_are_not_numbers_is_not_called_equal() -> None:
    ours = parts()
    ours[1].values[0] = np.nan
    modules = Modules(ours)
    for number in range(4):
        modules.look(f"blob{number}", ours[number].values)
    rungs = modules.rungs(answers_differ=False)
    assert [rung.differs for rung in rungs] == [False, None, False, False]
    assert rungs[1].open
    assert "blob1" not in modules.names()
