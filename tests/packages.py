"""The packages under examples/, installed as pip does: modules on the path, and their entry points."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def install(example: str, folder: Path) -> None:
    """Make the example importable with `folder` on PYTHONPATH."""
    project = tomllib.loads((EXAMPLES / example / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {place}" for name, place in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for module in (EXAMPLES / example).glob("*.py"):
        shutil.copy(module, folder)
