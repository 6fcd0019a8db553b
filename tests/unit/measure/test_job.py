"""The job file of one launch."""

from __future__ import annotations

import pytest

from bench.errors import UsageError
from bench.measure.job import Files, Job
from bench.plan import Protocol

FILES = Files("/g", "/w", "/s", "/a")


def keys(job: Job) -> dict[str, str]:
    lines = (line.partition(" = ") for line in job.text(Protocol()).splitlines())
    return {key: value for key, _, value in lines}


def test_each_mode_has_its_own_keys() -> None:
    common = {"inputs": "in0,in1", "outputs": "out0", "threads": "4", "affinity": "0xf0", "contract": "2"}
    for mode, own in (("accuracy", {"answers"}), ("latency", {"min_iterations", "max_iterations"}), ("memory", set())):
        found = keys(Job(mode, FILES, ("in0", "in1"), ("out0",), "frq", "dense", 4, "bf16", 0xF0))  # type: ignore[arg-type]
        assert common.items() <= found.items()
        assert own <= found.keys()
        assert ("answers" in found) == (mode == "accuracy")
        assert ("warmup_ms" in found) == (mode == "latency")


@pytest.mark.parametrize("name", ["", " /g", "/g\n", "/a #b", "#a", "/a\nthreads = 64", "/a\t#"])
def test_a_path_that_would_be_read_as_another_is_refused(name: str) -> None:
    job = Job("memory", Files(name, "/w", "/s", "/a"), ("in0",), ("out0",), "frq", "dense")
    with pytest.raises(UsageError, match="job file"):
        job.text(Protocol())
