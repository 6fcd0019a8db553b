"""`bench collect`: pictures from a virtual phone behind the real adb server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.command import bench
from tests.e2e.conftest import Adb, PhoneMaker


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8))


def collect(adb: Adb, source: str, into: Path, env: dict[str, str], *more: str) -> dict[str, Any]:
    done = bench("collect", "--device", adb.serial, source, into, "--json", *more, env=env)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def camera(tmp_path: Path, device: Adb, folder: str) -> str:
    """Six pictures on the phone, in PNG and JPEG, one of them twice, and what is none, under names that lie."""
    local = tmp_path / "camera"
    (local / "more").mkdir(parents=True)
    for number in range(4):
        picture(number).save(local / f"{number}.png")
    picture(4).save(local / "more" / "it's $(odd); *.txt", format="JPEG")
    picture(5).save(local / "five.jpg")
    (local / "twice.jpg").write_bytes((local / "five.jpg").read_bytes())
    (local / "words.jpg").write_text("no picture")
    (local / "cut.png").write_bytes((local / "0.png").read_bytes()[:300])
    (local / "empty.png").touch()
    (local / ".hidden.png").write_bytes((local / "1.png").read_bytes())
    for number, path in enumerate(sorted(local.rglob("*.*"))):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    assert device.run("push", str(local), f"{folder}/camera").returncode == 0
    device.shell(f"ln -s /system/etc/hosts {folder}/camera/link.png; ln -s / {folder}/camera/root")
    return f"{folder}/camera"


def test_pictures_come_by_their_content_and_the_rest_is_told_with_its_reason(
    camera: str, device: Adb, tmp_path: Path, env: dict[str, str]
) -> None:
    field = tmp_path / "field"
    found = collect(device, camera, field, env)
    pictures = sorted(path for path in field.iterdir() if path.suffix in (".png", ".jpg"))
    assert len(found["new"]) == len(pictures) == 6
    for path in pictures:
        Image.open(path).load()
        assert 1_700_000_000 <= path.stat().st_mtime < 1_700_000_100
    why = {one["path"].rpartition("/")[2]: one["why"] for one in found["left"]}
    assert "not a picture" in why["words.jpg"]
    assert "damaged" in why["cut.png"]
    assert why["empty.png"] == "it is empty"
    assert "hidden" in why[".hidden.png"]
    assert any("here already" in why.get(name, "") for name in ("twice.jpg", "five.jpg"))
    assert "link.png" not in why


def test_a_second_call_brings_nothing_again_not_even_what_was_labelled(
    camera: str, device: Adb, tmp_path: Path, env: dict[str, str]
) -> None:
    field = tmp_path / "field"
    collect(device, camera, field, env)
    (field / "stop").mkdir()
    moved = next(field.glob("*.png"))
    moved.rename(field / "stop" / "renamed.png")
    (field / "collected.jsonl").unlink()
    (field / ".1.pulling").write_text("of a call that was killed")
    again = collect(device, camera, field, env)
    assert again["new"] == []
    assert not (field / ".1.pulling").exists()
    assert sum("here already" in one["why"] for one in again["left"]) == 7


def test_limits_are_kept_and_the_next_call_goes_on(
    camera: str, device: Adb, tmp_path: Path, env: dict[str, str]
) -> None:
    field = tmp_path / "field"
    first = collect(device, camera, field, env, "--most", "2", "--each", "1G")
    assert len(first["new"]) == 2
    assert any("--most" in one["why"] for one in first["left"])
    none = collect(device, camera, tmp_path / "none", env, "--each", "0.1K")
    assert none["new"] == []
    assert all("--each" in one["why"] for one in none["left"] if one["kind"] == "limit")
    assert len(collect(device, camera, field, env)["new"]) == 4


def test_nothing_that_is_here_is_written_over(camera: str, device: Adb, tmp_path: Path, env: dict[str, str]) -> None:
    field = tmp_path / "field"
    name = collect(device, camera, field, env)["new"][0]["kept"]
    (field / name).write_text("mine")
    with (field / "collected.jsonl").open("a") as index:
        index.write('{"device": 1}\nnot JSON\n')
    (field / "collected.jsonl").write_text("")
    again = collect(device, camera, field, env)
    assert (field / name).read_text() == "mine"
    assert any("taken here by another file" in one["why"] for one in again["left"])


def test_pictures_whose_names_hold_line_ends_tabs_and_odd_bytes_come_too_and_only_once(
    camera: str, device: Adb, tmp_path: Path, env: dict[str, str]
) -> None:
    device.shell(f"rm -r {camera}/*.jpg {camera}/*.png {camera}/more")
    names = (r"new\nline.png", r"a\ttab.png", r"caf\351.png", "two  blanks.png")
    for number, name in enumerate(names):
        picture(20 + number).save(tmp_path / "one.png")
        device.run("push", str(tmp_path / "one.png"), f"{camera}/plain")
        device.shell(f"mv {camera}/plain {camera}/\"$(printf '{name}')\"")
    found = collect(device, camera, tmp_path / "field", env)
    assert len(found["new"]) == len(names), found
    assert any(one["path"].endswith(r"new\nline.png") for one in found["new"])
    again = collect(device, camera, tmp_path / "field", env)
    assert (again["new"], again["known"]) == ([], len(names))


def test_pictures_beyond_a_limit_are_one_row(camera: str, device: Adb, tmp_path: Path, env: dict[str, str]) -> None:
    done = bench("collect", "--device", device.serial, camera, tmp_path / "field", "--each", "0.1K", env=env)
    (row,) = (line for line in done.stdout.splitlines() if "--each" in line)
    assert "more than 102 bytes" in row


def test_an_old_phone_without_sha256sum_gives_its_pictures_too(
    phone_maker: PhoneMaker, adb: Adb, tmp_path: Path, env: dict[str, str]
) -> None:
    phone = phone_maker.start("galaxy-s8")
    there = adb.on(phone)
    picture(1).save(tmp_path / "one.png")
    there.run("push", str(tmp_path / "one.png"), "/sdcard/field/one.png")
    assert len(collect(there, "/sdcard/field", tmp_path / "field", env)["new"]) == 1


def test_mistakes_are_said(device: Adb, tmp_path: Path, env: dict[str, str]) -> None:
    at = ("--device", device.serial)
    assert "not a folder" in bench("collect", *at, "/sdcard/none", tmp_path, env=env, status=2).stderr
    assert "from the root" in bench("collect", *at, "field", tmp_path, env=env, status=2).stderr
    assert "not a size" in bench("collect", *at, "/sdcard", tmp_path, "--each", "many", env=env, status=2).stderr
    (tmp_path / "file").touch()
    assert "cannot be written" in bench("collect", *at, "/sdcard", tmp_path / "file", env=env, status=2).stderr
