"""ExecuTorch files without ExecuTorch's exporter."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from bench import runtimes
from bench.errors import ExportRefused, ToolMissing
from bench.export import pte_file


def test_a_missing_exporter_is_named_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "executorch", None)
    with pytest.raises(ToolMissing, match="executorch, which cannot be found") as refused:
        pte_file.export(nn.ReLU(), (np.zeros((1, 6), np.float32),), tmp_path / "network.pte")
    assert refused.value.fix == "pip install 'fr-bench[executorch]'"
    assert runtimes.runtime("executorch").exporters["executorch"] in refused.value.fix


def test_an_onnx_file_is_refused_with_the_runtimes_that_take_it(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match=r"net\.onnx has no torch module") as refused:
        runtimes.runtime("executorch").export_given(tmp_path / "net.onnx", (), tmp_path)
    assert "onnxruntime" in refused.value.fix
