"""Notebooks run from top to bottom on a stored run, and know nothing of bench but its files."""

import json
import os
import shutil
from pathlib import Path

import matplotlib as mpl
import pytest

from bench.analyse import analyse
from bench.report import Context, rivals, values
from bench.results.folder import RunFolder

ROOT = Path(__file__).parents[2]
SAID = {"read_a_run": "samples", "compare_phones": "devices", "fr_table": "97.52", "pareto": "variants"}
"""A word that each prints."""
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def reported(name: str, into: Path) -> Path:
    """A copy of a stored run (synthetic test data) with the table that a report of it has."""
    folder = RunFolder(Path(shutil.copytree(ROOT / "tests" / "golden" / name, into / name)))
    run = folder.record()
    context = Context.of(run, (), analyse(folder.consolidate(), run, folder.answers()))
    folder.path.joinpath("variants.csv").write_text(values.as_csv(rivals.COLUMNS, rivals.plain(context)))
    return folder.path


@pytest.mark.parametrize("run", ["synthetic-run", "synthetic-run-2"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(
    path: Path, run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mpl.use("Agg")
    monkeypatch.chdir(path.parent)
    golden = ROOT / "tests" / "golden"
    monkeypatch.setenv("RUN", str(reported(run, tmp_path) if path.stem == "pareto" else golden / run))
    monkeypatch.setenv("RUNS", os.pathsep.join(str(golden / name) for name in ("synthetic-run-2", run)))
    notebook = json.loads(path.read_text())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any("import bench" in cell or "from bench" in cell for cell in code)
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    names: dict[str, object] = {}
    for cell in code:
        exec(compile(cell, path.name, "exec"), names)
    assert "figure" in names, "a notebook has a plot"
    assert SAID[path.stem] in capsys.readouterr().out
    mpl.pyplot.close("all")


def test_every_notebook_is_tried() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SAID)
