"""The memory test: the search for the largest picture, and what a launch's end says about memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.devices.host import HostTransport
from bench.errors import DeadlineExceeded, DeviceOffline, RunnerFailed
from bench.measure import largest, lines
from bench.measure.job import CONTRACT
from bench.measure.largest import End
from bench.measure.lines import Reading
from bench.records import Artifact, Tensor

MEMORY, TIME = End(True, "the system killed the runner"), End(False, "too slow")


@dataclass
class Machine:
    """One whose memory ends beyond a side, and which remembers what it was asked."""

    ends: int
    end: End = MEMORY
    asked: list[int] = field(default_factory=list)

    def __call__(self, side: int) -> End | None:
        self.asked.append(side)
        return self.end if side > self.ends else None


@given(
    ends=st.integers(1, 70_000), step=st.sampled_from((1, 2, 16, 32, 48)), first=st.integers(1, 40),
    most=st.integers(1, 65_536),
)  # fmt: skip
def test_the_side_found_was_answered_and_one_little_larger_was_not(ends: int, step: int, first: int, most: int) -> None:
    first *= step
    assume(first <= min(ends, most))
    machine = Machine(ends)
    found = largest.search(machine, first, step, most)
    assert found.side in machine.asked
    assert first <= found.side <= min(ends, most)
    assert all((side - first) % step == 0 and side <= most for side in machine.asked)
    assert all(machine.asked.count(side) == 1 + (side > ends) for side in machine.asked)
    assert found.tried == tuple(machine.asked)
    if found.at_least:
        assert found.side > min(ends, most) - step
        assert max(machine.asked) == found.side
    else:
        too_much = min(side for side in machine.asked if side > ends)
        assert too_much - found.side <= max(step, largest.WITHIN * found.side)


@given(ends=st.integers(128, 65_536))
def test_the_search_takes_few_launches(ends: int) -> None:
    machine = Machine(ends)
    largest.search(machine, 128, 1, 65_536)
    assert len(set(machine.asked)) <= 16


@pytest.mark.parametrize("killed", [128, 256, 512, 768, 688])
def test_one_kill_is_not_taken_for_the_end_of_memory(killed: int) -> None:
    machine, spared = Machine(700), Machine(700)
    left = [killed]

    def answered(side: int) -> End | None:
        if side in left:
            left.remove(side)
            machine.asked.append(side)
            return MEMORY
        return machine(side)

    found, undisturbed = largest.search(answered, 128, 16, 8192), largest.search(spared, 128, 16, 8192)
    assert (found.side, found.at_least) == (undisturbed.side, False)
    assert found.tried == tuple(machine.asked)
    assert found.once == ({killed: MEMORY.words} if killed <= 700 else {})


def test_a_kill_that_did_not_repeat_is_told_with_the_figure(here: HostTransport) -> None:
    left = [256]

    def launched(side: int) -> Reading:
        return dying(255, 137)(left.pop()) if side in left else dying(700, 137)(side)

    found = largest.reading(launched, artifact((3, 128, 128)), 8192, here)
    words = "was too much, twice: the system killed the runner; 256 × 256 was answered at its second try: before, the "
    assert words in found.environment["largest_end"]
    assert found.remark == ""  # which would make the figure a lower bound
    assert found.environment["largest_tried"].startswith("128, 256, 256, 512, 1024, 1024, ")
    assert found.samples[0].value > 680**2


def test_pictures_up_to_the_limit_that_all_fit_give_no_measured_maximum() -> None:
    found = largest.search(Machine(10_000), 128, 16, 1000)
    assert found.at_least
    assert found.side == 992
    assert found.why == "992 × 992 was the largest picture to be tried"


def test_a_launch_that_takes_too_long_ends_the_search_with_what_was_answered_before() -> None:
    slow = Machine(1000, TIME)
    found = largest.search(slow, 128, 16, 8192)
    assert (found.side, found.at_least) == (512, True)
    assert found.why == "1,024 × 1,024 was too much for another reason: too slow"
    assert slow.asked == [128, 256, 512, 1024]


def test_a_network_that_dies_at_the_first_picture_has_no_figure() -> None:
    with pytest.raises(
        RunnerFailed, match="not even a picture of 128 × 128 was answered: the system killed the runner"
    ):
        largest.search(Machine(100), 128, 16, 8192)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DeviceOffline("emulator-5554 is gone")])
def test_an_interrupt_and_a_phone_that_vanishes_end_the_search_at_once(error: BaseException) -> None:
    asked: list[int] = []

    def answered(side: int) -> End | None:
        asked.append(side)
        if side == 512:
            raise error
        return None

    with pytest.raises(type(error)):
        largest.search(answered, 128, 16, 8192)
    assert asked == [128, 256, 512]


# --- launches ------------------------------------------------------------------------------------------------------


def artifact(*shapes: tuple[int, ...], step: int | None = 16) -> Artifact:
    inputs = tuple(Tensor(name=f"in{n}", shape=shape) for n, shape in enumerate(shapes))
    return Artifact(
        model="net", variant="baseline", runtime="ncnn", ordinary=True, files=(), deployed=(), inputs=inputs,
        outputs=(Tensor(name="out0", shape=(2, 4, 4)),), task="segmentation", side_step=step,
    )  # fmt: skip


def printed(*events: object) -> list[str]:
    return [json.dumps(event) for event in ({"event": "environment", "contract": CONTRACT}, *events)]


def answer(side: int) -> Reading:
    return lines.read(printed({"event": "end", "status": "ok", "ns": 1000 * side}), 0)


def dying(beyond: int, status: int, *events: object) -> Callable[[int], Reading]:
    """Launches that leave with that status for pictures beyond a side."""

    def launched(side: int) -> Reading:
        return answer(side) if side <= beyond else lines.read(printed(*events), status)

    return launched


@pytest.fixture
def here(tmp_path: Path) -> HostTransport:
    return HostTransport(tmp_path)


REFUSED = {"event": "error", "kind": "out_of_memory", "message": "no memory"}


@pytest.mark.parametrize(
    ("status", "events", "words"),
    [
        (7, (REFUSED, {"event": "end", "status": "error", "ns": 5}), "the runner was refused the memory"),
        (137, (), "the system killed the runner"),
        (139, (), "the runner ended in a segmentation fault, as programs do that got no memory"),
        (134, (), "the runner ended in an abort, as programs do that got no memory"),
    ],
)
def test_what_ends_a_launch_for_want_of_memory(
    here: HostTransport, status: int, events: tuple[object, ...], words: str
) -> None:
    found = largest.reading(dying(1000, status, *events), artifact((3, 320, 480)), 8192, here)
    (sample,) = found.samples
    assert sample.metric == "largest_picture"
    assert 960**2 <= sample.value <= 1000**2
    assert found.environment["largest_end"].endswith(f"was too much, twice: {words}")
    assert found.environment["largest_tried"].startswith("320, 640, 1280, 1280, ")
    assert found.remark == ""


def test_the_memory_of_the_machine_is_told_with_the_figure(here: HostTransport) -> None:
    facts = largest.reading(dying(1000, 137), artifact((3, 128, 128)), 8192, here).environment
    assert 0 < facts["memory_available"] < facts["memory_total"]


def test_a_figure_that_memory_did_not_limit_says_so(here: HostTransport) -> None:
    found = largest.reading(answer, artifact((3, 128, 128)), 1024, here)
    assert found.samples[0].value == 1024**2
    assert found.remark == "at least, not a measured limit: 1,024 × 1,024 was the largest picture to be tried"


def test_a_deadline_is_no_end_of_memory(here: HostTransport) -> None:
    def launched(side: int) -> Reading:
        if side > 512:
            raise DeadlineExceeded("no end after 300 s")
        return answer(side)

    found = largest.reading(launched, artifact((3, 128, 128)), 8192, here)
    assert found.samples[0].value == 512**2
    assert found.remark == (
        "at least, not a measured limit: 1,024 × 1,024 was too much for another reason: it took longer than "
        "deadline_seconds, so nobody knows what memory it needs"
    )


def test_a_failure_that_no_size_explains_fails_the_trial(here: HostTransport) -> None:
    damaged = {"event": "error", "kind": "bad_weights", "message": "check sum"}
    with pytest.raises(RunnerFailed, match="bad_weights: check sum"):
        largest.reading(dying(300, 5, damaged), artifact((3, 128, 128)), 8192, here)


@pytest.mark.parametrize(
    ("shown", "most", "words"),
    [
        (artifact((1, 28, 28), step=None), 8192, "take pictures of 28×28 alone: they are written for one size"),
        (artifact((3, 64, 64), (3, 64, 64)), 8192, "net does not take one picture, so there is no largest one"),
        (artifact((40,)), 8192, "net does not take one picture"),
        (artifact((3, 320, 480)), 200, "may try sides up to 200, and net begins with 320"),
    ],
)
def test_networks_that_have_no_largest_picture_are_refused_before_anything_is_launched(
    here: HostTransport, shown: Artifact, most: int, words: str
) -> None:
    def launched(side: int) -> Reading:
        raise AssertionError(side)

    with pytest.raises(RunnerFailed, match=re.escape(words)):
        largest.reading(launched, shown, most, here)
