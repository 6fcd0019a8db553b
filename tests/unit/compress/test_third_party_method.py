"""The example of a method from another package, installed as pip does: on the path, with its entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.networks import resolve
from tests.packages import install


def bench(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join((str(site), os.environ.get("PYTHONPATH", "")))
    environment = os.environ | {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(site / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", *words], capture_output=True, text=True, check=False, env=environment
    )


def test_it_is_found_by_its_entry_point_and_compresses(tmp_path: Path) -> None:
    install("third_party_method", tmp_path)
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
    install("third_party_method", tmp_path)
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
