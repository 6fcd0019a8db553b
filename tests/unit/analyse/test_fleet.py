"""Runs beside each other: what is computed of each, and what forbids to compare them."""

from dataclasses import replace

import pytest

from bench.analyse.fleet import Run, fleet
from bench.analyse.series import Series
from bench.fleet import Standing
from bench.records import Subject

SAME = {
    "inputs": "1x28x28",
    "samples": "a",
    "protocol": "p",
    "cores": "any",
    "os": "Android 14",
    "device_name": "Phone",
}


def series(
    metric: str, values: list[float], variant: str = "baseline", *, device: str = "SERIAL", virtual: bool = False,
    unusable: str = "", precision: str = "fp32", **conditions: str,
) -> Series:  # fmt: skip
    subject = Subject.model_validate(
        {"model": "net", "variant": variant, "device": device, "runtime": "ncnn", "precision": precision}
    )
    return Series(
        subject, metric, ("key",), ("folder",), dict(enumerate(values)), 0, "", unusable, virtual, False,
        variant == "baseline", SAME | conditions,
    )  # fmt: skip


def run(name: str, *found: Series) -> Run:
    return Run(name, "2026-11-26T12:00:00+00:00", "", found)


def standing(found: tuple[Standing, ...], name: str, variant: str = "baseline") -> Standing:
    (one,) = (one for one in found if (one.run, one.subject.variant) == (name, variant))
    return one


SLOW, FAST = [1e6, 1.01e6, 0.99e6, 1e6, 1.02e6], [5e5, 5.1e5, 4.9e5, 5e5, 5.05e5]


def test_a_variant_has_its_ratio_to_the_ordinary_network_of_its_own_run() -> None:
    found = fleet(
        [
            run("a", series("latency", SLOW), series("latency", FAST, "fr-auto")),
            run("b", series("latency", FAST), series("latency", SLOW, "fr-auto")),
        ]
    )
    faster, slower = (standing(found, name, "fr-auto").figures["latency"] for name in "ab")
    assert faster.ratio == pytest.approx(2.0)
    assert slower.ratio == pytest.approx(0.5)
    assert faster.called
    assert slower.called
    assert faster.within is not None
    assert faster.within.low < 2 < faster.within.high
    assert standing(found, "a").figures["latency"].ratio is None


def test_a_difference_within_the_noise_is_not_called() -> None:
    near = [value * 1.01 for value in SLOW]
    (found,) = (
        one for one in fleet([run("a", series("latency", SLOW), series("latency", near, "half"))]) if not one.ordinary
    )
    assert not found.figures["latency"].called


@pytest.mark.parametrize(
    ("condition", "metric", "apart"),
    [
        ({"samples": "b"}, "top1", "other samples"),
        ({"samples": "b"}, "latency", ""),
        ({"protocol": "q"}, "latency", "another protocol"),
        ({"protocol": "q"}, "top1", ""),
        ({"cores": "big"}, "latency", "other cores"),
        ({"inputs": "3x64x64"}, "vm_hwm", "other input shapes"),
        ({"protocol": "q"}, "deployed", ""),
    ],
)
def test_what_differs_from_the_first_run_forbids_to_compare(condition: dict[str, str], metric: str, apart: str) -> None:
    found = fleet(
        [
            run("a", series("latency", SLOW), series(metric, SLOW)),
            run("b", series("latency", SLOW, **condition), series(metric, SLOW, **condition)),
        ]
    )
    assert standing(found, "a").figures[metric].apart == ""
    assert standing(found, "b").figures[metric].apart == apart


def test_another_precision_and_a_virtual_phone_are_not_compared() -> None:
    found = fleet(
        [
            run("a", series("latency", SLOW)),
            run("b", series("latency", SLOW, precision="fp16s")),
            run("c", series("latency", SLOW, device="emulator-5554", virtual=True)),
        ]
    )
    assert standing(found, "b").figures["latency"].apart == "fp16s instead of fp32"
    assert standing(found, "c").figures["latency"].apart == "a virtual phone against a real one"


def test_a_figure_that_is_not_usable_has_no_ratio_and_says_why() -> None:
    found = fleet(
        [run("a", series("latency", SLOW), series("latency", FAST, "fr-auto", unusable="accuracy pass failed"))]
    )
    figure = standing(found, "a", "fr-auto").figures["latency"]
    assert figure.ratio is None
    assert figure.doubt == "accuracy pass failed"


def test_a_score_has_a_difference_and_bytes_an_exact_ratio() -> None:
    found = fleet(
        [
            run(
                "a",
                series("latency", SLOW),
                series("latency", SLOW, "half"),
                series("top1", [0.98]),
                series("top1", [0.95], "half"),
                series("deployed", [2000.0]),
                series("deployed", [1000.0], "half"),
            )
        ]
    )
    half = standing(found, "a", "half").figures
    assert half["top1"].difference == pytest.approx(-0.03)
    assert (half["deployed"].ratio, half["deployed"].within, half["deployed"].called) == (2.0, None, True)


def test_latency_of_fewer_than_three_launches_is_not_usable_and_has_no_ratio() -> None:
    found = fleet([run("a", series("latency", SLOW), series("latency", FAST[:1], "fr-auto"))])
    figure = standing(found, "a", "fr-auto").figures["latency"]
    assert figure.doubt == "1 launch, so no interval"
    assert figure.ratio is None
    found = fleet([run("a", series("latency", SLOW[:2]), series("latency", FAST, "fr-auto"))])
    assert standing(found, "a").figures["latency"].doubt == "2 launches, so no interval"
    assert standing(found, "a", "fr-auto").figures["latency"].ratio is None, "the other side is not usable"


def test_memory_and_scores_need_no_three_launches() -> None:
    found = fleet([run("a", series("latency", SLOW), series("vm_hwm", [4e6]), series("top1", [0.9]))])
    assert [standing(found, "a").figures[metric].doubt for metric in ("vm_hwm", "top1")] == ["", ""]


def test_a_figure_whose_launches_were_all_tagged_is_there_with_the_reason() -> None:
    tagged = replace(series("latency", []), left_out=3, why="hot: 48 °C", tagged=(9e5, 1e6, 2e6))
    found = fleet([run("a", tagged, series("latency", FAST, "fr-auto"))])
    figure = standing(found, "a").figures["latency"]
    assert (figure.value, figure.launches, figure.doubt) == (1e6, 0, "3 of 3 launches tagged: hot: 48 °C")
    assert standing(found, "a", "fr-auto").figures["latency"].ratio is None


def test_too_few_launches_beside_tagged_ones_are_not_usable() -> None:
    """As the run's own report has it: with two good launches the tagged one is not left out."""
    found = fleet([run("a", replace(series("latency", SLOW[:2]), left_out=1, why="hot", tagged=(1e6,)))])
    assert standing(found, "a").figures["latency"].doubt == "1 of 3 launches tagged: hot"
