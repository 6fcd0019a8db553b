"""What trainings on a machine came to."""

from __future__ import annotations

import pytest

from bench.analyse.intervals import wilson
from bench.analyse.learning import lessons
from bench.learnt import Most, Right
from tests.unit.learnt_kit import failed, learnt, run


def test_right_answers_have_their_interval_and_sizes_come_in_order() -> None:
    (found,) = lessons((learnt(2048, 950, 949), learnt(1024, 930)), run())
    assert [one.neurons for one in found.trainings] == [1024, 2048]
    expected = wilson(950, 1000)
    assert found.bounds[1][0] == (expected.low, expected.high)
    assert found.bounds[0][1] is None
    assert found.bounds[1][1] is not None
    assert found.virtual
    assert found.most is None


def test_the_network_itself_stands_beside_them() -> None:
    beside = Right(right=984, of=1000)
    (found,) = lessons((learnt(1024, 930, ordinary=beside),), run())
    assert found.ordinary == beside
    assert found.ordinary_bounds is not None
    assert found.ordinary_bounds[0] < 0.984 < found.ordinary_bounds[1]


@pytest.mark.parametrize(
    ("more", "most"),
    [
        ((), Most(2048, True, "2,048 was the largest number to be tried")),
        (
            (failed(4096, "refused", memory=True, swept=True), failed(3072, "killed", memory=True, swept=True)),
            Most(2048, False, "3,072 neurons were too much: killed"),
        ),
        (
            (failed(4096, "too slow", swept=True),),
            Most(2048, True, "4,096 neurons failed for another reason: too slow"),
        ),
        # killed once, and well at the second try
        (
            (failed(2048, "killed", memory=True, swept=True),),
            Most(2048, True, "2,048 was the largest number to be tried"),
        ),
    ],
)
def test_a_search_ends_where_memory_does(more: tuple, most: Most) -> None:  # type: ignore[type-arg]
    done = (learnt(1024, 930, swept=True), learnt(2048, 950, swept=True))
    (found,) = lessons((*done, *more), run())
    assert found.most == most


def test_where_machine_code_was_translated_times_and_memory_do_not_count() -> None:
    (found,) = lessons((learnt(1024, 930),), run(translated=True))
    assert not found.times_count
    assert not found.memory_counts


def test_phones_are_told_apart() -> None:
    found = lessons((learnt(1024, 930), learnt(1024, 900, device="other")), run())
    assert [one.device for one in found] == ["emulator-5554", "other"]
    assert found[1].virtual  # nobody says what it was: not shown as a phone's
