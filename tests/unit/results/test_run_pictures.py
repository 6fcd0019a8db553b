"""Pictures in the folder of a run: what was stored comes back; what is not ours, or broken, is left out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.records import Subject
from bench.results.pictures import SIDE, PictureRecord, Pictures

SUBJECT = Subject(model="a/b <c>", variant="fr-auto:20x", device="R58M", runtime="ncnn")
PICTURE = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))


def line(file: str) -> str:
    return PictureRecord(model="net", index=0, kind="input", file=file).model_dump_json() + "\n"


def test_what_was_stored_comes_back(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    pictures.add(PICTURE, "a/b <c>", 7, "input", worst=True)
    pictures.add(PICTURE, "a/b <c>", 7, "answer", subject=SUBJECT)
    shown, answer = pictures.read()
    assert (shown.record.index, shown.record.kind, shown.record.worst) == (7, "input", True)
    assert (answer.record.subject, answer.record.variant) == (SUBJECT, "fr-auto:20x")
    assert all((tmp_path / one.record.file).parent == tmp_path / "pictures" for one in (shown, answer))
    assert np.array_equal(np.asarray(Image.open(tmp_path / shown.record.file)), np.asarray(PICTURE))


def test_names_that_would_be_the_same_file_are_two(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    for model in ("a/b", "a:b"):
        pictures.add(PICTURE, model, 0, "input")
    assert len({one.record.file for one in pictures.read()}) == 2


def test_a_run_without_pictures_has_none(tmp_path: Path) -> None:
    assert Pictures(tmp_path).read() == ()


def test_files_elsewhere_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    PICTURE.save(tmp_path / "secret.png")
    lines = [line("../secret.png"), line("pictures/../../secret.png"), line(str(tmp_path / "secret.png"))]
    (tmp_path / "run" / "pictures.jsonl").write_text("".join(lines))
    assert Pictures(tmp_path / "run").read() == ()


@pytest.mark.parametrize("damage", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n", None])
def test_damaged_and_missing_pictures_are_left_out(tmp_path: Path, damage: bytes | None) -> None:
    pictures = Pictures(tmp_path)
    pictures.add(PICTURE, "net", 0, "input")
    pictures.add(PICTURE, "net", 1, "input")
    first = tmp_path / pictures.read()[0].record.file
    if damage is None:
        first.unlink()
    else:
        first.write_bytes(damage)
    assert [one.record.index for one in pictures.read()] == [1]


def test_pictures_larger_than_ours_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Image.new("L", (SIDE + 1, 4)).save(tmp_path / "pictures" / "large.png")
    (tmp_path / "pictures.jsonl").write_text(line("pictures/large.png") + "{not json\n" + json.dumps({"a": 1}) + "\n")
    assert Pictures(tmp_path).read() == ()


def test_a_resumed_run_adds_to_those_of_the_killed_one_and_has_each_once(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    pictures.add(PICTURE, "net", 0, "input")
    pictures.add(PICTURE, "net", 1, "input")
    listed = tmp_path / "pictures.jsonl"
    listed.write_bytes(listed.read_bytes()[:-20])  # killed while it wrote
    pictures.add(PICTURE, "net", 0, "input")
    pictures.add(PICTURE, "net", 1, "input")
    assert [one.record.index for one in pictures.read()] == [0, 1]
