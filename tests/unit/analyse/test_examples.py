"""Stored pictures and stored facts become examples: what was shown, what is right, what was answered."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bench.analyse.examples import examples
from bench.measure import answers
from bench.records import Answers, Artifact, Device, RunRecord, SamplesRecord, Subject, Task, Tensor
from bench.results.pictures import Pictures

PHONE = Subject(model="net", variant="fr", device="R58M", runtime="ncnn")
DESKTOP = PHONE.model_copy(update={"device": "desktop"})


def run(task: Task, *, classes: tuple[str, ...] = (), trained: bool = True) -> RunRecord:
    artifact = Artifact(
        model="net", variant="fr", runtime="ncnn", ordinary=False, files=(), deployed=(), task=task, trained=trained,
        inputs=(Tensor(name="in0", shape=(1, 2, 2)),), outputs=(Tensor(name="out0", shape=(3,)),),
    )  # fmt: skip
    devices = tuple(
        Device(serial=serial, kind=kind, name=serial, os="", abis=())  # type: ignore[arg-type]
        for serial, kind in (("desktop", "desktop"), ("R58M", "phone"))
    )
    return RunRecord(
        id="r", name="r", started="2026-11-26T12:00:00+00:00", bench_version="0", plan={}, reference="torch",
        versions={}, toolchain={}, devices=devices, artifacts=(artifact,),
        samples={"net": SamplesRecord(source="s", count=2, labelled=True, classes=classes)},
    )  # fmt: skip


def stored(folder: Path, **subjects: Subject) -> Pictures:
    pictures = Pictures(folder)
    pictures.add(Image.new("L", (2, 2), 7), "net", 1, "input", worst=True)
    for kind, subject in subjects.items():
        pictures.add(Image.new("L", (2, 2), 1), "net", 1, kind, subject=subject)  # type: ignore[arg-type]
    return pictures


def frame(*subjects: Subject) -> tuple[pd.DataFrame, list[str]]:
    rows = [s.model_dump() | {"pass": "accuracy", "status": "ok", "trial": str(n)} for n, s in enumerate(subjects)]
    return pd.DataFrame(rows), [str(n) for n in range(len(subjects))]


def classes(right: list[int]) -> Answers:
    outputs = np.eye(3, dtype=np.float32)[right] * 5
    return answers.facts(outputs, outputs, np.array([0, 2]), "classification")


def test_a_class_is_named_and_judged_with_the_phone_before_the_desktop(tmp_path: Path) -> None:
    table, (first, second) = frame(DESKTOP, PHONE)
    given = {first: classes([0, 2]), second: classes([0, 1])}
    record = run("classification", classes=("cat", "dog", "owl"))
    (found,) = examples(stored(tmp_path).read(), table, record, given)
    assert (found.model, found.index, found.label, found.worst) == ("net", 1, "owl", True)
    (answer,) = found.answers
    assert (answer.subject, answer.answer, answer.score, answer.agrees) == (PHONE, "dog", 0.0, 1.0)
    assert answer.confidence is not None
    assert answer.confidence > 0.9


def test_a_mask_has_the_dice_of_its_sample_and_the_picture_of_its_own_launch(tmp_path: Path) -> None:
    masks = np.array([[[1, 1], [0, 0]], [[1, 1], [1, 1]]])
    answered = np.stack([np.array([[[0, 0], [1, 1]]] * 2), np.array([[[1, 1], [0, 0]]] * 2)], axis=1).astype(np.float32)
    table, (first,) = frame(PHONE)
    given = {first: answers.facts(answered, answered, masks, "segmentation")}
    (found,) = examples(stored(tmp_path, answer=PHONE).read(), table, run("segmentation"), given)
    (answer,) = found.answers
    assert answer.score == 2 * 2 / (2 + 4)
    assert Image.open(io.BytesIO(answer.picture)).size == (2, 2)


def test_a_picture_of_another_launch_is_not_shown_as_this_ones(tmp_path: Path) -> None:
    other = PHONE.model_copy(update={"threads": 4})
    table, (first,) = frame(PHONE)
    outputs = np.ones((2, 2, 2, 2), np.float32)
    given = {first: answers.facts(outputs, outputs, np.zeros((2, 2, 2), np.int64), "segmentation")}
    (found,) = examples(stored(tmp_path, answer=other).read(), table, run("segmentation"), given)
    assert found.answers[0].picture == b""


def test_untrained_answers_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    table, (first,) = frame(PHONE)
    record = run("classification", trained=False)
    (found,) = examples(stored(tmp_path).read(), table, record, {first: classes([0, 1])})
    assert found.answers[0].score is None


def test_samples_without_facts_have_no_answers_and_runs_without_pictures_no_examples(tmp_path: Path) -> None:
    table, (first,) = frame(PHONE)
    short = {name: values[:1] for name, values in classes([0, 1]).items()}
    (found,) = examples(stored(tmp_path).read(), table, run("classification"), {first: short})
    assert found.answers == ()
    assert examples((), table, run("classification"), {first: short}) == ()
