"""What an interrupted run may go on with, and which of its trials are done again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from bench.campaign import resume
from bench.errors import UsageError
from bench.records import Artifact, ArtifactFile, Device, Measurement, RunRecord, Sample, SamplesRecord, Subject, Trial
from bench.results.folder import RunFolder


def artifact(sha256: str = "a" * 64) -> Artifact:
    file = ArtifactFile(role="weights", path=Path("weights"), sha256=sha256, bytes=4)
    return Artifact(
        model="net", variant="baseline", runtime="ncnn", ordinary=True, files=(file,), deployed=("weights",), inputs=(),
        outputs=(), task="classification",
    )  # fmt: skip


def device(serial: str = "p1", os: str = "Android 14") -> Device:
    return Device(serial=serial, name="a phone", kind="phone", virtual=False, abis=("arm64-v8a",), os=os)


BEFORE = RunRecord(
    id="1", name="n", started="2026-11-26T00:00:00+00:00", bench_version="1", plan={"name": "n"}, reference="torch",
    versions={}, samples={"net": SamplesRecord(source="s", count=2, labelled=True, sha256="b" * 64)}, toolchain={},
    programs={"ncnn, p1": ("c" * 64,)}, devices=(device(),), artifacts=(artifact(),), preparation_s=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        ({"plan": {"name": "m"}}, "its plan is understood otherwise"),
        (
            {"samples": {"net": SamplesRecord(source="s", count=2, labelled=True, sha256="e" * 64)}},
            "the samples of net are not the same",
        ),
        ({"artifacts": (artifact("d" * 64),)}, "the files of net/baseline for ncnn are not the same"),
        ({"artifacts": ()}, "the files of net/baseline for ncnn are not the same"),
        ({"programs": {"ncnn, p1": ("f" * 64,)}}, "the program of ncnn, p1 is not the same"),
        ({"devices": (device(), device("p2"))}, "p2 was not part of it"),
        ({"devices": ()}, "p1 is not there"),
        ({"devices": (device(os="Android 15"),)}, "p1 is another device or system: a phone, Android 15"),
    ],
)
def test_what_differs_is_said_and_nothing_goes_on(now: dict[str, object], sentence: str, tmp_path: Path) -> None:
    resume.same(BEFORE, BEFORE.model_copy(update={"preparation_s": 9.0, "id": "2"}), RunFolder(tmp_path))
    with pytest.raises(UsageError, match="cannot be resumed") as caught:
        resume.same(BEFORE, BEFORE.model_copy(update=now), RunFolder(tmp_path))
    assert sentence in caught.value.what


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., RunFolder]:
    """A run with a measured trial and one that failed with this kind of error."""

    def make(fault: str) -> RunFolder:
        folder = RunFolder.create(tmp_path, "run", datetime.now())
        folder.write_record(BEFORE.model_copy(update={"finished": "2026-11-26T00:00:00+00:00"}))
        subject = Subject(model="net", variant="baseline", device="p1", runtime="ncnn")
        common = {"started": "2026-11-26T00:00:00+00:00", "wall_s": 5.0}
        good = Measurement(
            trial=Trial(subject=subject, pass_="latency"), status="ok", samples=(Sample("latency", 0, 7.0),), **common
        )  # fmt: skip
        bad = Trial(subject=subject, pass_="latency", launch=1, order=1)
        folder.append(good, device())
        folder.append(Measurement(trial=bad, status="failed", reason="it broke", fault=fault, **common), device())
        return folder

    return make


def test_what_failed_in_passing_is_done_again_and_what_would_fail_again_is_not(
    stored: Callable[..., RunFolder],
) -> None:
    transient, permanent = stored("DeviceOffline"), stored("RunnerFailed")
    assert [one.trial.launch for one in resume.ended(transient).values()] == [0]
    assert [one.trial.launch for one in resume.ended(permanent).values()] == [0, 1]
    assert next(iter(resume.ended(transient).values())).samples == (Sample("latency", 0, 7.0),)
    assert not resume.is_complete(transient)
    assert resume.is_complete(permanent)


def test_the_time_of_a_process_that_was_killed_counts_by_its_trials(stored: Callable[..., RunFolder]) -> None:
    folder = stored("RunnerFailed")
    assert resume.spent_s(folder.record(), resume.ended(folder)) == 11.0
    assert resume.spent_s(folder.record().model_copy(update={"wall_s": 60.0}), {}) == 60.0


def test_a_run_whose_figures_were_pruned_does_not_go_on(stored: Callable[..., RunFolder]) -> None:
    folder = stored("DeviceOffline")
    (folder.path / "pruned.json").write_text('{"when": "2026-11-26T00:00:00+00:00"}')
    for asked in (resume.ended, resume.is_complete):
        with pytest.raises(UsageError, match="were pruned on 2026-11-26"):
            asked(folder)
