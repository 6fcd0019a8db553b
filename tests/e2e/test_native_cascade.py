"""A cascade in the native runner: who answers which sample, in every mode, held against the same in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.native_kit import EXITS, Run, graph, measure, ncnn_weights

PARAM = graph("Input in0 0 1 in0 0=4", "InnerProduct fc 1 1 in0 out0 0=3 1=0 2=12")
RANDOM = np.random.default_rng(5)
SMALL, ROBUST = (RANDOM.normal(size=(3, 4)).astype(np.float32) for _ in range(2))
SAMPLES = RANDOM.normal(size=(40, 4)).astype(np.float32)


def run(folder: Path, **changes: Any) -> Run:
    (folder / "small.param").write_text(PARAM)
    (folder / "small.bin").write_bytes(ncnn_weights((True, SMALL)))
    keys = {
        "weights_format": "runtime", "execution": "stock", "outputs": "out0,asked",
        "small_graph": folder / "small.param",
        "small_weights": folder / "small.bin", "threshold": "0.75", "temperature": "1.5", "cycle": "samples",
    }  # fmt: skip
    return measure(folder, PARAM, ncnn_weights((True, ROBUST)), SAMPLES, **(keys | changes))


def sure(temperature: float) -> np.ndarray:
    raised = np.exp(SAMPLES.astype(np.float64) @ SMALL.T / temperature)
    found: np.ndarray = (raised / raised.sum(axis=1, keepdims=True)).max(axis=1)
    return found


@pytest.mark.parametrize(("threshold", "temperature"), [("0.75", "1.5"), ("0.6", "0.3"), ("0", "1"), ("2", "1")])
def test_the_second_network_answers_exactly_where_the_first_is_not_sure(
    tmp_path: Path, threshold: str, temperature: str
) -> None:
    done = run(tmp_path, threshold=threshold, temperature=temperature)
    assert done.outputs is not None
    answers = done.outputs.reshape(len(SAMPLES), 4)
    asked = sure(float(temperature)) < float(threshold)
    np.testing.assert_array_equal(answers[:, 3], asked)
    wanted = np.where(asked[:, None], SAMPLES @ ROBUST.T, SAMPLES @ SMALL.T)
    np.testing.assert_allclose(answers[:, :3], wanted, rtol=1e-5, atol=1e-5)
    assert done.event("answers")["counts"] == [3, 1]


def test_timed_inferences_go_through_all_samples_and_say_which_way(tmp_path: Path) -> None:
    count = 3 * len(SAMPLES)
    done = run(tmp_path, mode="latency", min_iterations=count, max_iterations=count, min_ms=0)
    ways = [event["asked"] for event in done.events if event["event"] == "iteration"]
    assert sum(ways) == 3 * int((sure(1.5) < 0.75).sum())
    assert ways[: len(SAMPLES)] != sorted(ways[: len(SAMPLES)])


def test_without_cycling_every_inference_has_the_first_sample(tmp_path: Path) -> None:
    done = run(tmp_path, mode="latency", cycle=None)
    ways = {event["asked"] for event in done.events if event["event"] == "iteration"}
    assert ways == {int(sure(1.5)[0] < 0.75)}


@pytest.mark.parametrize("mode", ["memory", "sustained"])
def test_the_other_modes_run_a_cascade_too(tmp_path: Path, mode: str) -> None:
    done = run(tmp_path, mode=mode, **({"seconds": 1} if mode == "sustained" else {}))
    assert done.status == 0
    assert done.event("memory")["vm_hwm"] > 0


def test_copies_beside_a_cascade_are_cascades(tmp_path: Path) -> None:
    done = run(tmp_path, mode="latency", beside=1, min_ms=50, max_iterations=100_000)
    assert done.event("beside")["inferences"] > 0


REFUSED = [
    ({"threshold": "2.1"}, "bad_job", "between 0 and 2"), ({"threshold": "-0.5"}, "bad_job", "decimal"),
    ({"threshold": "nan"}, "bad_job", "decimal"), ({"threshold": "1e-3"}, "bad_job", "decimal"),
    ({"threshold": "."}, "bad_job", "decimal"), ({"threshold": None}, "bad_job", "threshold is missing"),
    ({"temperature": "0"}, "bad_job", "between 0.001"), ({"temperature": "0.5."}, "bad_job", "decimal"),
    ({"outputs": "out0"}, "bad_job", "one more"), ({"cycle": "all"}, "bad_job", "none of samples"),
    ({"small_graph": None, "small_weights": None, "temperature": None}, "bad_job", "threshold is unknown"),
    ({"small_graph": "/nowhere/small.param"}, "missing_file", "small.param"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "kind", "words"), REFUSED)
def test_what_is_no_cascade_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], kind: str, words: str
) -> None:
    done = run(tmp_path, **changes)
    assert done.status == EXITS[kind]
    assert words in done.event("error")["message"]


def test_a_cascade_of_one_class_is_unsupported(tmp_path: Path) -> None:
    one = graph("Input in0 0 1 in0 0=4", "InnerProduct fc 1 1 in0 out0 0=1 1=0 2=4")
    done = run(tmp_path)
    (tmp_path / "small.param").write_text(one)
    (tmp_path / "small.bin").write_bytes(ncnn_weights((True, SMALL[:1])))
    from tests.e2e.native_kit import execute

    done = execute(tmp_path / "job")
    assert done.status == EXITS["unsupported"]
    assert "two classes" in done.event("error")["message"]
