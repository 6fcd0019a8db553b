"""What flags change of a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import plan, runtimes
from bench.campaign.changes import Changes, changed
from bench.errors import UnknownName, UsageError


def test_flags_narrow_a_plan() -> None:
    narrow = changed(plan.suite("demo"), Changes(["lenet5"], ["baseline"], threads=[1, 2], protocol={"launches": 7}))
    (only,) = narrow.cases
    assert (only.model, [v.label for v in only.variants or ()], only.threads) == ("lenet5", ["baseline"], (1, 2))
    assert narrow.protocol_for("lenet5").launches == 7


def test_a_network_is_named_by_its_label_or_by_its_reference() -> None:
    found = plan.parse(
        'name = "a"\n[[cases]]\nmodel = "lenet5"\n[[cases]]\nmodel = "lenet5"\nlabel = "again"\nthreads = [2]\n', "p"
    )
    assert changed(found, Changes(models=["again"])).cases[0].threads == (2,)
    assert len(changed(found, Changes(models=["lenet5"])).cases) == 2


def test_launches_by_flag_count_for_a_network_with_a_protocol_of_its_own() -> None:
    made = changed(plan.suite("demo"), Changes(protocol={"launches": 7}))
    assert {made.protocol_for(c.label).launches for c in made.cases} == {7}
    assert made.protocol_for("unet").min_iterations == plan.suite("demo").protocol_for("unet").min_iterations


def test_flags_name_a_network_that_the_plan_lacks() -> None:
    made = changed(
        plan.suite("quick"),
        Changes(["net.py:build"], weights=Path("s.pt"), input=["3x8x8"], data=Path("d"), samples=5, label="mine"),
    )
    (only,) = made.cases
    assert (only.label, only.weights, made.name) == ("mine", Path("s.pt"), "mine")
    assert [tensor.shape for tensor in only.input or ()] == [(3, 8, 8)]
    assert only.data is not None
    assert (only.data.path, only.data.samples) == (Path("d"), 5)


def test_what_belongs_to_one_network_is_refused_for_several() -> None:
    wanted = changed(plan.suite("demo"), Changes(["unet"], weights=Path("my.frq")))
    assert [c.weights for c in wanted.cases] == [Path("my.frq")]
    with pytest.raises(UsageError, match="--weights is for one network, and the plan has lenet5, unet"):
        changed(plan.suite("demo"), Changes(weights=Path("my.frq")))


@pytest.mark.parametrize(
    "changes",
    [
        Changes(threads=[0]), Changes(threads=[1, 1]), Changes(precision=["fp64"]), Changes(input=["1xx2"]),
        Changes(variants=["half", "half"]), Changes(models=["unet", "unet"]), Changes(label="a b"),
        Changes(cores="fast"),
    ],
)  # fmt: skip
def test_a_flag_that_no_plan_could_hold_is_refused(changes: Changes) -> None:
    with pytest.raises(UsageError):
        changed(plan.suite("quick"), changes)


def test_data_by_flag_is_for_all_networks_of_a_plan_that_shows_them_the_same() -> None:
    made = changed(plan.suite("signs"), Changes(data=Path("signs.npz"), samples=9))
    assert len(made.cases) == 4
    assert {(c.data.path, c.data.samples) for c in made.cases if c.data} == {(Path("signs.npz"), 9)}
    assert all(c.data.preprocess.mean == (0.3418, 0.3126, 0.3224) for c in made.cases if c.data and c.data.preprocess)
    with pytest.raises(UsageError, match="--weights is for one network"):
        changed(plan.suite("signs"), Changes(weights=Path("w.pt")))
    with pytest.raises(UsageError, match="--data is for one network"):
        changed(plan.suite("signs"), Changes(models=["signs", "lenet5"], data=Path("signs.npz")))


def test_a_runtime_by_flag_takes_the_place_of_the_old_one_on_this_computer_too() -> None:
    text = 'name = "a"\n[[cases]]\nmodel = "lenet5"\n[[cases]]\nmodel = "vdsr"\ndesktop = ["ncnn"]\n'
    made = changed(plan.parse(text, "p"), Changes(runtimes=("onnxruntime",)))
    assert made.runtime == "onnxruntime"
    assert [made.desktop_for(case) for case in made.cases] == [("torch", "onnxruntime"), ("onnxruntime",)]


def test_several_runtimes_by_flag_are_measured_on_phones_and_here_beside_the_reference() -> None:
    made = changed(plan.suite("quick"), Changes(runtimes=("ncnn", "onnxruntime")))
    assert made.runtimes == ("ncnn", "onnxruntime")
    assert made.desktop == ("torch", "ncnn", "onnxruntime")
    every = changed(plan.suite("quick"), Changes(runtimes=("all",))).runtimes
    assert {"ncnn", "onnxruntime"} <= set(every)
    assert "torch" not in every or "phone" in runtimes.runtime("torch").places
    with pytest.raises(UnknownName, match="tflow"):
        changed(plan.suite("quick"), Changes(runtimes=("ncnn", "tflow")))
