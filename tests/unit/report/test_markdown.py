"""The report as Markdown, and as a table for programs."""

import re
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from bench.records import SCHEMA_VERSION
from bench.report import Section, markdown
from bench.report.section import Folded
from bench.report.table import Cell, Table
from tests.unit.report.report_kit import PHONE, Stored


def test_no_word_is_taken_for_markdown() -> None:
    hostile = "a|b <img src=x> [x](y) `c` *d* # e\nf &amp; g"
    table = Table(hostile, (hostile,), ((Cell(hostile),),), words=1)
    section = Section("s", hostile, (hostile,), (hostile,), tables=(table,), folded=(Folded("f", table, hostile),))
    text = markdown.document(hostile, [section], "plots")
    assert "<summary>a|b &lt;img src=x&gt;" in text
    text = re.sub(r"</?details>|<summary>.*</summary>", "", text)
    assert not re.search(r"(?<!\\)[<`*\[]", text)
    assert "\\nf &amp;amp; g" in text
    _, _, row, *_ = (line for line in text.splitlines() if line.startswith("|"))
    assert row.count("|") - row.count("\\|") == 2


def test_a_report_in_markdown_shows_its_plots_and_tables(judged: Stored, tmp_path: Path) -> None:
    judged.page(tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    plots = re.findall(r"\]\((plots/[\w.-]+\.png)\)", text)
    assert plots
    assert all((tmp_path / plot).is_file() for plot in plots)
    assert f"{PHONE} (virtual)" in text
    headings = re.findall("^## (.+)$", text, re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert {section.title for section in judged.sections().values() if section.title} <= set(headings)


def test_the_summary_is_the_same_in_parquet_as_in_csv(judged: Stored, tmp_path: Path) -> None:
    judged.page(tmp_path)
    ours, csv = pd.read_parquet(tmp_path / "summary.parquet"), pd.read_csv(tmp_path / "summary.csv", skiprows=1)
    as_words = [table.astype(object).where(table.notna(), None) for table in (ours, csv)]
    pd.testing.assert_frame_equal(*as_words)
    assert ours["median"].dtype == "float64"
    assert pq.read_schema(tmp_path / "summary.parquet").metadata[b"bench_schema"] == str(SCHEMA_VERSION).encode()
