"""The example of a method from another package, installed as pip does: on the path, with its entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from bench.networks import resolve

EXAMPLE = Path(__file__).parents[3] / "examples" / "third_party_method"


def installed(folder: Path) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {place}" for name, place in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / "bench_ternary.py").write_text((EXAMPLE / "bench_ternary.py").read_text())


def bench(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join((str(site), os.environ.get("PYTHONPATH", "")))
    environment = os.environ | {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(site / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", *words], capture_output=True, text=True, check=False, env=environment
    )


def test_it_is_found_by_its_entry_point_and_compresses(tmp_path: Path) -> None:
    installed(tmp_path)
    network = resolve("lenet300").build()
    torch.save(network.state_dict(), tmp_path / "state.pt")
    package = tmp_path / "network.safetensors"
    words = ("compress", "lenet300", "--method", "ternary", "--weights", str(tmp_path / "state.pt"), "-o", str(package))
    done = bench(tmp_path, *words, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["method"] == "ternary"
    assert told["byte_ratio"] == pytest.approx(4, rel=0.02)  # a byte for each weight
    assert told["accuracy"] is not None
    assert package.stat().st_size == told["bytes"]


def test_one_that_does_not_load_is_named_and_stops_nothing_else(tmp_path: Path) -> None:
    installed(tmp_path)
    (tmp_path / "bench_ternary.py").write_text("import nothing_like_it")
    state = tmp_path / "state.pt"
    torch.save(resolve("lenet300").build().state_dict(), state)
    done = bench(tmp_path, "compress", "lenet300", "--method", "ternary", "--weights", str(state))
    assert done.returncode == 20
    assert "nothing_like_it" in done.stderr
    assert "Traceback" not in done.stderr
    done = bench(tmp_path, "run", "--model", "lenet300", "--variant", "halve")
    assert done.returncode == 4
    assert "Did you mean half" in done.stderr
    done = bench(
        tmp_path, "compress", "lenet300", "--method", "half", "--weights", str(state), "-o", str(tmp_path / "half")
    )
    assert done.returncode == 0, done.stderr
