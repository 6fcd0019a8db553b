"""`bench compress` as a person calls it: through the command line, interrupted, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from bench.compress.frequency import package

ARGUMENTS = ("compress", "lenet5", "--method", "fr", "--target", "400")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A cache for these tests alone: the ordinary network, which teaches the others, is trained once in it."""
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "200"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "bench.cli", *map(str, arguments)]


def bench(*arguments: str | Path, env: dict[str, str], cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*arguments), env=env, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


def test_a_network_is_compressed_by_one_command(env: dict[str, str], tmp_path: Path) -> None:
    told = bench(*ARGUMENTS, "--epochs", "1", env=env, cwd=tmp_path)
    file = tmp_path / "lenet5-fr-400.frq"
    stored = package.read(file.read_bytes())
    assert (stored.name, stored.coefficients) == ("lenet5", 400)
    assert f"lenet5-fr-400.frq: {file.stat().st_size} B" in told.stdout
    assert "ordinary, float32" in told.stdout
    assert "400 kept" in told.stderr

    # Found again at once, and told to a program in its own way.
    as_json = bench(*ARGUMENTS, "--epochs", "1", "--json", "-o", "again.frq", env=env, cwd=tmp_path)
    found = json.loads(as_json.stdout)
    assert as_json.stderr == ""
    assert found["path"] == "again.frq"
    assert (found["coefficients"], found["bytes"]) == (400, file.stat().st_size)
    assert sum(found["kept"].values()) == 400
    assert 0.3 < found["accuracy"] < 1
    assert (tmp_path / "again.frq").read_bytes() == file.read_bytes()


def test_a_network_is_pruned_in_steps_and_without_labels(env: dict[str, str], tmp_path: Path) -> None:
    asked = ("compress", "lenet5", "--method", "prune", "--target", "16kB", "--epochs", "1")
    told = bench(*asked, "--budget", "taylor", "--unlabelled", env=env, cwd=tmp_path)
    assert (tmp_path / "lenet5-prune-16kB.safetensors").stat().st_size <= 16_000
    assert "pruned by taylor, step 1 of 1" in told.stderr
    assert "No labels were used to make it smaller" in " ".join(told.stdout.split())
    refused = bench(*asked, "--budget", "trr", "--unlabelled", env=env, cwd=tmp_path, status=2)
    assert "no labels are to be used" in refused.stderr


def test_a_small_dense_network_is_made_within_its_bytes(env: dict[str, str], tmp_path: Path) -> None:
    asked = ("compress", "lenet5", "--method", "dense-small", "--target", "3kB", "--epochs", "1")
    told = bench(*asked, "--json", env=env, cwd=tmp_path)
    found = json.loads(told.stdout)
    file = tmp_path / "lenet5-dense-small-3kB.safetensors"
    assert 2_500 < found["bytes"] == file.stat().st_size <= 3_000
    assert 0.2 < found["accuracy"] < 1
    refused = bench(*asked[:4], "--target", "100B", env=env, cwd=tmp_path, status=2)
    assert "lenet5 cannot be scaled down to 100 bytes" in " ".join(refused.stderr.split())


def test_an_interrupted_training_goes_on_with_the_same_command(env: dict[str, str], tmp_path: Path) -> None:
    long = (*ARGUMENTS, "--epochs", "4")
    # A shell gives what it starts in the background an ignored SIGINT, and these tests may be that.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command(*long), env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heard
    ) as process:
        deadline = time.monotonic() + 300
        while not list(Path(env["XDG_CACHE_HOME"]).glob("fr-bench/checkpoints/*.pt")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted; run the same command again to resume." in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "lenet5-fr-400.frq").exists()

    resumed = bench(*long, env=env, cwd=tmp_path)
    assert "from where it was interrupted (--fresh starts over)" in resumed.stderr
    assert package.read((tmp_path / "lenet5-fr-400.frq").read_bytes()).coefficients == 400
    assert not list(Path(env["XDG_CACHE_HOME"]).glob("fr-bench/checkpoints/*.pt"))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("lenet", "--target", "776"), 4, "lenet5"),
        (("lenet5", "--target", "20B"), 2, "Ask for"),
        (("resnet18", "--target", "12058"), 2, "--one-shot"),
        (("lenet5", "--target", "small"), 2, "a ratio (1110x)"),
    ],
)
def test_mistakes_are_told_with_a_way_out(
    arguments: tuple[str, ...], status: int, words: str, env: dict[str, str], tmp_path: Path
) -> None:
    assert words in bench("compress", *arguments, env=env, cwd=tmp_path, status=status).stderr
    assert not list(tmp_path.glob("*.frq"))


NETWORK = """
import torch
from torch import nn


def build():
    network = nn.Sequential(nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 32, 3), nn.Flatten(), nn.Linear(512, 10))
    with torch.no_grad():
        for layer in (network[0], network[2]):
            flat = layer.weight.view(len(layer.weight), -1)
            flat.add_(torch.randn(len(flat), 3) @ torch.randn(3, flat.shape[1]))
    return network


def solid():
    return nn.Sequential(nn.Conv3d(1, 8, 3))
"""


def test_any_network_is_factored_and_what_became_of_its_layers_is_listed(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK, encoding="utf-8")
    asked = ("compress", "net.py:build", "--input", "3x8x8", "--method", "tucker", "--one-shot")
    told = bench(*asked, "--target", "3xMAC", "-o", "net.safetensors", env=env, cwd=tmp_path)
    assert "2.weight" in told.stdout
    assert "→32" in told.stdout
    found = json.loads(bench(*asked, "--json", "-o", "own.safetensors", env=env, cwd=tmp_path).stdout)
    assert list(found["layers"]) == ["0.weight", "2.weight", "4.weight"]
    assert found["kept"]["2.weight"] < 24 * 32 * 9
    solid = ("compress", "net.py:solid", "--input", "1x5x5x5", "--method", "tucker", "--one-shot")
    refused = bench(*solid, env=env, cwd=tmp_path, status=2)
    assert "has no convolution or linear layer that tucker could factor; 0 is of a kind (Conv3d)" in refused.stderr
