"""Makes what the loop starts from, of a data set in an .npz file: the data as a laboratory has it, and a camera's
folder from the field, where the light is bad.

    python pictures.py GTSRB.npz OUT --field 450 --seed 1

The field's pictures are of the data's test part, made worse (`worsened`); those left of that part are the laboratory's
to test with, so that no picture is in both. OUT gets `data.npz`, `camera/` (pictures with times as a camera gives them,
in bursts) and `truth.csv`, what a person would say of each, by the digest of the file.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

START = 1_790_000_000
"""Seconds since 1970 of the first picture."""


def worsened(picture: NDArray[np.uint8], random: np.random.Generator) -> Image.Image:
    """(H, W, 3), at dusk, out of focus and not in the middle, with the noise of a small sensor."""
    moved = np.roll(picture, random.integers(-4, 5, 2), axis=(0, 1))
    blurred = np.asarray(Image.fromarray(moved).filter(ImageFilter.GaussianBlur(random.uniform(0.6, 1.4))), np.float64)
    light = random.uniform(0.15, 0.4) * blurred + random.uniform(0, 25) + random.normal(0, 6, blurred.shape)
    return Image.fromarray(light.clip(0, 255).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--field", type=int, default=450, help="signs that are photographed")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    camera = given.out / "camera"
    camera.mkdir(parents=True)
    with np.load(given.data) as data:
        images, labels = data["test_images"], data["test_labels"]
        chosen = random.permutation(len(images))[: given.field]
        kept = np.setdiff1d(np.arange(len(images)), chosen)
        np.savez(
            given.out / "data.npz", train_images=data["train_images"], train_labels=data["train_labels"],
            test_images=images[kept], test_labels=labels[kept],
        )  # fmt: skip
    time, rows = START, []
    for number, index in enumerate(chosen):
        for shot in range(2 if number % 5 == 0 else 1):  # now and then two in a row
            path = camera / f"IMG_{number:04d}_{shot}.png"
            worsened(images[index], random).save(path)
            os.utime(path, (time, time))
            rows.append((hashlib.sha256(path.read_bytes()).hexdigest(), int(labels[index])))
            time += 1
        time += 40
    with (given.out / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
