"""A checkpoint of the FR authors' package, from their file to answers on a phone: one of our own making, and their UNet
with four Carvana pairs where these lie beside the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bench.station import Station, bring, leave, measure, phone_station
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from bench.analyse.scores import scores
from bench.cache import Cache, sha256_file
from bench.cli.main import app
from bench.compress.frequency import factor, layers, package, restore
from bench.data import packed
from bench.devices.adb import AdbServer
from bench.export import artifact
from bench.measure import answers
from bench.networks import resolve
from bench.plan import Case, Protocol
from bench.prepare import Prepared
from bench.records import Artifact, ArtifactFile, Execution, Trial
from bench.virtual.phone import VirtualPhone
from tests.unit.compress.frequency.test_frereg import AUTHORS, checkpoint, saved, sparse

AUTHORS_DICE = 0.9784
"""Of the authors' script over their pairs: images / 255, the larger logit, Dice of the vehicle, mean over images."""


def pairs(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (N, 3, H, W) in 0..1 and masks (N, H, W) of 0 and 1."""
    images = [np.asarray(Image.open(path).convert("RGB")) for path in sorted((folder / "images").iterdir())]
    masks = [np.asarray(Image.open(path)) > 127 for path in sorted((folder / "masks").iterdir())]
    return np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 255, np.stack(masks).astype(np.int64)


def exported(network: nn.Module, shipped: package.Package, folder: Path) -> None:
    """Graph and weights of the UNet. Its graph says nothing of the size but where a row or column is missing: what a
    width of 47 has in common with 959."""
    recipes = [artifact.Recipe(package.blob(tensor), typed=True) for tensor in shipped.tensors]
    order = artifact.export_recipes(layers.decoded(network), (3, 32, 47), recipes, folder)
    tensors = tuple(shipped.tensors[loaded.index] for loaded in order)
    (folder / "weights.frq").write_bytes(package.write(package.Package(shipped.name, tensors)))


@pytest.fixture
def station(virtual_phone: VirtualPhone) -> Station:
    transport = AdbServer.from_address(None).choose(virtual_phone.serial)
    return phone_station(transport, Cache(), lambda fraction, words: None)


def prepared(
    folder: Path, inputs: NDArray[np.float32], labels: NDArray[np.int64], reference: NDArray[np.float32], how: Execution
) -> Prepared:
    packed.write(folder / "samples.bin", [inputs])
    files = {"graph": folder / "graph.param", "weights": folder / "weights.frq"}
    made = Artifact(
        model="unet", variant=how,
        files=tuple(
            ArtifactFile(role=role, path=path, sha256=sha256_file(path), bytes=path.stat().st_size)  # type: ignore[arg-type]
            for role, path in files.items()
        ),
        weights_format="frq", execution=how, input_shape=inputs.shape[1:], output_shape=reference.shape[1:],
        task="segmentation", parameters=31_043_586, verified_max_abs_delta=0, verified_max_abs_reference=1, tolerance=0,
    )  # fmt: skip
    assert made.deployed_bytes <= 4500
    return Prepared((made,), folder / "samples.bin", labels, {how: reference}, "test")


@pytest.mark.parametrize("given", [None, *AUTHORS], ids=lambda path: path.parent.name if path else "own")
def test_a_checkpoint_answers_on_the_phone_as_on_the_desktop(
    given: Path | None, station: Station, tmp_path: Path
) -> None:
    ordinary = resolve("unet").learner()
    state = given or saved(tmp_path, sparse(checkpoint(ordinary, kept=33)))
    done = CliRunner().invoke(
        app, ["import", "frereg", str(state), "--model", "unet", "-o", str(tmp_path / "unet.frq")]
    )
    assert done.exit_code == 0, done.output
    shipped = package.read((tmp_path / "unet.frq").read_bytes())
    network = restore.restored(ordinary, shipped).eval()
    exported(network, shipped, tmp_path)

    inputs = pairs(given.parent)[0] if given else np.random.default_rng(3).random((2, 3, 64, 95), np.float32)
    with torch.no_grad():
        desktop = factor.factored(network).eval()
        reference = np.concatenate([desktop(torch.from_numpy(one[None])).numpy() for one in inputs])
    labels = pairs(given.parent)[1] if given else reference.argmax(1)
    expected = AUTHORS_DICE if given else 1.0
    answered = answers.facts(reference, reference, labels, "segmentation")
    assert scores(answered)["dice"].value == pytest.approx(expected, abs=5e-4)

    executions: tuple[Execution, ...] = ("factored",) if given else ("factored", "dense")
    for how in executions:
        one = prepared(tmp_path, inputs, labels, reference, how)
        bring(station, [one])
        trial = Trial(
            model="unet", variant=how, device=station.device.serial, runtime="native", pass_="accuracy", threads=1
        )
        found = measure(trial, station, Case(model="unet"), Protocol(), one)
        assert found.status == "ok", found.reason
        samples = {sample.metric: sample.value for sample in found.samples}
        assert samples["accuracy"] == pytest.approx(expected, abs=5e-4)
        assert samples["agreement"] > 0.9999
        assert samples["max_abs_delta"] <= 1e-3 * samples["max_abs_reference"]
    leave(station)
