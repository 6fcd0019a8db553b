"""The job file of one launch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.errors import UsageError
from bench.measure.job import Files, Job, Mode
from bench.plan import Protocol

FILES = Files("/g", "/w", "/s", "/a")


def keys(job: Job) -> dict[str, str]:
    lines = (line.partition(" = ") for line in job.text(Protocol()).splitlines())
    return {key: value for key, _, value in lines}


def test_each_mode_has_its_own_keys() -> None:
    common = {"inputs": "in0,in1", "outputs": "out0", "threads": "4", "affinity": "0xf0", "contract": "3"}
    timing = {"warmup_iterations", "warmup_ms", "min_iterations", "min_ms", "max_iterations"}
    owns: dict[Mode, set[str]] = {
        "accuracy": {"answers"}, "latency": timing | {"beside", "load"}, "memory": set(), "sustained": {"seconds"},
        "largest": {"extents"}, "layers": timing,
    }  # fmt: skip
    for mode, own in owns.items():
        found = keys(Job(mode, FILES, ("in0", "in1"), ("out0",), "frq", "dense", 4, "bf16", 0xF0))
        assert common.items() <= found.items()
        assert {key for key in found if any(key in others for others in owns.values())} == own


def test_what_is_beside_how_long_and_how_large() -> None:
    job = Job("latency", FILES, ("in0",), ("out0",), "frq", "dense")
    assert (keys(job)["beside"], keys(job)["load"]) == ("0", "0")
    found = keys(replace(job, beside=2, load=4))
    assert (found["beside"], found["load"]) == ("2", "4")
    assert keys(replace(job, mode="sustained", seconds=600))["seconds"] == "600"
    assert keys(replace(job, mode="largest", extents=(640, 960)))["extents"] == "640x960"


def test_the_values_of_layers_are_written_where_they_are_asked_for() -> None:
    job = Job("layers", FILES, ("in0",), ("out0",), "frq", "dense", layer_answers=True)
    assert keys(job)["answers"] == "/a"


@pytest.mark.parametrize("name", ["", " /g", "/g\n", "/a #b", "#a", "/a\nthreads = 64", "/a\t#"])
def test_a_path_that_would_be_read_as_another_is_refused(name: str) -> None:
    job = Job("memory", Files(name, "/w", "/s", "/a"), ("in0",), ("out0",), "frq", "dense")
    with pytest.raises(UsageError, match="job file"):
        job.text(Protocol())


def test_pictures_take_the_place_of_samples() -> None:
    files = Files("g", "w", "pictures.bin", "a")
    job = Job("accuracy", files, ["in0"], ["out0"], "runtime", "stock", preprocess="to=3x2x2", stages="s")
    lines = job.text(Protocol()).splitlines()
    assert "pictures = pictures.bin" in lines
    assert "preprocess = to=3x2x2" in lines
    assert "stages = s" in lines
    assert not any(line.startswith("samples") for line in lines)
