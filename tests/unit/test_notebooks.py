"""Notebooks run from top to bottom on a stored run, and know nothing of bench but its files."""

import json
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("run", ["synthetic-run", "synthetic-run-2"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(
    path: Path, run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mpl.use("Agg")
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("RUN", str(ROOT / "tests" / "golden" / run))
    notebook = json.loads(path.read_text())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any("import bench" in cell or "from bench" in cell for cell in code)
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    names: dict[str, object] = {}
    for cell in code:
        exec(compile(cell, path.name, "exec"), names)
    assert "samples" in capsys.readouterr().out
    mpl.pyplot.close("all")


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
