"""`methods` and `sizes` of a case: which variants they stand for, and what is asked of each method."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import compress, plan
from bench.campaign import asked, rivals
from bench.campaign.changes import Changes, changed
from bench.errors import PlanError, UnknownName, UsageError
from bench.plan import Variant

LENET5 = 431_080
CASE = 'name = "a"\n[[cases]]\nmodel = "lenet5"\n'


def variants(text: str, model: str = "lenet5") -> dict[str, Variant]:
    wanted = asked.checked(plan.parse(CASE.replace("lenet5", model) + text, "p"))
    return {variant.label: variant for variant in wanted.plan.cases[0].variants or ()}


def test_every_method_is_there_at_every_size_and_one_without_sizes_once() -> None:
    found = variants('methods = ["all"]\nsizes = ["20x", "16kB"]\n')
    assert next(iter(found)) == "baseline"
    assert {"half", "fr:20x", "fr:16kB", "dense-small:20x", "dense-small:16kB"} <= set(found)
    for variant in found.values():
        assert variant.optional == (variant.method is not None)
    assert found["fr:20x"].shipped == found["dense-small:20x"].shipped == 4 * LENET5 // 20
    assert found["fr:20x"].target == f"{4 * LENET5 // 20}B"
    assert found["dense-small:16kB"].shipped == 16_000
    assert (found["half"].shipped, found["half"].target) == (None, None)
    for name in compress.names():
        if hasattr(compress.method(name), "switches"):
            assert name not in {label.split(":")[0] for label in found}  # it has several sizes at once
            continue
        sized = rivals.takes_bytes(compress.method(name))
        assert {label for label in found if label.split(":")[0] == name} == (
            {f"{name}:20x", f"{name}:16kB"} if sized else {name}
        )


def test_effort_is_the_same_for_what_begins_anew_and_for_what_begins_with_a_trained_network() -> None:
    found = variants('methods = ["all"]\nsizes = ["20x"]\neffort = { epochs = 7, seed = 3 }\n')
    for label, variant in found.items():
        effort = variant.effort
        assert effort.seed == 3, label
        assert effort.fine_tune or effort.epochs == 7, label
        assert effort.fine_tune in (0, 7), label
    assert found["baseline"].effort.epochs == 7
    assert found["fr:20x"].effort.one_shot is False
    default = variants('methods = ["fr"]\nsizes = ["20x"]\n')
    assert default["fr:20x"].effort.epochs == 20


def test_without_data_and_where_it_is_said_networks_are_compressed_as_they_are() -> None:
    for model, text in (("resnet18", ""), ("lenet5", "effort = { one_shot = true }\n")):
        found = variants(f'methods = ["fr"]\nsizes = ["20x"]\n{text}', model)
        assert found["fr:20x"].effort.one_shot is True
        assert (found["fr:20x"].effort.epochs, found["fr:20x"].effort.fine_tune) == (None, 0)


def test_flags_name_methods_instead_of_the_plans_variants() -> None:
    changes = Changes(["lenet5"], methods=["half", "fr"], sizes=["20x"])
    (case,) = asked.checked(changed(plan.suite("quick"), changes)).plan.cases
    assert [variant.label for variant in case.variants or ()] == ["baseline", "half", "fr:20x"]
    (case,) = asked.checked(changed(plan.suite("quick"), changes._replace(variants=["baseline", "fr-auto"]))).plan.cases
    assert [variant.label for variant in case.variants or ()] == ["baseline", "fr-auto", "half", "fr:20x"]
    (case,) = asked.checked(changed(plan.suite("quick"), Changes(["lenet5"], methods=["fr"]))).plan.cases
    assert [variant.label for variant in case.variants or ()][1:] == [f"fr:{size}" for size in rivals.SIZES]
    with pytest.raises(UsageError, match="--method"):
        changed(plan.suite("quick"), Changes(["lenet5"], sizes=["20x"]))


def test_a_plan_that_was_checked_can_be_checked_again() -> None:
    """As a stored run's is, when it is resumed."""
    first = asked.checked(plan.parse(CASE + 'methods = ["all"]\nsizes = ["20x"]\n', "p"))
    again = asked.checked(plan.Plan.model_validate(first.plan.model_dump(mode="json")))
    assert again.plan == first.plan


def test_what_is_none_is_refused_before_anything_is_made() -> None:
    with pytest.raises(UnknownName, match="prun"):
        variants('methods = ["prun"]\n')
    with pytest.raises(UsageError, match="small"):
        variants('methods = ["fr"]\nsizes = ["small"]\n')
    with pytest.raises(PlanError, match="sizes is of variants by `methods`"):
        variants('sizes = ["20x"]\n')
    with pytest.raises(PlanError, match="twice in methods"):
        variants('methods = ["fr", "fr"]\n')


def test_a_network_is_trained_where_its_case_says_so(tmp_path: Path) -> None:
    text = 'arguments = { classes = 43 }\nlearns = true\nmethods = ["fr"]\nsizes = ["20x"]\n'
    wanted = asked.checked(plan.parse(CASE.replace("lenet5", "resnet18") + text + f'data = "{tmp_path}"\n', "p"))
    assert wanted.networks["resnet18"].learns
    (_, fr) = wanted.plan.cases[0].variants or ()
    assert fr.effort.one_shot is False
    with pytest.raises(UsageError, match="no data is named"):
        variants(text, "resnet18")
    with pytest.raises(UsageError, match="has its weights already"):
        variants(f'learns = true\ndata = "{tmp_path}"\n', "unet-small")


def test_what_could_not_be_made_is_no_longer_asked_for() -> None:
    wanted = asked.checked(plan.parse(CASE + 'variants = ["baseline", "half"]\n', "p"))
    (case,) = wanted.without({asked.Absent("lenet5", "half"): "it cannot be"}).plan.cases
    assert [variant.label for variant in case.variants or ()] == ["baseline"]
