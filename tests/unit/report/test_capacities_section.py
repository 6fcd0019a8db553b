"""What a report says of changes of capacity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.capacities import Against, Switched
from bench.caveats import Caveat
from bench.findings import Summary
from bench.records import Subject
from bench.report import Context, Section, content
from tests.unit.report.report_kit import PHONE, Stored

VIRTUAL = f"{PHONE} (virtual)"


def subject(variant: str) -> Subject:
    return Subject(model="lenet5", variant=variant, device=PHONE, runtime="ncnn")


def one(variant: str = "nested@0.2", **more: Any) -> Switched:
    fresh = Against(subject(variant), 4e6, 2.0, (1.8, 2.2), 5)
    made = Switched(
        subject(variant), 10_000, 2e6, (1.9e6, 2.1e6), 3e6, 1e5, (300, 700), 100, 5, fresh,
        Against(subject("apart"), 6e6, 3.0, None, 2), virtual=True,
    )  # fmt: skip
    return replace(made, **more)


def section(stored: Stored, **findings: Any) -> Section | None:
    context = Context.of(stored.run, stored.measurements, replace(stored.findings, **findings))
    return next((found for found in content(context) if found.id == "capacities"), None)


def test_a_run_without_capacities_has_no_such_section(stored: Stored) -> None:
    assert section(stored) is None


def test_the_slowest_change_is_a_sentence_with_what_loading_takes(stored: Stored) -> None:
    found = section(stored, capacities=(one(), one("nested@0.4", switch=2.5e6)))
    assert found is not None
    (sentence,) = found.sentences
    assert f"lenet5 on {VIRTUAL}" in sentence
    assert "that to nested@0.4 takes longest, 2.50 ms (median; the slowest of them 3.00 ms)" in sentence
    assert "2.00× [1.80–2.20×]" in sentence
    assert "3.00×, no interval," in sentence
    (table,) = found.tables
    cells = [str(cell) for cell in table.cells[0]]
    assert cells[1] == VIRTUAL
    figures = {"2.00 ms (1.90–2.10 ms)", "3.00 ms", "2.00× (1.80–2.20×, n = 5)", "700 B (or 300 B)", "100 in 5"}
    assert figures <= set(cells)
    assert len(cells) == len(table.header)
    assert all(cell.value is not None for cell in table.cells[0][5:])


def test_without_files_of_their_own_beside_there_is_no_column_for_them(stored: Stored) -> None:
    found = section(stored, capacities=(one(apart=None), one("nested@0.4", apart=None, translated=True)))
    assert found is not None
    (table,) = found.tables
    assert "Apart ÷ switch" not in table.header
    assert {len(row) for row in table.cells} == {len(table.header)}


def test_times_of_translated_code_are_not_shown(stored: Stored) -> None:
    found = section(stored, capacities=(one(translated=True),))
    assert found is not None
    assert not found.sentences
    assert [cell.text for cell in found.tables[0].cells[0]].count("meaningless") >= 2


def test_a_figure_that_is_not_usable_says_so(stored: Stored) -> None:
    found = section(stored, capacities=(one(doubts="2 launches of the 5 asked for"),))
    assert found is not None
    assert "not usable" in found.sentences[0]
    assert "not usable" in str(found.tables[0].cells[0])


def test_a_pass_that_failed_is_a_notice(stored: Stored) -> None:
    failed = Summary(subject("nested"), "switch", "ns", None, True, False, (Caveat("failed", "failed: killed"),))
    found = section(stored, summaries=(*stored.findings.summaries, failed))
    assert found is not None
    assert "no switch was timed: failed: killed" in found.notices[0]
