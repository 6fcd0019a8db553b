"""Stored runs (synthetic test data, see make_run.py) of every schema still give the same tables and the same page.

When a change of the report is meant: `pytest tests/golden --snapshot-update`, and read the difference.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from syrupy.assertion import SnapshotAssertion

from bench.analyse import analyse
from bench.findings import Findings
from bench.records import SCHEMA_VERSION, Measurement, RunRecord
from bench.report import Context, Section, content, html
from bench.report.table import Table
from bench.results.folder import RunFolder

SCHEMAS = {"synthetic-run": 1, "synthetic-run-2": 2, "synthetic-run-3": 3, "synthetic-run-4": 4, "synthetic-run-5": 5}
HERE = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Read:
    run: RunRecord
    measurements: tuple[Measurement, ...]
    findings: Findings
    sections: Sequence[Section]


@pytest.fixture(scope="module", params=SCHEMAS)
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """From a copy: reading brings tables up to date."""
    copy = tmp_path_factory.mktemp("golden") / request.param
    folder = RunFolder(Path(shutil.copytree(HERE / request.param, copy)))
    run, measurements = folder.record(), folder.measurements()
    frame = folder.consolidate()
    findings = analyse(frame, run, folder.answers(), folder.layers(frame))
    return Read(run, measurements, findings, content(Context.of(run, measurements, findings)))


def as_text(table: Table) -> str:
    lines = [table.title, " | ".join(table.header), *(" | ".join(row) for row in table.rows), *table.notes]
    return "\n".join(lines)


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_the_files_carry_their_schema(name: str, schema: int) -> None:
    folder = HERE / name
    tables = [folder / "measurements.parquet", *folder.glob("answers/*.parquet"), *folder.glob("layers/*.parquet")]
    assert {pq.read_schema(table).metadata[b"bench_schema"] for table in tables} == {str(schema).encode()}
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["schema_version"] == schema
    lines = (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["schema_version"] for line in lines} == {schema}


def test_there_is_a_run_of_today() -> None:
    assert max(SCHEMAS.values()) == SCHEMA_VERSION


def test_sentences(read: Read, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(line for s in read.sections for line in (*s.notices, *s.sentences, *s.details)) == snapshot


def test_tables(read: Read, snapshot: SnapshotAssertion) -> None:
    assert "\n\n".join(as_text(table) for s in read.sections for table in s.tables) == snapshot


def test_page_and_csv(read: Read, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    page = html.write(tmp_path, read.run, read.measurements, read.findings)
    assert outline(page.read_text(encoding="utf-8")) == snapshot(name="page")
    rows = (tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == f"# bench_schema={SCHEMA_VERSION}"
    assert rows[1] == snapshot(name="csv columns")
    assert len(rows) == 2 + len(read.findings.summaries)


def outline(page: str) -> str:
    """What a page is made of: its headings, what folds, and its tables and plots by name; what these say is tested
    above, and drawing differs between matplotlib versions."""
    found = re.findall(r"<(h[1-6]|summary|caption|figcaption)\b[^>]*>(.*?)</\1>", page, re.DOTALL)
    return "\n".join(f"{tag}: {' '.join(re.sub(r'<[^>]*>', ' ', words).split())}" for tag, words in found)
