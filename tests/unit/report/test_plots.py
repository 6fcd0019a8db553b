"""Plots of stored runs (SYNTHETIC): what they say in words, what they leave out, and what the page gets."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType

from bench.findings import Findings
from bench.report import Context
from bench.report.plots import bars, distributions, memory, pareto, ratios, startup, style, trace
from bench.report.section import Picture
from tests.unit.report.report_kit import PHONE, Stored

PLOTS = (bars, distributions, memory, pareto, ratios, startup)


def context(stored: Stored) -> Context:
    return Context.of(stored.run, stored.measurements, stored.findings, pictures=True)


def drawn(stored: Stored) -> Iterator[tuple[ModuleType, Picture]]:
    found = context(stored)
    for plot in PLOTS:
        for picture in plot.draw(found):
            yield plot, picture


def on_a_clock(stored: Stored, **conditions: object) -> Stored:
    """The same run with a trial every three seconds, on a real phone that reports these conditions."""
    begun = datetime(2026, 11, 26, 12, tzinfo=UTC)
    measurements = tuple(
        m.model_copy(
            update={
                "started": (begun + timedelta(seconds=3 * n)).isoformat(),
                "conditions": m.conditions | conditions,
            }
        )
        for n, m in enumerate(stored.measurements)
    )
    devices = tuple(d.model_copy(update={"virtual": False}) for d in stored.run.devices)
    run = stored.run.model_copy(update={"started": begun.isoformat(), "devices": devices})
    return stored.but(measurements=measurements, run=run, frame=stored.frame.assign(virtual=False))


def test_every_plot_says_in_words_what_it_shows_and_that_a_phone_is_virtual(judged: Stored) -> None:
    found = list(drawn(judged))
    assert {plot for plot, _ in found} == set(PLOTS)
    for plot, picture in found:
        assert picture.alt.startswith(picture.title.split(":")[0])
        assert plot is ratios or "baseline" in picture.alt
    assert all("(virtual)" in picture.alt for plot, picture in found if plot in (memory, startup))
    of_phone = [picture for plot, picture in found if plot in (distributions, pareto) and PHONE in picture.title]
    assert of_phone
    assert all("(virtual)" in picture.title for picture in of_phone)


def test_pictures_can_be_put_into_one_page(judged: Stored) -> None:
    pictures = [picture for _, picture in drawn(judged)]
    assert len({picture.name for picture in pictures}) == len(pictures)
    ids: list[str] = []
    for picture in pictures:
        assert picture.png.startswith(b"\x89PNG")
        assert picture.svg.startswith("<svg")
        assert style.INK not in picture.svg
        assert "currentColor" in picture.svg
        ids += re.findall(r'\bid="([^"]+)"', picture.svg)
    assert len(ids) == len(set(ids))


def test_a_plot_is_drawn_the_same_every_time(judged: Stored) -> None:
    first, second = (distributions.draw(context(judged)) for _ in range(2))
    assert [(p.svg, p.png) for p in first] == [(p.svg, p.png) for p in second]


def test_figures_that_differ_by_more_than_ten_times_are_on_a_logarithmic_axis() -> None:
    assert style.spans([1.0, 10.1])
    assert not style.spans([1.0, 10.0])
    assert not style.spans([])


def test_ticks_are_round_figures_and_no_more_than_there_is_room_for() -> None:
    assert style.log_ticks(0.9, 110, 4) == [1, 10, 100] or style.log_ticks(0.9, 110, 4)[0] == 1
    for low, high in ((1.0, 1.3), (0.5, 2.0), (1e3, 1e9), (2e4, 9e4)):
        found = style.log_ticks(low, high, 5)
        assert 1 <= len(found) <= 7
        assert all(low <= tick <= high for tick in found)
    assert style.tick(10e6, "ns") == "10 ms"
    assert style.tick(1.5, "ratio") == "1.5×"


def test_tagged_launches_are_marked(stored: Stored) -> None:
    (of_phone,) = (p for p in distributions.draw(context(stored)) if p.title.startswith("lenet5 ") and PHONE in p.title)
    assert "1 tagged" in of_phone.alt
    assert "1 tagged (crosses)" in of_phone.svg


def test_times_of_a_translated_phone_are_not_drawn(judged: Stored) -> None:
    devices = tuple(d.model_copy(update={"translated": d.kind == "phone"}) for d in judged.run.devices)
    frame = judged.frame.assign(translated=judged.frame.device == PHONE)
    shown = context(judged.but(run=judged.run.model_copy(update={"devices": devices}), frame=frame))
    assert not any(PHONE in picture.title for picture in distributions.draw(shown))
    assert not any("latency and" in picture.alt for picture in pareto.draw(shown) if PHONE in picture.title)
    (start,) = startup.draw(shown)
    assert "meaningless under translation" in start.alt
    assert trace.draw(shown) == ()


def test_a_ratio_of_launches_that_were_all_tagged_is_drawn_as_not_usable(judged: Stored) -> None:
    latency = judged.frame["pass"] == "latency"
    frame = judged.frame.assign(
        status=judged.frame.status.where(~latency, "tagged"), reason=judged.frame.reason.where(~latency, "hot")
    )
    for picture in ratios.draw(context(judged.but(frame=frame))):
        told = [part for part in re.split(r"[,;] (?=latency)|: (?=latency)", picture.alt) if part.startswith("latency")]
        assert told
        assert all("not usable: " in part for part in told)
        assert picture.svg.count("not usable") >= len(told)
    hot = context(judged.but(frame=frame))
    assert all("not usable" in picture.alt for picture in startup.draw(hot))
    assert "not usable: tagged" in bars.draw(hot)[0].alt
    assert all("not usable" in picture.svg for picture in distributions.draw(hot))


def test_nothing_measured_draws_nothing_but_says_so(stored: Stored) -> None:
    empty = Context.of(stored.run, (), Findings(), pictures=True)
    assert all("Nothing was measured" in picture.alt for picture in bars.draw(empty))
    assert all(plot.draw(empty) == () for plot in (distributions, memory, pareto, ratios, startup, trace))


def test_a_run_in_which_everything_failed_is_drawn_with_reasons(stored: Stored) -> None:
    failed = stored.fail("left with status 7")
    assert "left with status 7" in bars.draw(context(failed))[0].alt
    assert all(plot.draw(context(failed)) == () for plot in (distributions, pareto, trace))


def test_names_from_outside_are_text_and_too_long_ones_are_cut(judged: Stored) -> None:
    name = "<script>alert(1)</script>\u202e" + 60 * "w"
    frame = judged.frame.assign(variant=judged.frame.variant.replace({"fr-auto": name}))
    for _, picture in drawn(judged.but(frame=frame, answers={})):
        assert "<script>" not in picture.svg
        assert "\u202e" not in picture.svg + picture.alt


def test_a_phone_that_reports_heat_and_clocks_has_them_under_its_launches(judged: Stored) -> None:
    (traced,) = trace.draw(context(on_a_clock(judged, skin_celsius=33.5, battery_celsius=30.0)))
    assert "skin from 33.5 °C to 33.5 °C" in traced.alt
    assert "Clocks are not shown: the device reported none." in traced.alt
    assert "Temperatures" not in traced.alt


def test_what_a_virtual_phone_says_of_its_heat_is_not_shown(judged: Stored) -> None:
    run, warm = judged.run, on_a_clock(judged, skin_celsius=33.5)
    (traced,) = trace.draw(context(warm.but(run=warm.run.model_copy(update={"devices": run.devices}))))
    assert "33.5" not in traced.alt
    assert "a virtual phone has none of its own" in traced.alt
