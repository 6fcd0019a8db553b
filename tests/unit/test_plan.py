"""Plans: what is accepted, and that a refusal names the line and the key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import campaign, plan
from bench.errors import PlanError, UnknownName, UsageError
from bench.measure import order

MINIMAL = 'name = "a"\n[[cases]]\nmodel = "lenet5"\n'


@pytest.mark.parametrize("name", plan.suites())
def test_every_shipped_suite_is_a_plan(name: str) -> None:
    assert plan.suite(name).name == name


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (MINIMAL + "lunches = 3\n", "p:4: cases.[0].lunches: unknown key"),
        ('name = "a"\n\n[protocol]\nlaunches = 0\n[[cases]]\nmodel = "x"\n', "p:4: protocol.launches:"),
        (MINIMAL + '[[cases]]\nmodel = "unet"\n\n[cases.protocol]\nseeed = 1\n', "p:8: cases.[1].protocol.seeed:"),
        ('name = "a"\ncases = []\n', "p:2: cases:"),
        (MINIMAL + '[[cases]]\nmodel = "lenet5"\n', "p:2: cases: Value error, lenet5 stands there twice"),
        ('name = "../etc"\n[[cases]]\nmodel = "x"\n', "p:1: name:"),
    ],
)
def test_a_refusal_names_line_and_key(text: str, where: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan.parse(text, "p")
    assert where in caught.value.what


def test_broken_toml_names_the_line() -> None:
    with pytest.raises(PlanError, match="line 2"):
        plan.parse('name = "a"\n= 3\n', "p")


def test_an_unknown_suite_offers_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        plan.suite("quik")
    assert "Did you mean quick?" in caught.value.fix


def test_an_unknown_variant_offers_the_nearest() -> None:
    wanted = plan.narrowed(plan.parse(MINIMAL, "p"), variants=["fr-dens"])
    with pytest.raises(UnknownName, match="fr-dens") as caught:
        campaign.checked(wanted)
    assert "fr-dense" in caught.value.fix


def test_a_variant_that_a_plan_does_not_have_can_be_asked_for() -> None:
    wanted = campaign.checked(plan.narrowed(plan.parse(MINIMAL, "p"), variants=["fr-auto"]))
    assert [case.variants for case in wanted.cases] == [("fr-auto",)] * len(wanted.cases)


def test_flags_narrow_a_plan() -> None:
    narrow = plan.narrowed(plan.suite("demo"), ["lenet5"], ["baseline"], [1, 2], 7)
    (case,) = narrow.cases
    assert (case.model, case.variants, case.threads, narrow.protocol.launches) == ("lenet5", ("baseline",), (1, 2), 7)


def test_weights_are_of_one_network() -> None:
    wanted = plan.narrowed(plan.suite("demo"), ["unet"], weights=Path("my.frq"))
    assert [case.weights for case in wanted.cases] == [Path("my.frq")]
    with pytest.raises(UsageError, match="of one network, the plan has lenet5, unet"):
        plan.narrowed(plan.suite("demo"), weights=Path("my.frq"))


PLACES = (order.Place("phone", "native"), order.Place("desktop", "native"), order.Place("desktop", "torch"))


@given(
    launches=st.integers(1, 6),
    reference=st.integers(1, 4),
    threads=st.lists(st.integers(1, 8), min_size=1, max_size=2, unique=True),
    seed=st.integers(0, 2**32),
)
def test_order_is_a_complete_seeded_interleaving(launches: int, reference: int, threads: list[int], seed: int) -> None:
    wanted = plan.Plan(
        name="a",
        cases=(plan.Case(model="m", threads=tuple(threads)),),
        protocol=plan.Protocol(launches=launches, reference_launches=reference, seed=seed),
    )
    trials = order.trials(wanted, PLACES)
    assert trials == order.trials(wanted, PLACES)
    assert [t.order for t in trials] == list(range(len(trials)))
    assert len({t.id for t in trials}) == len(trials)
    timed = [t for t in trials if t.pass_ == "latency"]
    assert len(timed) == 3 * len(threads) * (2 * launches + reference)
    # No launch of a later round comes before one of an earlier round.
    assert [t.launch for t in timed] == sorted(t.launch for t in timed)


def test_the_seed_changes_the_order() -> None:
    orders = {
        tuple(
            (t.variant, t.device, t.runtime)
            for t in order.trials(
                plan.Plan(name="a", cases=(plan.Case(model="m"),), protocol=plan.Protocol(seed=seed)), PLACES
            )
        )
        for seed in range(4)
    }
    assert len(orders) > 1
