"""Plans: what is accepted, what it means, and that a refusal names the line and the key."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import plan
from bench.errors import CorruptData, PlanError, UnknownName
from bench.plan import Plan, Variant
from bench.records import RunRecord

MINIMAL = 'name = "a"\n[[cases]]\nmodel = "lenet5"\n'


def case(text: str) -> plan.Case:
    """The only case of a plan, with these lines in it."""
    (found,) = plan.parse(MINIMAL + text, "p").cases
    return found


@pytest.mark.parametrize("name", plan.suites())
def test_every_shipped_suite_is_a_plan(name: str) -> None:
    assert plan.suite(name).name == name


def test_an_unknown_suite_offers_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        plan.suite("quik")
    assert "Did you mean quick?" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (MINIMAL + "lunches = 3\n", "p:4: cases.[0].lunches: unknown key"),
        ('name = "a"\n\n[protocol]\nlaunches = 0\n[[cases]]\nmodel = "x"\n', "p:4: protocol.launches:"),
        (MINIMAL + '[[cases]]\nmodel = "unet"\n\n[cases.protocol]\nseeed = 1\n', "p:8: cases.[1].protocol.seeed:"),
        ('name = "a"\ncases = []\n', "p:2: cases:"),
        (MINIMAL + '[[cases]]\nmodel = "lenet5"\n', "p:2: cases: lenet5 appears twice in cases; give one of them a"),
        (MINIMAL + 'variants = ["half", "half"]\n', "half appears twice in variants"),
        (MINIMAL + "variants = []\n", "p:4: cases.[0].variants:"),
        (MINIMAL + "variants = [{}]\n", "a variant has a name (baseline, fr-resident, …) or a method"),
        (MINIMAL + 'variants = ["fr@"]\n', "'fr@' has no width after its @"),
        (MINIMAL + 'variants = [{ name = "fr@1/4", width = "1/2" }]\n', "`width` is given too"),
        (MINIMAL + 'variants = ["fr@2"]\n', "'2' is not a width; write a part of the channels"),
        (MINIMAL + "[[cases.variants]]\nname = 'fr'\nwidth = 0\n", "p:6: cases.[0].variants.[0].width: '0' is not a"),
        (MINIMAL + "[[cases.variants]]\nname = 'fr'\n[cases.variants.width]\na = 3\n", "'3' is not a width"),
        (MINIMAL + 'variants = ["fr:"]\n', "'fr:' has no target after its colon"),
        (MINIMAL + 'label = "a/b"\n', "p:4: cases.[0].label:"),
        (MINIMAL + 'cores = "big; reboot"\n', "p:4: cases.[0].cores:"),
        (MINIMAL + 'input = "3x-2"\n', "'3x-2' is not a shape; write e.g. 3x224x224"),
        (MINIMAL + "input = {a = 1}\n", "p:4: cases.[0].input:"),
        (MINIMAL + "threads = [1, 1]\n", "1 appears twice in threads"),
        (MINIMAL + "threads = [0]\n", "p:4: cases.[0].threads.[0]:"),
        (MINIMAL + "threads = [-1]\n", "p:4: cases.[0].threads.[0]:"),
        (MINIMAL + "threads = [1_000_000_000]\n", "p:4: cases.[0].threads.[0]:"),
        (MINIMAL + "threads = []\n", "p:4: cases.[0].threads:"),
        (MINIMAL + "[protocol]\nmin_seconds = inf\n", "p:5: protocol.min_seconds:"),
        (MINIMAL + "[protocol]\ndeadline_seconds = nan\n", "p:5: protocol.deadline_seconds:"),
        (MINIMAL + "[protocol]\nmin_iterations = 50\nmax_iterations = 3\n", "p:4: protocol: min_iterations"),
        (MINIMAL + "[protocol]\ndeadline_seconds = 1\n", "within deadline_seconds, 1"),
        ("schema_version = 3\n" + MINIMAL, "p:1: schema_version:"),
        ('schema_version = 1\nname = "a"\ncases = 3\n', "p:3: cases:"),
        ("schema_version = 1\ndesktop = 3\n" + MINIMAL, "p:2: desktop:"),
        ('name = "../etc"\n[[cases]]\nmodel = "x"\n', "p:1: name:"),
    ],
)  # fmt: skip
def test_a_refusal_names_line_and_key(text: str, where: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan.parse(text, "p")
    assert where in caught.value.what


def test_one_mistake_is_reported_once() -> None:
    with pytest.raises(PlanError) as caught:
        plan.parse(MINIMAL + "threads = [0]\n", "p")
    assert len(caught.value.what.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "a"\n= 3\n', "line 2"),
        ("x = " + "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        (MINIMAL + "[cases.arguments]\nx = " + "[" * 300 + "]" * 300, "nested more than 32 deep"),
        (MINIMAL + f"[cases.arguments]\nx = 0x{'f' * 6000}\n", "does not fit in 64 bits"),
        (f'name = "a"\nx = {"1" * 5000}\n', "5000 digits"),
        ("\0", "line 1"),
    ],
    ids=["broken", "deep", "deep arguments", "wide number", "long number", "nul"],
)
def test_what_is_not_toml_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        plan.parse(text, "p")


def test_too_many_variants_are_refused() -> None:
    names = ",".join(f"'fr:{coefficients}'" for coefficients in range(2, 20_000))
    with pytest.raises(PlanError, match="at most 100 of them can be named"):
        plan.parse(f"{MINIMAL}variants = [{names}]\n", "p")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "model", "method", "target", "variants", "input", "threads", "data", "coefficients"]),
        inner, max_size=3,
    ), max_leaves=12,
), st.sampled_from(["cases", "desktop", "protocol", "schema_version"]), st.sampled_from([1, 2]))  # fmt: skip
def test_any_value_anywhere_is_a_plan_or_a_refusal(value: Any, key: str, schema: int) -> None:
    values = {"schema_version": schema, "name": "a", "cases": [{"model": "m"}]} | {key: value}
    record = RunRecord(
        id="r", name="r", started="", bench_version="0", versions={}, toolchain={}, reference="torch", plan=values,
        devices=(), artifacts=(),
    )  # fmt: skip
    with contextlib.suppress(CorruptData):
        plan.of_run(record)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(MINIMAL, encoding="utf-8-sig")
    assert plan.load(path).name == "a"


def test_a_file_that_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path):
        with pytest.raises(PlanError, match="it is not an ordinary file"):
            plan.load(path)


def test_a_file_that_cannot_be_a_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"#" * (plan.MAX_BYTES + 1))
    (tmp_path / "latin").write_bytes('name = "é"'.encode("latin-1"))
    for name, words in (("large", "more than"), ("latin", "not text in UTF-8"), ("none", "No such file")):
        with pytest.raises(PlanError, match=words):
            plan.load(tmp_path / name)


# --- variants and labels ----------------------------------------------------------------------------------------------


def test_a_variant_is_a_short_name_or_a_description() -> None:
    short, full = case('variants = ["fr-auto:20x", {method = "fr", execution = "auto", target = "9x"}]').variants or ()
    assert (short.name, short.target, short.label) == ("fr-auto", "20x", "fr-auto:20x")
    assert (full.name, full.method, full.execution, full.target) == (None, "fr", "auto", "9x")
    assert full.label == "fr-auto:9x"


def test_one_method_may_come_several_times() -> None:
    found = case(
        'variants = ["fr:20x", "fr:100x", {name = "fr", target = "20x", precision = "bf16"},'
        ' {name = "fr", target = "20x", effort = {seed = 2}, label = "other-seed"}]\n'
    )
    assert [v.label for v in found.variants or ()] == ["fr:20x", "fr:100x", "fr:20x:bf16", "other-seed"]


def test_one_network_may_come_twice_under_two_labels() -> None:
    found = plan.parse(MINIMAL + '[[cases]]\nmodel = "lenet5"\nlabel = "again"\nthreads = [2]\n', "p")
    assert [c.label for c in found.cases] == ["lenet5", "again"]


@pytest.mark.parametrize(
    ("reference", "label"),
    [
        ("lenet5", "lenet5"), ("net.py:build", "net"), ("a/b/net.py:small", "net-small"),
        ("pkg.nets:Tiny", "nets-Tiny"), ("weights/my net.onnx", "my_net"), ("ü.pt2", "network"), ("x" * 200, "x" * 60),
    ],
)  # fmt: skip
def test_a_network_without_a_label_gets_one_from_its_reference(reference: str, label: str) -> None:
    assert plan.Case(model=reference).label == label


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_label_can_be_part_of_an_id(name: str, target: str) -> None:
    label = Variant(name=name, target=target).label
    assert "/" not in label
    assert label.isascii()
    assert label.isprintable()


def test_plans_of_schema_1_are_those_of_today() -> None:
    old = plan.parse(
        'schema_version = 1\nname = "a"\ndesktop = ["native"]\n'
        '[[cases]]\nmodel = "lenet5"\ncoefficients = 400\n'
        '[[cases]]\nmodel = "unet"\nvariants = ["baseline", "fr-resident"]\ncoefficients = 759\n', "p",
    )  # fmt: skip
    lenet, unet = old.cases
    assert old.desktop == ("ncnn",)
    assert [(v.name, v.target) for v in lenet.variants or ()] == [
        ("baseline", None), ("fr-dense", "400"), ("fr-factored", "400")
    ]  # fmt: skip
    assert [(v.label, v.target) for v in unet.variants or ()] == [("baseline", None), ("fr-resident", "759")]
    assert Plan.model_validate(old.model_dump(mode="json")) == old


def test_a_width_stands_behind_an_at_sign() -> None:
    found = case('variants = ["fr-resident@1/4", "fr-auto:20x@0.5", "fr@auto"]\n').variants or ()
    assert [(v.name, v.target, v.width, v.label) for v in found] == [
        ("fr-resident", None, "1/4", "fr-resident@0.25"), ("fr-auto", "20x", "1/2", "fr-auto:20x@0.5"),
        ("fr", None, "auto", "fr@auto"),
    ]  # fmt: skip


def test_a_name_in_a_table_may_have_its_width_too() -> None:
    (found,) = case('variants = [{ name = "nested@1/5", target = "16x:5" }]\n').variants or ()
    assert (found.name, found.target, found.width) == ("nested", "16x:5", "1/5")


def test_a_variant_is_known_by_what_a_person_types_for_it() -> None:
    typed = ("nested:16x:5@1/5", "nested:4x:3@1/3", "fr-resident@0.250", "baseline", "no variant @ all")
    assert [plan.label_typed(one) for one in typed] == [
        "nested:16x:5@0.2", "nested:4x:3@0.3333", "fr-resident@0.25", "baseline", "no variant @ all",
    ]  # fmt: skip


def test_layers_have_widths_in_a_table_and_the_stored_plan_has_them() -> None:
    text = '[[cases.variants]]\nname = "fr"\n[cases.variants.width]\n"inc.0" = 0.5\n"down1.0" = "1/8"\n'
    (variant,) = case(text).variants or ()
    assert (variant.width, variant.label) == ({"inc.0": "1/2", "down1.0": "1/8"}, "fr@layers")
    assert Variant.model_validate_json(variant.model_dump_json()) == variant
