"""A stored run of schema 1 (synthetic test data, see make_run.py) still gives the same tables and the same page.

When a change of the report is meant: `pytest tests/golden --snapshot-update`, and read the difference.
"""

import re
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from bench.report.tables import Table, Tables
from bench.store import RunFolder
from syrupy.assertion import SnapshotAssertion

from bench.analyse import analyse
from bench.report import html, tables

STORED = RunFolder(Path(__file__).parent / "synthetic-run")


@pytest.fixture(scope="module")
def shown() -> Tables:
    run = STORED.record()
    findings = analyse(pd.read_parquet(STORED.path / "measurements.parquet"), run)
    return tables.of_run(run, STORED.measurements(), findings)


def as_text(table: Table) -> str:
    lines = [table.title, " | ".join(table.header), *(" | ".join(row) for row in table.rows), *table.notes]
    return "\n".join(lines)


def test_the_files_carry_their_schema() -> None:
    assert pq.read_schema(STORED.path / "measurements.parquet").metadata[b"bench_schema"] == b"1"
    assert STORED.record().schema_version == 1


def test_answer(shown: Tables, snapshot: SnapshotAssertion) -> None:
    assert "\n".join([*shown.answer.sentences, *shown.answer.details]) == snapshot


def test_tables(shown: Tables, snapshot: SnapshotAssertion) -> None:
    assert "\n\n".join(as_text(table) for table in shown.tables) == snapshot


def test_page_and_csv(shown: Tables, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    page = html.write(tmp_path, STORED.record(), STORED.measurements(), shown.findings)
    assert normalised(page.read_text()) == snapshot(name="page")
    rows = [row.split(",") for row in (tmp_path / "summary.csv").read_text().splitlines()]
    assert rows[0] == ["# bench_schema=1"]
    assert ",".join(rows[1]) == snapshot(name="csv columns")
    assert len(rows) == 2 + len(shown.findings.summaries)


def normalised(page: str) -> str:
    """The page without style, and with the words of its plots alone: drawing differs between matplotlib versions."""
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)

    def words(svg: re.Match[str]) -> str:
        found = re.findall(r"<text[^>]*>([^<]*)</text>", svg.group())
        return f"<svg>{' / '.join(found)}</svg>"

    return re.sub(r"<svg.*?</svg>", words, page, flags=re.DOTALL)
