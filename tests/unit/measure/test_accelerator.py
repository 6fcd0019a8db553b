"""What is concluded from the unit that computed a launch: what is told, what is tagged, and what fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.errors import RunnerFailed
from bench.measure import accelerator, lines

END = {"event": "end", "status": "ok", "exit": 0, "ns": 1}
GPU: dict[str, Any] = {
    "event": "accelerator", "device": "Adreno (TM) 740", "driver": "Qualcomm", "software": 0, "layers": 12,
    "elsewhere": 0, "names": [],
}  # fmt: skip
SOFTWARE = GPU | {"device": "llvmpipe (LLVM 15.0.6, 256 bits)", "driver": "llvmpipe", "software": 1}
FALLBACK = GPU | {"elsewhere": 2, "names": ["cumsum_0 (CumulativeSum)", "lstm_1 (LSTM)"]}


def told(event: dict[str, Any]) -> lines.Accelerator:
    found = lines.read([json.dumps(event), json.dumps(END)], 0).accelerator
    assert found is not None
    return found


def test_a_gpu_that_computes_every_layer_is_told_and_accepted() -> None:
    one = told(GPU)
    assert accelerator.words(one) == {
        "device": "Adreno (TM) 740, driver Qualcomm", "layers computed there": "12 of 12",
    }  # fmt: skip
    assert accelerator.doubts(one, "latency") == ()
    accelerator.refuse_fallback(one)


def test_layers_on_the_cpu_are_named_with_their_operators() -> None:
    one = told(FALLBACK)
    assert accelerator.words(one)["layers computed there"] == "10 of 12"
    with pytest.raises(RunnerFailed, match=r"2 of 12 layers .*: cumsum_0 \(CumulativeSum\), lstm_1 \(LSTM\)\n"):
        accelerator.refuse_fallback(one)


def test_of_very_many_layers_the_first_are_named() -> None:
    names = [f"lstm_{i} (LSTM)" for i in range(40)]
    with pytest.raises(RunnerFailed, match=r"lstm_7 \(LSTM\) and 35 more\n"):
        accelerator.refuse_fallback(told(GPU | {"layers": 50, "elsewhere": 43, "names": names}))


def test_a_software_vulkan_is_no_gpu() -> None:
    one = told(SOFTWARE)
    assert "a software Vulkan (a CPU)" in accelerator.words(one)["device"]
    for pass_ in ("latency", "memory", "sustained", "contended", "energy"):
        assert accelerator.doubts(one, pass_) == (
            "computed by llvmpipe (LLVM 15.0.6, 256 bits), a software Vulkan (a CPU): its figures are no GPU's",
        )  # fmt: skip
    assert accelerator.doubts(one, "accuracy") == accelerator.doubts(one, "size") == ()
    with pytest.raises(RunnerFailed, match="is a software Vulkan, which computes on the CPU"):
        accelerator.refuse_fallback(one)


def test_where_cpus_compute_nothing_is_said() -> None:
    assert accelerator.doubts(lines.read([json.dumps(END)], 0).accelerator, "latency") == ()


@pytest.mark.parametrize(
    "change",
    [
        {"software": 2}, {"software": True}, {"layers": 1, "elsewhere": 2}, {"elsewhere": 1}, {"names": ["a"]},
        {"names": None}, {"layers": None},
    ],
)  # fmt: skip
def test_an_event_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RunnerFailed):
        told(GPU | change)


def test_a_devices_words_are_short_and_printable() -> None:
    assert told(GPU | {"device": "\x1b[2J" + "x" * 900}).device == r"\x1b[2J" + "x" * 296
