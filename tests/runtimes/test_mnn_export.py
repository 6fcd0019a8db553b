"""MNN's converter: what it writes today answers as the network does. `make test-runtimes` installs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import runtimes
from bench.errors import ExportRefused
from bench.export import eager
from bench.runtimes.mnn import exporter
from bench.runtimes.runtime import Shown
from tests.e2e.loaded_kit import launched
from tests.loaded_network import INPUTS, OUTPUTS, SAMPLES, answers, network

pytestmark = [pytest.mark.exporters, pytest.mark.timeout(900)]


def test_what_is_written_answers_as_the_network_does(tmp_path: Path) -> None:
    shown = Shown(SAMPLES, eager.answers(network(), SAMPLES))
    runtimes.runtime("mnn").export(network(), INPUTS, shown, tmp_path)
    names = {"inputs": "in0,in1", "outputs": ",".join(OUTPUTS)}
    done = launched("mnn", tmp_path / "network.mnn", SAMPLES, tmp_path, **names)
    assert np.abs(done.values(len(SAMPLES[0])) - answers()).max() <= 1e-5 * np.abs(answers()).max()


def test_what_the_converter_cannot_read_is_refused_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"no ONNX file")
    with pytest.raises(ExportRefused, match=r"MNN's converter refuses it: Check failed"):
        exporter.convert(tmp_path / "network.onnx", tmp_path / "network.mnn")
