"""The pnnx program and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import ExportRefused, ToolMissing
from bench.export import eager, pnnx, torchscript
from bench.networks import resolve
from bench.records import Tensor


def test_pnnx_refuses_what_is_no_network(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.pt").write_bytes(b"this is not TorchScript")
    with pytest.raises(ExportRefused, match="could not convert"):
        pnnx.convert(tmp_path / "broken.pt", [Tensor(name="in0", shape=(1, 4, 4))])
    assert capfd.readouterr() == ("", "")


def test_pnnx_has_a_deadline(tmp_path: Path) -> None:
    network, samples = resolve("unet").build(), [np.zeros((1, 3, 32, 32), np.float32)]
    torchscript.trace(network, samples, eager.answers(network, samples), tmp_path / "network.pt")
    with pytest.raises(ExportRefused, match="within 0 s"):
        pnnx.convert(tmp_path / "network.pt", [Tensor(name="in0", shape=(3, 32, 32))], deadline_s=0.05)


def test_a_missing_pnnx_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(__import__("sys").modules, "pnnx", raising=False)
    with pytest.raises(ToolMissing, match="pnnx"):
        pnnx.program()
