"""How a score reads: the total or why there is none, what is virtual, what is a bound."""

from __future__ import annotations

from dataclasses import replace

from bench.findings import Findings, Summary
from bench.records import Device, RunRecord, Subject
from bench.report import Context, Section
from bench.report.sections import score
from bench.scored import Points, Reference, Score, Scores
from bench.scored import Section as Part

PHONE = Device(serial="phone1", kind="phone", name="A phone", os="Android 14", abis=("x86_64",), virtual=True)
RUN = RunRecord(
    id="r", name="ai", started="2026-11-26T00:00:00+00:00", bench_version="0", versions={}, toolchain={},
    reference="torch", plan={"name": "ai", "cases": [{"model": "vdsr"}]}, devices=(PHONE,), artifacts=(),
)  # fmt: skip
SPEED = Points("image-to-image", "vdsr", "latency", "baseline", 4e8, 2e8, 1.0, 0.891, 1782.0)
SIDE = Points("memory", "vdsr", "largest_picture", "baseline", 1e6, 4e6, points=4000.0)
WHOLE = Score(
    "ordinary", "phone1", "ncnn", 1, "fp32", True,
    (Part("image-to-image", (SPEED,), 1782.0), Part("memory", (SIDE,), 4000.0)), 2670.0,
)  # fmt: skip
REFERENCE = Reference("virtual Pixel 8", True, "2026-11-26", "abc1234")


def shown(*totals: Score, notes: tuple[str, ...] = ()) -> Section:
    subject = Subject(model="vdsr", variant="baseline", device="phone1", runtime="ncnn")
    summary = Summary(subject, "latency", "ns", None, True, False, ())
    findings = Findings((summary,), scores=Scores(REFERENCE, totals, (SPEED, SIDE), notes))
    found = score.section(Context.of(RUN, (), findings))
    assert found is not None
    return found


def rows(section: Section) -> list[tuple[str, ...]]:
    return list(section.tables[0].rows)


def test_the_total_is_said_with_where_and_what() -> None:
    found = shown(WHOLE, replace(WHOLE, kind="compressed", total=5000.0))
    assert found.sentences == (
        "phone1 (virtual) scores 2,670 points with ordinary networks.",
        "phone1 (virtual) scores 5,000 points with the best variant of each network that keeps 98 % of its score.",
    )
    assert "1,000 points in every test are what the virtual Pixel 8 had on 2026-11-26 (commit abc1234)" in found.note
    assert "which is no phone" in found.note
    assert [table.title for table in found.tables] == [
        "Score of phone1 (virtual), ordinary networks",
        "Score of phone1 (virtual), best compressed variants",
    ]


def test_a_row_says_what_was_measured_lost_and_won() -> None:
    first, second, *_ = rows(shown(WHOLE))
    assert first == (
        "image-to-image", "vdsr, latency", "baseline", "400 ms", "200 ms", "1.00 points (× 0.891)", "1,782",
    )  # fmt: skip
    assert second[0] == "image-to-image, together"
    assert rows(shown(WHOLE))[-1][0::6] == ("total", "2,670")
    assert ("memory", "vdsr, largest picture", "baseline", "1,000 × 1,000", "2,000 × 2,000", "none", "4,000") in rows(
        shown(WHOLE)
    )


def test_a_bound_is_said_to_be_one() -> None:
    bound = replace(WHOLE, sections=(Part("memory", (replace(SIDE, bound=True),), 4000.0),))
    found = shown(bound)
    assert found.sentences == ("phone1 (virtual) scores at least 2,670 points with ordinary networks.",)
    assert rows(found)[0][4] == "at least 2,000 × 2,000"


def test_without_a_total_the_reasons_stand_in_its_place() -> None:
    gone = replace(SPEED, measured=None, points=None, why="latency of baseline vdsr is not usable: tagged")
    partly = Score(
        "ordinary", "phone1", "ncnn", 1, "fp32", True,
        (Part("image-to-image", (gone,), None), Part("memory", (SIDE,), 4000.0)), None,
        (gone.why, "a", "b", "c", "d"),
    )  # fmt: skip
    found = shown(partly)
    assert found.sentences == (
        "phone1 (virtual) has no total with ordinary networks: latency of baseline vdsr is not usable: tagged; a; b; "
        "and 2 more. Its sections: memory 4,000.",
    )
    assert rows(found)[0][4] == "– (latency of baseline vdsr is not usable: tagged)"
    assert rows(found)[-1][-1] == "–"


def test_runs_without_a_score_have_no_section() -> None:
    assert score.section(Context.of(RUN, (), Findings())) is None
    assert score.section(Context.of(RUN, (), Findings(scores=Scores(REFERENCE, (), ())))) is None


def test_notes_and_every_variant_are_there_to_be_looked_up() -> None:
    found = shown(WHOLE, notes=("mobilenetv2 is untrained",))
    assert found.details == ("mobilenetv2 is untrained",)
    assert [folded.table.title for folded in found.folded] == ["Points of every variant"]
    assert len(found.folded[0].table.rows) == 2
