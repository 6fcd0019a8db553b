"""What `bench parity` says, and leaves with: "equal" is only what was compared as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.analyse import ladder
from bench.analyse.ladder import Rung
from bench.campaign.parity import Parity
from bench.cli.parity import status, verdict
from tests.unit.cli.command_kit import Command, command

__all__ = ["command"]

VALUES = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
EQUAL = ladder.layer("conv", "Convolution", VALUES, VALUES, exact=True)
OTHER = ladder.layer("conv", "Convolution", VALUES + 1, VALUES, exact=True)
REFUSED = [
    ladder.unreached("pixels", "decoded", "a JPEG file that is neither grey nor of three colours"),
    ladder.unreached("resized", "shorter side"),
    ladder.unreached("input", "normalised"),
]


def found(*rungs: Rung, modules: tuple[Rung, ...] = ()) -> Parity:
    return Parity("net", "baseline", "ncnn", "emulator-5554", True, "cat.jpg", rungs, modules)


def test_equal_is_where_everything_was_compared() -> None:
    all_equal = found(ladder.file("picture", "a" * 64, "a" * 64), EQUAL)
    assert all_equal.equal
    assert status(all_equal) == 0
    assert verdict(all_equal) == "Equal: no stage differs."


def test_a_picture_that_the_phone_refuses_ends_the_climb_and_is_not_equal() -> None:
    ended = found(*REFUSED, EQUAL, ladder.unreached("answer", "out0 to its own input"))
    assert not ended.equal
    assert status(ended) == 2
    words = verdict(ended)
    assert not words.startswith("Equal")
    assert "the climb ended at the decoded pixels (a JPEG file that is neither grey" in words
    assert words.endswith("not compared: resized, input, answer.")


def test_what_differs_comes_before_what_was_not_compared() -> None:
    both = found(*REFUSED, OTHER)
    assert status(both) == 1
    assert verdict(both).startswith("First differs: the layer conv")
    assert "not compared: resized, input" in verdict(both)


def test_layers_that_a_runtime_does_not_tell_leave_the_verdict_open() -> None:
    silent = found(ladder.unreached("layer", "every layer", "this library does not give the values between its layers"))
    assert status(silent) == 2
    assert "this was not compared: every layer (this library does not give the values" in verdict(silent)


def test_a_module_that_cannot_be_judged_leaves_the_verdict_open() -> None:
    broken = np.full_like(VALUES, np.nan)
    assert status(found(EQUAL, modules=(ladder.compared("module", "block", broken, broken, 0.0),))) == 2


def test_an_answer_that_is_shown_only_is_said_with_the_verdict() -> None:
    shown = Rung("answer", "out0 end to end, against torch", None, (4,), delta=0.5, remark="class 3, and not 2")
    told = found(EQUAL, shown)
    assert status(told) == 0
    assert "is shown and not judged: class 3, and not 2" in verdict(told)


@pytest.mark.parametrize("count", [1, 9])
def test_many_reasons_are_told_in_few_words(count: int) -> None:
    rungs = [ladder.unreached("layer", f"layer {number}", "why") for number in range(count)]
    assert ("and 6 more" in verdict(found(*rungs))) == (count == 9)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("scale=0", "scale: "),
        ("size=0", "size: "),
        ("mean=[1, 2]", "--app-preprocess: mean has 2 numbers"),
        ("deviation=0", "deviation: "),
        ("speed=1", "not KEY=VALUE"),
    ],
)
def test_preprocessing_that_means_nothing_is_refused_before_a_phone_is_looked_for(
    command: Command, tmp_path: Path, given: str, words: str
) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\n\ndef net():\n    return nn.Conv2d(3, 4, 3)\n")
    Image.new("RGB", (9, 9)).save(tmp_path / "p.png")
    done = command(
        "parity", f"{tmp_path / 'net.py'}:net", tmp_path / "p.png", "--input", "3x8x8", "--app-preprocess", given,
        results=False,
    )  # fmt: skip
    assert done.status == 2
    assert words in done.stderr
    assert "list" not in done.stderr
