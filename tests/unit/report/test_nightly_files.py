"""What a night leaves: a status that scripts can trust, JUnit that is valid whatever its words, words that only say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import NothingMeasured, UsageError
from bench.findings import Outcome, Verdict
from bench.records import Subject
from bench.report.junit import MOST, Case, State, Suite, document
from bench.report.nightly import Judged, Nightly, Since, as_json, markdown, suite, write

SCHEMA = xmlschema.XMLSchema(Path(__file__).parents[2] / "schemas" / "junit.xsd")
NIGHT = Nightly("night", "2026-11-26T23:15:00+01:00", 12.3456, Path("results/n3"), wanted="last-good", baseline="n2")
SINCE = Since("2026-11-24T23:15:00+00:00", "/results/n1", "abc", 3, "verdicts")
HOSTILE = "</failure>\x1b[31m\x00\ud800]]> & | `x` **b** <script> @all\n=1+1"


def judged(outcome: Outcome, **more: Any) -> Judged:
    subject = Subject(model="unet", variant="fr-auto", device="R58", runtime="ncnn")
    word = {"worse": "slower", "better": "faster"}.get(outcome, outcome)
    v = Verdict("latency", subject, subject, (1e7, 1.4e7), (5, 10), outcome, word, "by 40 %", 0.03, ratio=1.4)
    return Judged(replace(v, **more))


@pytest.mark.parametrize(
    ("night", "status", "code"),
    [
        (NIGHT, "good", 0),
        (replace(NIGHT, judged=(judged("same"), judged("better"), judged("cannot tell"))), "good", 0),
        (replace(NIGHT, judged=(judged("same"), judged("worse"))), "regression", 1),
        (replace(NIGHT, judged=(judged("worse"),), incomplete=("R59 is missing",)), "regression", 1),
        (replace(NIGHT, judged=(judged("same"),), incomplete=("R59 is missing",)), "incomplete", 2),
        (replace(NIGHT, judged=(replace(judged("cannot tell"), blind=True),)), "incomplete", 2),
        (replace(NIGHT, judged=(judged("worse"),), error=NothingMeasured("all failed")), "broken", 3),
    ],
)
def test_a_status_has_its_exit_code(night: Nightly, status: str, code: int) -> None:
    assert (night.status, night.exit) == (status, code)
    answer = json.loads(json.dumps(as_json(night)))
    assert (answer["status"], answer["exit"]) == (status, code)
    assert markdown(night).splitlines()[0].count(f"night: {status}") == 1
    SCHEMA.validate(document(suite(night)))


def test_a_regression_says_how_much_how_sure_and_since_when() -> None:
    one = judged("worse")
    one = replace(one, suspected=replace(one.verdict, values=(1e7, 1.5e7)), since=SINCE)
    night = replace(NIGHT, judged=(one,))
    words = (
        "slower: by 40 % (10.0 ms before, 14.0 ms now in 10 launches measured again; 15.0 ms at first), "
        "since 2026-11-24 (3 nights)"
    )
    assert words in markdown(night)
    (failure,) = ElementTree.fromstring(document(suite(night))).iter("failure")
    assert (failure.get("type"), failure.get("message"), failure.text) == ("slower", words, words)
    assert as_json(night)["verdicts"][0]["since"]["nights"] == 3


def test_what_only_looked_worse_passes_and_is_mentioned() -> None:
    one = judged("same", reason="within ±3 %")
    night = replace(NIGHT, judged=(replace(one, suspected=judged("worse").verdict),))
    assert night.status == "good"
    assert "looked slower at first; measured again: same" in markdown(night)


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (judged("same"), "passed"), (judged("worse"), "failure"), (judged("cannot tell"), "skipped"),
        (judged("cannot tell", values=(1e7, None)), "error"),
    ],
)  # fmt: skip
def test_each_verdict_is_a_test(one: Judged, outcome: State) -> None:
    night, found = suite(replace(NIGHT, judged=(one,))).cases
    assert (night.state, found.state) == ("passed", outcome)
    assert (found.classname, found.name) == ("bench.unet.fr-auto", "latency on R58 (ncnn)")


def test_words_from_elsewhere_stay_words() -> None:
    one = judged("worse", reason=HOSTILE, right=Subject(model=HOSTILE, variant=HOSTILE, device=HOSTILE, runtime="ncnn"))
    night = replace(NIGHT, plan=HOSTILE, judged=(one,), incomplete=(HOSTILE,), notes=(HOSTILE,))
    text = document(suite(night))
    SCHEMA.validate(text)
    assert text.isascii()
    page = markdown(night)
    assert not any(sign in page for sign in ("\x1b", "\x00", "<script>", "**b**", "\n=1+1"))
    assert all(line.count("|") - line.count("\\|") in (0, 10) for line in page.splitlines())
    json.dumps(as_json(night)).encode("ascii")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.text(), st.text(), st.sampled_from(get_args(State)), st.text()), min_size=1, max_size=4),
    st.floats(-1e3, 1e9),
)
def test_any_suite_is_valid_and_counts_itself(cases: list[Any], seconds: float) -> None:
    made = Suite("s", "2026-11-26T23:15:00+01:00", seconds, tuple(Case(a, b, s, "t", w) for a, b, s, w in cases))
    text = document(made)
    SCHEMA.validate(text)
    (found,) = ElementTree.fromstring(text).iter("testsuite")
    for state, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(found.get(count) or "") == len(list(found.iter(state))) == sum(c.state == state for c in made.cases)


def test_a_word_without_end_is_cut() -> None:
    assert len(document(Suite("s", NIGHT.started, 0, (Case("a", "b", "error", "t", "x" * 10**6),)))) < 3 * MOST


def test_files_come_whole_or_not_at_all(tmp_path: Path) -> None:
    paths = write(NIGHT, tmp_path / "deep" / "out")
    assert sorted(path.name for path in (tmp_path / "deep" / "out").iterdir()) == [
        "nightly.json",
        "nightly.md",
        "nightly.xml",
    ]
    assert json.loads(paths["json"].read_text())["schema_version"] == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="nothing can be written"):
        write(NIGHT, tmp_path / "file")
