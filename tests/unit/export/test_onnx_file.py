"""Networks as ONNX files: what a job's samples can fill, and nothing of the user's own computer in them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
from torch import nn

from bench.errors import ExportRefused, ToolMissing
from bench.export import onnx_file
from bench.records import Tensor


class Words(nn.Module):
    """Whole numbers and a vector in, a dict of two tensors out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(8, 6)
        self.table.weight.data = self.table.weight.data.half().float()
        self.last = nn.Linear(6, 3)

    def forward(self, words: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        seen = self.table(words).mean(1) * scale
        return {"scores": self.last(seen), "seen": seen}


INPUTS = (Tensor(name="in0", shape=(5,), dtype="int32"), Tensor(name="in1", shape=(6,)))
SAMPLES = (np.array([[1, 2, 3, 4, 7]], np.int32), np.linspace(-1, 1, 6, dtype=np.float32)[None])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    onnx_file.export(Words().eval(), INPUTS, SAMPLES, 2, path, half=True)
    return path


def test_the_file_answers_as_the_network_does(written: Path) -> None:
    model = onnx.load(written)
    onnx.checker.check_model(model)
    feeds = dict(zip(("in0", "in1"), SAMPLES, strict=True))
    found = onnx.reference.ReferenceEvaluator(model).run(["out0", "out1"], feeds)
    with torch.no_grad():
        wanted = Words().eval()(torch.from_numpy(SAMPLES[0]).long(), torch.from_numpy(SAMPLES[1]))
    for one, tensor in zip(found, wanted.values(), strict=True):
        np.testing.assert_allclose(one, tensor.numpy(), rtol=1e-5, atol=1e-6)


def test_only_weights_that_lose_nothing_are_stored_as_float16(written: Path) -> None:
    weights = onnx.load(written).graph.initializer
    halves = [tuple(w.dims) for w in weights if w.data_type == onnx.TensorProto.FLOAT16]
    assert halves == [(8, 6)]


def test_nothing_of_the_users_source_is_in_it(written: Path) -> None:
    assert b"forward" not in written.read_bytes()
    assert str(Path(__file__).parent).encode() not in written.read_bytes()


def test_a_users_file_gets_inputs_that_samples_fill(tmp_path: Path) -> None:
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [helper.make_node("Gather", ["table", "words"], ["rows"]), helper.make_node("ArgMax", ["rows"], ["best"])]
    table = onnx.numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "table")
    words = helper.make_tensor_value_info("words", kinds.INT64, [1, 2])
    best = helper.make_tensor_value_info("best", kinds.INT64, None)
    graph = helper.make_graph(nodes, "g", [words], [best], [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), str(tmp_path / "users.onnx"))
    inputs = (Tensor(name="in0", shape=(2,), dtype="int32"),)
    names = onnx_file.export_given(tmp_path / "users.onnx", inputs, tmp_path / "network.onnx")
    assert names == ("out0",)
    model = onnx.load(tmp_path / "network.onnx")
    (found,) = onnx.reference.ReferenceEvaluator(model).run(None, {"in0": np.array([[3, 1]], np.int32)})
    assert found.dtype == np.float32
    assert found.tolist() == [[[0, 0, 0], [0, 0, 0]]]


class Deciding(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum().item() > 0 else -x


def test_a_network_that_cannot_be_recorded_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match=r"torch\.export cannot record the network.*test_onnx_file\.py"):
        onnx_file.export(Deciding(), (INPUTS[1],), (SAMPLES[1],), 1, tmp_path / "network.onnx", half=False)


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network = torch.jit.script(nn.ReLU())
    with pytest.raises(ExportRefused, match="TorchScript"):
        onnx_file.export(network, (INPUTS[1],), (SAMPLES[1],), 1, tmp_path / "network.onnx", half=False)


def test_a_missing_extra_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ToolMissing, match="onnxscript cannot be found") as refused:
        onnx_file.export(nn.ReLU(), (INPUTS[1],), (SAMPLES[1],), 1, tmp_path / "network.onnx", half=False)
    assert refused.value.fix == "pip install 'fr-bench[onnxruntime]'"
