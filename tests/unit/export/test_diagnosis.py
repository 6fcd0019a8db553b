"""What an error is about, in the words of those who raise it."""

from __future__ import annotations

import pytest

from bench.conversion import KINDS, Stage
from bench.errors import BenchError, BuildFailed, ExportRefused, RunnerFailed, ToolMissing, WrongAbi
from bench.export.diagnosis import MOST_SAID, diagnosed, of_ending

ERRORS: list[tuple[Exception, Stage, str, str]] = [
    (ExportRefused("ncnn cannot do torch.topk\n  net.py:16: best = x.topk(4)"), "convert", "unsupported operator",
     "topk"),
    (ExportRefused("what the network does depends on the values of its input (item), at net.py:3: if x.max() > 0"),
     "answer", "values decide", ""),
    (ExportRefused("the shape of output out0 depends on the values of the input"), "answer", "dynamic shape", ""),
    (ExportRefused("the network draws random numbers at net.py:9: torch.rand(1)"), "answer", "not a function", ""),
    (ExportRefused("out0 of the exported network differs from the network's by 0.2 at (0,) of sample 1"), "compare",
     "wrong numbers", ""),
    (ExportRefused("pnnx could not convert the network (exit -11): "), "convert", "exporter crashed", ""),
    (ExportRefused("pnnx could not convert the network (exit -6): Calling torch.linalg.lu_factor on a CPU tensor"),
     "convert", "exporter crashed", "linalg.lu_factor"),
    (ExportRefused("pnnx did not convert network.pt within 1200 s"), "convert", "timeout", ""),
    (ToolMissing("the program pnnx is not installed", "pip install pnnx"), "convert", "not installed", ""),
    (WrongAbi("it runs armeabi-v7a"), "start", "not here", ""),
    (BuildFailed("the native runner did not compile"), "start", "not here", ""),
    (MemoryError(), "answer", "out of memory", ""),
    (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), "convert",
     "out of memory", ""),
    (ExportRefused("torch writes no ONNX file of TorchScript"), "convert", "not a torch module", ""),
    (ExportRefused("the network fails on an input of (1, 3): RuntimeError: mat1 and mat2"), "answer", "network fails",
     ""),
    (KeyError("weights"), "build", "network fails", ""),
    (RuntimeError("something of its own"), "convert", "exporter refused", ""),
    (RunnerFailed("the runner refused its job: bad graph"), "run", "does not run", ""),
]  # fmt: skip


@pytest.mark.parametrize(("error", "stage", "kind", "operator"), ERRORS, ids=lambda one: str(one)[:40])
def test_each_error_has_its_kind_and_its_operator(error: Exception, stage: Stage, kind: str, operator: str) -> None:
    found = diagnosed(error, stage)
    assert (found.kind, found.operator, found.stage) == (kind, operator, stage)
    assert found.kind in KINDS
    assert found.said


def test_the_place_in_the_users_source_is_taken_from_the_words() -> None:
    found = diagnosed(ExportRefused("ncnn cannot do torch.topk\n  net.py:16: best = x.topk(4)"), "convert")
    assert found.places == ("net.py:16: best = x.topk(4)",)
    assert "after the network" in found.fix


def test_the_line_is_looked_for_where_the_words_have_none() -> None:
    asked = []

    def lines(operator: str) -> tuple[str, ...]:
        asked.append(operator)
        return ("net.py:5: y = torch.linalg.inv(x)",)

    hidden = RuntimeError(
        "\x1b[96mstep 3\x1b[0m\nNo ONNX function found for <OpOverload(op='aten.linalg_inv_ex')>. \x1b[1m"
    )
    error = ExportRefused("torch's exporter to ONNX refuses it: ConversionError", "Replace that operator, or use ncnn.")
    error.__cause__ = hidden
    found = diagnosed(error, "convert", lines)
    assert asked == ["linalg_inv_ex"]
    assert found.places == ("net.py:5: y = torch.linalg.inv(x)",)
    assert found.said.splitlines()[1] == "No ONNX function found for <OpOverload(op='aten.linalg_inv_ex')>."
    assert "store it as a buffer" in found.fix


def test_words_are_bounded_and_control_nothing() -> None:
    found = diagnosed(BenchError("\x07\u202e" + "x" * 10_000), "convert")
    assert len(found.said) < 2 * MOST_SAID
    assert "\x07" not in found.said
    assert "\u202e" not in found.said


@pytest.mark.parametrize(
    ("status", "deadline", "stage", "starved", "kind"),
    [
        (0, 5.0, "convert", False, "timeout"), (-9, None, "convert", True, "out of memory"),
        (-9, None, "convert", False, "killed"), (-9, None, "build", None, "killed"),
        (-11, None, "convert", False, "exporter crashed"), (1, None, "answer", None, "network fails"),
    ],
)  # fmt: skip
def test_a_process_that_ended_without_a_word_has_a_kind_too(
    status: int, deadline: float | None, stage: Stage, starved: bool | None, kind: str
) -> None:
    found = of_ending(stage, status, "last words\n", deadline, starved=starved)
    assert found.kind == kind
    assert found.fix
