"""The section that docs/report.md shows."""

import re
from pathlib import Path

import pytest

from bench import report
from bench.registry import Registry
from tests.unit.report.report_kit import Checker, Stored

PAGE = Path(__file__).parents[3] / "docs" / "report.md"


def test_the_documented_section_is_shown(judged: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "battery_section.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(report, "SECTIONS", Registry("report section", "none", {"battery": "battery_section:section"}))
    (table,) = judged.tables("battery")
    assert table.rows == (("charge", "80 to 80 %"),)
    assert "Battery" in Checker(judged.page(tmp_path)).text


def test_the_documented_sections_are_those_there_are() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(named) == report.SECTIONS.names()
