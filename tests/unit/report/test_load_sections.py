"""What a report says of goals, of load that goes on and of others at work beside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.caveats import Caveat
from bench.endurance import Contention, Lead, Moment, Sustained, Turn
from bench.findings import Findings, Summary
from bench.records import GoalRecord, Subject
from bench.report import Context, Section, content
from tests.unit.report.report_kit import PHONE, Stored

VIRTUAL = f"{PHONE} (virtual)"


def subject(variant: str, device: str = PHONE) -> Subject:
    return Subject(model="lenet5", variant=variant, device=device, runtime="ncnn")


def goal(ended: Any = "reached", reached: float | None = 0.017, **more: Any) -> GoalRecord:
    values = {"device": PHONE, "runtime": "ncnn", "variant": "half", "launches": 9, "seconds": 12.0} | more
    return GoalRecord(model="lenet5", wanted=0.02, reached=reached, ended=ended, **values)


def loaded(variant: str, **more: Any) -> Sustained:
    """Ten minutes that became half as slow again, from the fourth minute on."""
    windows = tuple(Moment(float(s), 1e6 if s < 180 else 1.5e6) for s in range(600))
    medians = tuple(Moment(60.0 * m, 1e6 if m < 3 else 1.5e6) for m in range(10))
    one = Sustained(subject(variant), 600.0, 60, windows, medians, 1e6, 1.5e6, 1.5, (1.45, 1.55), 3)
    return replace(one, **more)


def ahead(whens: str, first: str, *others: str) -> tuple[Lead, ...]:
    return tuple(Lead(when, subject(first), subject(one)) for when in whens.split() for one in others)  # type: ignore[arg-type]


def contended(variant: str, alone: float, beside: float, **more: Any) -> Contention:
    ratio = beside / alone
    one = Contention(
        subject(variant), alone, beside, (alone, beside), ratio, (0.9 * ratio, 1.1 * ratio), (5, 5), 2, 1, True
    )
    return replace(one, **more)


def sections(stored: Stored, goals: tuple[GoalRecord, ...] = (), **findings: Any) -> dict[str, Section]:
    run = stored.run.model_copy(update={"goals": goals})
    context = Context.of(run, stored.measurements, replace(stored.findings, **findings))
    return {section.id: section for section in content(context)}


def test_a_run_without_them_has_none_of_these_sections(stored: Stored) -> None:
    assert not {"goals", "sustained", "contention"} & set(sections(stored))


def test_a_goal_that_was_reached_is_one_sentence(stored: Stored) -> None:
    found = sections(stored, (goal(), goal(device="desktop", reached=0.004, launches=5)))
    (sentence,) = found["goals"].sentences
    assert sentence.startswith("lenet5")
    assert sentence.endswith("every ratio is known to ± 1.70 % after 5 to 9 launches (wanted: ± 2 %).")


def test_a_goal_that_was_missed_says_where_and_why(stored: Stored) -> None:
    spent, none, failed, interrupted, tagged = sections(
        stored,
        (
            goal("budget", 0.031), goal("launches", None), goal("failed", None), goal("interrupted", 0.05, of="median"),
            goal("tagged", None, reason="4 threads shared 1 core"),
        ),
    )["goals"].sentences  # fmt: skip
    assert f"the budget of 5 min ended with the ratio of half on {VIRTUAL} at ± 3.10 % after 9 launches" in spent
    assert "as many launches as are allowed ended" in none
    assert "no interval at all" in none
    assert f"no ratio on {VIRTUAL} could be narrowed, because its launches failed" in failed
    assert (
        "were all tagged (4 threads shared 1 core), so more would not help: it ended with the ratio of half" in tagged
    )
    assert f"the run was interrupted with the median of half on {VIRTUAL} at ± 5.00 %" in interrupted


def test_throttling_is_said_with_its_minute_ratio_and_interval(stored: Stored) -> None:
    (sentence,) = sections(stored, sustained=(loaded("baseline"),))["sustained"].sentences
    assert f"on {VIRTUAL}, 10 min of load: baseline throttles from minute 4 on" in sentence
    assert "takes 1.50× [1.45–1.55×] as long at the end." in sentence
    assert "ranking" not in sentence


def test_what_bears_the_load_is_said_to(stored: Stored) -> None:
    calm = loaded("half", ratio=1.001, bounds=(0.99, 1.01), throttled=None)
    leads = ahead("cold steady", "half", "baseline")
    (sentence,) = sections(stored, sustained=(loaded("baseline"), calm), leads=leads)["sustained"].sentences
    assert "half does not slow down (1.00× [0.990–1.01×])." in sentence
    assert sentence.endswith("half is the fastest in the first minute and at the end.")


def test_calm_is_said_only_where_it_is_shown(stored: Stored) -> None:
    wide = loaded("half", ratio=1.1, bounds=(0.52, 1.9), throttled=None)
    short = loaded("baseline", ratio=1.5, bounds=None, throttled=None)
    section = sections(stored, sustained=(short, wide))["sustained"]
    assert "whether baseline slows down cannot be told (1.50×, too short for an interval); " in section.sentences[0]
    assert "whether half slows down cannot be told (1.10× [0.520–1.90×])" in section.sentences[0]
    assert "not slow" not in section.sentences[0]
    assert [row[5] for row in section.tables[0].rows] == ["not shown"] * 2
    slower = loaded("half", ratio=1.5, bounds=(1.4, 1.6), throttled=None)
    assert (
        "half takes 1.50× [1.40–1.60×] as long at the end."
        in sections(stored, sustained=(slower,))["sustained"].sentences[0]
    )


def test_nobody_is_ranked_by_figures_that_are_unfit_or_alike(stored: Stored) -> None:
    hot = loaded("baseline", doubts="hot")
    (sentence,) = sections(stored, sustained=(hot, loaded("half")))["sustained"].sentences
    assert "ranking" not in sentence
    assert "fastest" not in sentence
    tie = (loaded("baseline"), loaded("half"))
    (sentence,) = sections(stored, sustained=tie)["sustained"].sentences
    assert sentence.endswith("No variant is clearly ahead, neither in the first minute nor at the end.")
    (sentence,) = sections(stored, sustained=tie, leads=ahead("cold", "half", "baseline"))["sustained"].sentences
    assert sentence.endswith("half is the fastest in the first minute; at the end no variant is clearly ahead.")


def test_nobody_is_ranked_beside_others_by_figures_that_are_unfit_or_alike(stored: Stored) -> None:
    unfit = contended("baseline", 611, 611, doubts="not usable")
    (sentence,) = sections(stored, contention=(unfit, contended("half", 1e6, 1e6)))["contention"].sentences
    assert "fastest" not in sentence
    tie = (contended("baseline", 611, 611), contended("half", 611, 611), unfit)
    (sentence,) = sections(stored, contention=tie)["contention"].sentences
    assert sentence.endswith("No variant is clearly ahead, neither alone nor beside others.")


def test_variants_that_bear_the_load_are_named_together(stored: Stored) -> None:
    calm = {"ratio": 1.001, "bounds": (0.99, 1.01), "throttled": None}
    three = (loaded("baseline"), loaded("half", **calm), loaded("fr-auto", **calm | {"ratio": 1.006}))
    (sentence,) = sections(stored, sustained=three)["sustained"].sentences
    assert "; half and fr-auto do not slow down (at most 1.01×, all intervals within ± 5 %)." in sentence


def test_a_change_without_throttling_is_said_where_it_is_shown(stored: Stored) -> None:
    slow = loaded("half", ratio=1.04, bounds=(1.03, 1.05), throttled=None)
    fast = loaded("baseline", ratio=0.9, bounds=(0.88, 0.92), throttled=None)
    (sentence,) = sections(stored, sustained=(slow, fast))["sustained"].sentences
    assert "half takes 1.04× [1.03–1.05×] as long at the end, which is not throttling" in sentence
    assert "baseline is faster at the end (0.900× [0.880–0.920×] the time)" in sentence


def test_a_flip_of_the_ranking_is_said_in_words(stored: Stored) -> None:
    turn = Turn(subject("baseline"), subject("half"), 1.07, 1.43, called=True)
    both = (loaded("baseline"), loaded("half"))
    (sentence,) = sections(stored, sustained=both, turned=(turn,))["sustained"].sentences
    assert sentence.endswith(
        "The ranking flips: in the first minute baseline is 1.07× faster than half, at the end half is 1.43× faster "
        "than baseline."
    )
    (doubtful,) = sections(stored, sustained=both, turned=(replace(turn, called=False),))["sustained"].sentences
    assert doubtful.endswith("baseline and half have changed places, but by no more than noise explains.")


def test_a_launch_under_bad_conditions_is_not_judged(stored: Stored) -> None:
    hot = loaded("baseline", doubts="the phone throttles for heat (thermal status 2)")
    section = sections(stored, sustained=(hot,))["sustained"]
    assert "baseline cannot be judged (the phone throttles for heat (thermal status 2))" in section.sentences[0]
    assert any(cell.text == "not judged" for cell in section.tables[0].cells[0])


def test_clock_and_heat_are_in_the_table_and_never_of_a_virtual_phone(stored: Stored) -> None:
    traces: dict[str, Any] = {
        "clock": tuple(Moment(float(s), 2.9e9 if s < 5 else 1.9e9) for s in range(10)),
        "skin": tuple(Moment(5.0 * k, 31.0 + k) for k in range(10)),
        "status": (Moment(0, 0), Moment(5, 2)),
    }
    section = sections(stored, sustained=(loaded("baseline", **traces), loaded("half", virtual=True)))["sustained"]
    warm, virtual = section.tables[0].rows
    assert warm[6:] == ("2.90 GHz → 1.90 GHz", "33.0 °C → 38.0 °C", "2 (highest of 0 to 6)")
    assert virtual[6:] == ("virtual", "virtual", "virtual")
    assert "A virtual phone does not become warm" in section.note


def test_translated_times_are_not_shown(stored: Stored) -> None:
    section = sections(stored, sustained=(loaded("baseline", translated=True),))["sustained"]
    assert "mean nothing, because the machine code is translated" in section.sentences[0]
    assert "1.50×" not in str(section.tables[0].rows)


def test_a_picture_says_what_it_shows_in_words_too(stored: Stored) -> None:
    both = (loaded("baseline"), loaded("half", ratio=1.0, steady=1e6, throttled=None), loaded("a<b", translated=True))
    context = Context.of(stored.run, stored.measurements, Findings(sustained=both), pictures=True)
    (picture,) = next(s for s in content(context) if s.id == "sustained").pictures
    assert picture.title.endswith(f"on {VIRTUAL}: one inference under 10 min of load")
    assert "baseline: 1.00 ms cold, 1.50 ms steady (1.50×) and throttled from minute 4 on" in picture.alt
    assert "half: 1.00 ms cold, 1.00 ms steady (1.00×) and not shown to throttle" in picture.alt
    assert "currentColor" in picture.svg
    assert picture.svg.count("<svg") == 1
    assert picture.png.startswith(b"\x89PNG")


def test_suffering_is_said_for_each_variant_and_who_is_the_fastest(stored: Stored) -> None:
    found = (contended("baseline", 1e6, 1.8e6), contended("half", 1.1e6, 1.1e6, called=False))
    leads = (*ahead("alone", "baseline", "half"), *ahead("contended", "half", "baseline"))
    section = sections(stored, contention=found, leads=leads)["contention"]
    (sentence,) = section.sentences
    assert f"on {VIRTUAL}, beside 2 copies of itself and 1 thread of other work: " in sentence
    assert "baseline takes 1.80× [1.62–1.98×] as long on average; half is not shown to suffer (1.00×" in sentence
    assert sentence.endswith("The fastest variant changes: baseline alone, half beside others (1.64× faster).")
    assert section.tables[0].rows[0][2:5] == ("1.00 ms", "1.80 ms", "1.80× (1.62–1.98×)")
    (doubtful,) = sections(stored, contention=found)["contention"].sentences
    assert doubtful.endswith("No variant is clearly ahead, neither alone nor beside others.")


def failure(metric: str) -> Summary:
    text = "failed: killed (SIGKILL): most likely out of memory"
    return Summary(subject("half"), metric, "ns", None, True, False, (Caveat("failed", text),))


def test_what_did_not_last_is_said_with_its_reason(stored: Stored) -> None:
    section = sections(stored, summaries=(*stored.findings.summaries, failure("sustained")))["sustained"]
    assert section.sentences == (
        f"half lenet5 on {VIRTUAL} did not last: failed: killed (SIGKILL): most likely out of memory.",
    )
    assert section.tables == ()


def test_what_could_not_be_measured_beside_others_is_said_too(stored: Stored) -> None:
    summaries = (*stored.findings.summaries, failure("contended"))
    section = sections(stored, summaries=summaries, contention=(contended("baseline", 1e6, 2e6),))["contention"]
    assert section.sentences[1].startswith(
        f"half lenet5 on {VIRTUAL} could not be measured beside others: failed: killed"
    )


def test_the_page_with_all_of_it_is_sound(stored: Stored, tmp_path: Path) -> None:
    from bench.report import html
    from tests.unit.report.report_kit import Checker

    run = stored.run.model_copy(update={"goals": (goal(),)})
    findings = replace(stored.findings, sustained=(loaded("baseline"),), contention=(contended("half", 1e6, 2e6),))
    page = html.write(tmp_path, run, stored.measurements, findings).read_text(encoding="utf-8")
    Checker(page)
    assert 'id="sustained"' in page
    assert (tmp_path / "plots" / "sustained-0.png").is_file()
