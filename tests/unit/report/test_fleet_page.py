"""The page of several runs: what is not usable is marked wherever it is shown."""

from bench.findings import Interval
from bench.fleet import Figure, Standing
from bench.records import Subject
from bench.report import fleet


def standing(variant: str, **figures: Figure) -> Standing:
    subject = Subject.model_validate({"model": "lenet5", "variant": variant, "device": "SERIAL", "runtime": "ncnn"})
    return Standing(
        "night", "2026-11-26T12:00:00+00:00", "", subject, "Phone", "Android 14", False, False, variant == "baseline",
        figures,
    )  # fmt: skip


ONE = "1 launch, so no interval"
FOUND = (
    standing("baseline", latency=Figure(1e6, launches=1, doubt=ONE), vm_hwm=Figure(4e6), deployed=Figure(8.65e6)),
    standing(
        "fr-auto", latency=Figure(5e5, launches=1, doubt=ONE), deployed=Figure(1e4, ratio=865.0, called=True),
        vm_hwm=Figure(2e6, Interval(2e6, 2e6, ""), 3, ratio=1.94, called=True),
    ),
)  # fmt: skip


def test_the_sentence_says_what_was_compared_and_why_latency_was_not() -> None:
    (sentence,) = fleet.sections(FOUND, pictures=False)[1].sentences
    assert sentence == (
        f"lenet5: latency is not compared ({ONE}); at best peak RSS 1.94× less with fr-auto and "
        "bytes deployed 865× less with fr-auto."
    )


def test_a_row_with_a_figure_that_is_not_usable_is_not_called_comparable() -> None:
    (table,) = fleet.sections(FOUND, pictures=False)[2].tables
    assert {row[-1] for row in table.rows} == {f"latency not usable: {ONE}"}


def test_the_plot_says_which_times_are_not_usable() -> None:
    (picture,) = fleet.sections(FOUND)[3].pictures
    assert picture.alt.count("not usable") == 2
