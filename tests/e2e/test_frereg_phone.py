"""A checkpoint of the FR authors' package, from their file to answers on a phone: one of our own making, and their UNet
with four Carvana pairs where these lie beside the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.compress.frequency import package, restore
from bench.networks import resolve
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, bench, run
from tests.unit.compress.frequency.test_frereg import AUTHORS, checkpoint, saved, sparse

AUTHORS_DICE = 0.9784
"""Of the authors' script over their pairs: images / 255, the larger logit, Dice of the vehicle, mean over images."""


def pairs(frq: Path, folder: Path) -> Path:
    """Pictures with the masks that the network itself answers."""
    network = restore.restored(resolve("unet").learner(), package.read(frq.read_bytes())).eval()
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    random = np.random.default_rng(3)
    for number in range(2):
        pixels = random.integers(0, 256, (64, 96, 3), np.uint8)
        with torch.no_grad():
            scores = network(torch.from_numpy(pixels.transpose(2, 0, 1)[None] / np.float32(255)))
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        Image.fromarray((scores.argmax(1)[0].numpy() * 255).astype(np.uint8)).save(folder / "masks" / f"{number}.png")
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize("given", [None, *AUTHORS], ids=lambda path: path.parent.name if path else "own")
def test_a_checkpoint_answers_on_the_phone_as_on_the_desktop(
    given: Path | None, virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    state = given or saved(tmp_path, sparse(checkpoint(resolve("unet").learner(), kept=33)))
    frq = tmp_path / "unet.frq"
    bench("import", "frereg", state, "--model", "unet", "-o", frq, env=env)
    assert frq.stat().st_size <= 4500

    data, expected = (given.parent, AUTHORS_DICE) if given else (pairs(frq, tmp_path / "pairs"), 1.0)
    height, width = (640, 959) if given else (64, 96)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'name = "frereg"\n{QUICK.replace("launches = 3", "launches = 1")}\n[[cases]]\nmodel = "unet"\n'
        f'weights = "{frq}"\ndata = "{data}"\ninput_size = [{height}, {width}]\n'
        'variants = ["fr-factored", "fr-resident"]\n'
    )
    found = run("-s", virtual_phone.serial, "--plan", plan, "--results", tmp_path, env=env)
    assert set(found.frame.status) == {"ok"}, set(found.frame.reason)
    dice = found.summaries("dice", device=virtual_phone.serial)
    assert len(dice) == 2
    for s in dice:
        assert s["statistics"]["median"] == pytest.approx(expected, abs=5e-4)
    assert all(s["statistics"]["median"] > 0.999 for s in found.summaries("agreement"))
