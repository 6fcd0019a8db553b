"""`bench train` on a virtual phone: the package that comes back is what float64 gives, and memory's end is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.compress.elm import learning, package
from bench.virtual.phone import stop
from tests.e2e.command import QUICK, bench, run
from tests.e2e.conftest import PhoneMaker

pytestmark = pytest.mark.timeout(900)

RAM = 160 * 2**20
NOISE = np.random.default_rng(1).integers(0, 256, (40, 28, 28), np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright squares in one of four corners, under noise; 200 to learn from and 100 to test on."""
    draw = np.random.default_rng(5)
    labels = np.arange(300) % 4
    pictures = draw.integers(0, 120, (300, 28, 28))
    for picture, label in zip(pictures, labels, strict=True):
        top, left = 14 * (label // 2) + draw.integers(0, 6), 14 * (label % 2) + draw.integers(0, 6)
        picture[top : top + 7, left : left + 7] += 60
    path = tmp_path_factory.mktemp("corners") / "corners.npz"
    pictures = pictures.astype(np.uint8)
    np.savez(path, x_train=pictures[:200], y_train=labels[:200], x_test=pictures[200:], y_test=labels[200:])
    return path


def test_a_phone_trains_what_float64_gives(
    phone_maker: PhoneMaker, env: dict[str, str], data: Path, tmp_path: Path
) -> None:
    phone = phone_maker.start()
    made = tmp_path / "made.elm"
    try:
        arguments = ("--device", phone.serial, "--data", data, "--neurons", "300", "--compare", "--json", "-o", made)
        told = json.loads(bench("train", "lenet5", *arguments, "--results", tmp_path / "runs", env=env).stdout)
        (tmp_path / "plan.toml").write_text(
            f'name = "learnt"\ndesktop = []\n{QUICK}\n[[cases]]\nmodel = "lenet5"\ndata = "{data}"\n'
            f'variants = [{{ name = "elm", weights = "{made}" }}]\n'
        )
        plan = ("--plan", tmp_path / "plan.toml", "--results", tmp_path / "runs")
        measured = run("--device", phone.serial, *plan, env=env)
    finally:
        stop(phone.serial)
    (row,) = told["trainings"]
    assert told["device"] == {"serial": phone.serial, "name": told["device"]["name"], "virtual": True}
    assert (row["neurons"], row["samples"], row["of"]) == (300, 175, 100)
    assert abs(row["right"] - row["desktop_right"]) <= 1
    assert row["right"] > 60
    assert row["alpha"] == row["desktop_alpha"]
    assert 0 < row["ordinary_right"] <= 100
    machine = package.read(made.read_bytes())
    with np.load(data) as stored:
        inputs = (stored["x_test"] / 255).astype(np.float32)
        assert abs(learning.right_of(machine, learning.Part(inputs, stored["y_test"])) - row["right"]) <= 1
    (scored,) = measured.summaries("top1", variant="elm", device=phone.serial)
    assert abs(100 * scored["statistics"]["median"] - row["right"]) <= 1
    page = Path(told["run"], "report.html")
    page.unlink()
    shown = bench("report", told["run"], env=env).stdout
    assert f"300 neurons, learnt on {phone.serial} (virtual), answer {row['right']}.00 %" in shown
    assert "Nothing was measured" not in shown
    assert "Learning on the phone" in page.read_text()
    assert f"{phone.serial} runs on the processor of this computer" in page.read_text()


def test_a_size_that_memory_has_no_room_for_is_stored_with_its_reason(
    data: Path, env: dict[str, str], tmp_path: Path
) -> None:
    sizes = ("--neurons", "64", "--neurons", "131072", "--alphas", "5")
    arguments = ("--here", "--data", data, *sizes, "--results", tmp_path, "-o", tmp_path / "made.elm")
    done = bench("train", "lenet5", *arguments, env=env)
    assert "131,072 neurons (float32) failed: 131072 neurons need" in done.stdout
    (stored,) = tmp_path.glob("*/trainings.jsonl")
    ok, failed = map(json.loads, stored.read_text().splitlines())
    assert (ok["status"], ok["neurons"], failed["status"], failed["memory"]) == ("ok", 64, "failed", True)
    assert package.read((tmp_path / "made.elm").read_bytes()).neurons == 64


def test_a_sweep_ends_where_the_phones_memory_does(
    phone_maker: PhoneMaker, env: dict[str, str], data: Path, tmp_path: Path
) -> None:
    phone = phone_maker.start(ram=RAM)
    try:
        arguments = ("--device", phone.serial, "--data", data, "--alphas", "5", "--sweep", "--json")
        where = ("-o", tmp_path / "made.elm", "--results", tmp_path)
        told = json.loads(bench("train", "lenet5", *arguments, *where, env=env).stdout)
    finally:
        stop(phone.serial)
    sweep = told["sweep"]
    assert not sweep["at_least"]
    assert 4096 <= sweep["neurons"] < 8192
    assert sweep["tried"][:3] == [1024, 2048, 4096]
    assert any(words in sweep["why"] for words in ("are available", "refused the memory", "killed"))
    assert max(row["neurons"] for row in told["trainings"]) == sweep["neurons"]
    assert max(row["peak_rss"] for row in told["trainings"]) < RAM
    assert package.read((tmp_path / "made.elm").read_bytes()).neurons == sweep["neurons"]
    assert f"Memory allows {sweep['neurons']:,} neurons there" in bench("report", told["run"], env=env).stdout


@pytest.mark.parametrize(
    ("pictures", "labels", "status", "why"),
    [
        (np.zeros((40, 28, 28), np.uint8), np.arange(40) % 10, 31, "are the same"),
        (NOISE, np.full(40, 7), 2, "all of class 7"),
        (NOISE, np.arange(40) % 12, 2, "beyond the network's 10"),
    ],
)
def test_data_that_teaches_nothing_is_refused_by_its_name(
    pictures: Any, labels: Any, status: int, why: str, env: dict[str, str], tmp_path: Path
) -> None:
    np.savez(tmp_path / "mine.npz", x_train=pictures, y_train=labels, x_test=pictures, y_test=labels)
    done = bench("train", "lenet5", "--here", "--data", tmp_path / "mine.npz", env=env, status=status, cwd=tmp_path)
    assert why in done.stderr
    assert "mine.npz" in done.stderr
    assert "→" in done.stderr
    assert "samples.bin" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (("lenet5", "--here", "--device", "x"), 2, "--here and --device"),
        (("lenet5", "--sweep", "--neurons", "9"), 2, "--sweep and --neurons"),
        (("lenet5", "--alphas", "0.5,zero"), 2, "numbers above zero"),
        (("lenet5", "--alphas", "nan"), 2, "numbers above zero"),
        (("lenet5", "--compare", "--neurons", "9000"), 2, "at most 8,192"),
        (("unet-small", "--here"), 2, "does not put one picture into a class"),
        (("lenet6", "--here"), 4, "lenet5"),
        (("lenet5", "--here", "--data", "/nowhere"), 2, "/nowhere"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(
    arguments: tuple[str, ...], status: int, why: str, env: dict[str, str], tmp_path: Path
) -> None:
    done = bench("train", *arguments, env=env, status=status, cwd=tmp_path)
    assert why in done.stderr
    assert not list(tmp_path.iterdir())
