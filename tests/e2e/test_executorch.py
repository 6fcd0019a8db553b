"""ExecuTorch under the same core as ncnn, with files that its exporter wrote once (tests/golden/make_pte.py)."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import runtimes
from bench.cache import Cache
from bench.runtimes.executorch.source import VERSION
from tests.e2e.loaded_kit import LATENCY, Ended, launched, silent
from tests.e2e.native_kit import EXITS
from tests.exported import example

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="GNU's headers come from Debian's packages"),
]
FILES = Path(__file__).parent.parent / "golden" / "executorch"
WORDS = {"inputs": "in0,in1", "outputs": "out0,out1"}


def measured(name: str, folder: Path, **changes: Any) -> Ended:
    return launched("executorch", changes.pop("graph", FILES / f"{name}.pte"), example(name).samples, folder, **changes)


def expect_answers(done: Ended, name: str) -> None:
    wanted = np.concatenate(example(name).answers(), axis=1)
    assert np.abs(done.values(len(wanted)) - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_it_answers_as_torch_does_on_as_many_threads_as_asked_and_reports_as_ncnn_does(tmp_path: Path) -> None:
    done = measured("pictures", tmp_path, environment={"LD_PRELOAD": "/nowhere.so"}, threads=2, affinity="0x1")
    assert [event["event"] for event in done.events] == [
        "environment", "load", "first_inference", "answers", "memory", "end",
    ]  # fmt: skip
    environment = done.event("environment")
    assert environment["runtime"] == f"executorch {VERSION}"
    assert environment["threads"] == 2
    assert environment["cpus_allowed"] == "0"
    assert 0 < environment["library_rss"] < done.event("memory")["vm_hwm"]
    expect_answers(done, "pictures")


def test_whole_numbers_several_inputs_and_outputs_go_through_its_own_kernels(tmp_path: Path) -> None:
    done = measured("words", tmp_path, **WORDS)
    assert done.event("answers")["counts"] == [3, 6]
    assert done.errors == ""
    expect_answers(done, "words")


def test_outputs_are_those_that_the_job_names_in_its_order(tmp_path: Path) -> None:
    scores, seen = example("words").answers()
    done = measured("words", tmp_path, **WORDS | {"outputs": "out1,out0"})
    np.testing.assert_allclose(done.values(len(seen)), np.concatenate([seen, scores], axis=1), atol=1e-6)
    done = measured("words", tmp_path, **WORDS | {"outputs": "out1"})
    np.testing.assert_allclose(done.values(len(seen)), seen, atol=1e-6)


def test_every_pass_of_its_runs(tmp_path: Path) -> None:
    done = measured("pictures", tmp_path, mode="latency", answers=None, beside=1, load=1, **LATENCY)
    assert sum(event["event"] == "iteration" for event in done.events) == 5
    assert done.event("beside")["copies"] == 1
    done = measured("pictures", tmp_path, mode="sustained", answers=None, seconds=1)
    assert done.event("window")["iterations"] > 0
    assert measured("pictures", tmp_path, mode="memory", answers=None).status == 0


@pytest.mark.parametrize(
    ("name", "changes", "kind", "words"),
    [
        ("ranks", {}, "bad_graph", "aten::sort"),
        ("pictures", {"outputs": "scores"}, "bad_graph", "the graph has no output scores"),
        ("pictures", {"outputs": "out1"}, "bad_graph", "the graph has no output out1"),
        ("pictures", {"inputs": "other"}, "bad_graph", "the graph has no input other"),
        ("pictures", {"graph": "/dev/null"}, "bad_graph", ""),
        ("pictures", {"graph": "/nowhere.pte"}, "missing_file", "/nowhere.pte"),
        ("pictures", {"precision": "fp16a"}, "unsupported", "computes in fp32"),
        ("pictures", {"weights_format": "frq", "execution": "dense"}, "unsupported", "does not load frq weights"),
        ("pictures", {"graph": FILES / "ranks.pte"}, "bad_graph", "aten::sort"),
        ("pictures", {"graph": FILES / "words.pte"}, "bad_samples", "takes 2 inputs, not 1"),
        ("words", WORDS | {"inputs": "in1,in0"}, "bad_samples", "another shape than 1x6"),
    ],
)
def test_what_executorch_cannot_do_it_says(
    tmp_path: Path, name: str, changes: dict[str, Any], kind: str, words: str
) -> None:
    done = measured(name, tmp_path, **changes)
    assert done.event("error")["kind"] == kind, done
    assert words in done.event("error")["message"]
    assert done.status == EXITS[kind]


def test_damaged_files_are_refused_or_harmless(tmp_path: Path) -> None:
    whole = (FILES / "pictures.pte").read_bytes()
    rng = np.random.default_rng(7)
    cuts = [whole[:length] for length in (0, 7, 40, len(whole) // 3, len(whole) - 1)]
    flips = []
    for place in rng.integers(0, 2000, 12):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        flips.append(bytes(changed))
    for data in (*cuts, *flips):
        (tmp_path / "damaged.pte").write_bytes(data)
        done = measured("pictures", tmp_path, graph=tmp_path / "damaged.pte")
        assert done.status == 0 or done.event("error")["kind"] in {
            "bad_graph", "bad_samples", "inference_failed", "out_of_memory",
        }  # fmt: skip


def test_a_phone_that_hides_its_cpus_is_told_before_executorch_counts_them(tmp_path: Path) -> None:
    done = measured("pictures", tmp_path, environment={"BENCH_SYSFS_ROOT": str(tmp_path)})
    assert [event["event"] for event in done.events] == ["error", "end"]
    assert "does not let programs read" in done.event("error")["message"]


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-user-static is not installed")
@pytest.mark.parametrize(("name", "names"), [("pictures", {}), ("words", WORDS)])
def test_an_arm_processor_answers_alike(tmp_path: Path, name: str, names: dict[str, str]) -> None:
    done = measured(name, tmp_path, abi="arm64-v8a", before=["qemu-aarch64-static"], threads=2, **names)
    expect_answers(done, name)


def test_what_is_pushed_has_the_kernels_and_fits_pages_of_16_kib() -> None:
    program = runtimes.runtime("executorch").program(("arm64-v8a",), False, Cache(), silent)
    assert 8e6 < program.facts["bytes"][f"ExecuTorch {VERSION}"] < 16e6
    for file in program.files:
        data = file.path.read_bytes()
        (start,), (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
        parts = [struct.unpack_from("<IIQQQQQQ", data, start + number * size) for number in range(count)]
        assert min(part[-1] for part in parts if part[0] == 1) >= 16 * 1024
