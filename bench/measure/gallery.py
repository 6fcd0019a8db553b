"""Some samples of a network kept as pictures: with what is right, and the eager network's and a phone's answers.

Of networks whose input is a picture, grey or in colours. Classes are not kept: they are among the answers' facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import CorruptData
from bench.measure import answers
from bench.preprocess import Preprocess
from bench.records import ArtifactFile, Expected, Subject, Task
from bench.results.pictures import SIDE, Pictures

MOST = 6
"""Samples of a network that are kept."""
WORST = 2
"""Of these, so many are chosen for bad answers; the others by lot."""
SEED = 20_230_417
_MOST_CLASSES = 256

Values = NDArray[Any]


class Gallery:
    """The pictures of one network. Those of inputs, truth and the eager network's answers are stored at once; `keep`
    adds the answers of launches on `device`."""

    def __init__(
        self, pictures: Pictures, model: str, task: Task, samples: ArtifactFile, preprocess: Preprocess | None,
        expected: Mapping[str, Expected], device: str,
    ) -> None:  # fmt: skip
        self._pictures, self._model, self._task, self._device = pictures, model, task, device
        self._expected, self._kept = expected, set[str]()
        self._chosen: dict[int, bool] = {}
        self._limits = _limits(expected)
        if task != "other" and expected:
            with suppress(CorruptData):  # answers that are not finite: its trials will say so
                self._open(samples, preprocess)

    def keep(self, subject: Subject, output: Values) -> None:
        """Store what a subject answered, (N, *shape), if it is the first of its variant on the device."""
        if subject.device == self._device and subject.variant not in self._kept and self._chosen:
            self._kept.add(subject.variant)
            for index, picture in self._answers(output, self._expected[subject.variant].outputs[0]).items():
                self._pictures.add(picture, self._model, index, "answer", subject=subject)

    def _open(self, samples: ArtifactFile, preprocess: Preprocess | None) -> None:
        from bench.data import packed

        chosen = choose(self._task, self._expected)
        shown = packed.some(samples.path, list(chosen))[0]
        inputs = {index: as_input(values, preprocess) for index, values in zip(chosen, shown, strict=True)}
        if any(picture is None for picture in inputs.values()):
            return
        self._chosen = chosen
        for index, picture in inputs.items():
            if picture is not None:
                self._pictures.add(picture, self._model, index, "input", worst=chosen[index])
        labels = next(iter(self._expected.values())).labels
        if labels is not None and labels.ndim > 1:
            for index in chosen:
                if (picture := self._pictured(labels[index])) is not None:
                    self._pictures.add(picture, self._model, index, "truth")
        for variant, one in self._expected.items():
            for index, picture in self._answers(one.outputs[0], one.outputs[0]).items():
                self._pictures.add(picture, self._model, index, "reference", variant=variant)

    def _answers(self, output: Values, reference: Values) -> dict[int, Image.Image]:
        """By sample; none for classes of whole samples."""
        if self._task == "classification":
            return {}
        some = output[list(self._chosen)]
        values: Values = answers.classes(some, reference) if self._task == "segmentation" else some
        found = {index: self._pictured(one) for index, one in zip(self._chosen, values, strict=True)}
        return {index: picture for index, picture in found.items() if picture is not None}

    def _pictured(self, values: Values) -> Image.Image | None:
        """Classes (H, W) as they are, a pixel's brightness its class; other values (C, H, W) between the limits."""
        if values.dtype.kind in "iu":
            if values.ndim != 2 or values.min() < 0 or values.max() >= _MOST_CLASSES:
                return None
            return _small(Image.fromarray(values.astype(np.uint8)), Image.Resampling.NEAREST)
        low, high = self._limits
        return _image((values - low) / (high - low) * 255)


def choose(task: Task, expected: Mapping[str, Expected]) -> dict[int, bool]:
    """The samples to keep, in order, and whether each was chosen for bad answers of the eager networks.

    One is the worst for all variants together, one that for which a variant is worst beside the first.
    """
    first = next(iter(expected.values()))
    count = len(first.outputs[0])
    worst: list[int] = []
    if first.labels is not None and len(first.labels) == count:
        bad = np.stack([_badness(one.outputs[0], one.labels, task) for one in expected.values()])
        beside = (bad - bad[0]).max(axis=0)
        worst = [int(bad.sum(axis=0).argmax())] * bool(bad.max() > bad.min())
        worst += [int(beside.argmax())] * bool(beside.max() > 0)
    worst = list(dict.fromkeys(worst))[:WORST]
    by_lot = np.random.default_rng(SEED).permutation(count)
    rest = [int(index) for index in by_lot if int(index) not in worst][: MOST - len(worst)]
    return {index: index in worst for index in sorted((*worst, *rest))}


def _badness(output: Values, labels: Values | None, task: Task) -> NDArray[np.float64]:
    """How bad the answer to each sample is (N,), in any measure."""
    if labels is None or (task == "reconstruction" and labels.shape != output.shape):
        return np.zeros(len(output))
    if task == "reconstruction":
        return np.asarray(((output.astype(np.float64) - labels) ** 2).reshape(len(output), -1).mean(axis=1))
    found = answers.facts(output, output, labels, task)
    if task == "classification":
        wrong = found["rank"] > 0
        return np.where(wrong, 1 + found["confidence"], 1 - found["confidence"])
    # One minus Dice, mean over the classes that a sample has; the ground is none where there are more than two.
    names = [fact.removeprefix("both") for fact in found if fact.startswith("both") and fact != "both.0"]
    sizes = np.stack([found[f"ours{name}"] + found[f"theirs{name}"] for name in names])
    dice = np.stack([2 * found[f"both{name}"] for name in names]) / np.maximum(sizes, 1)
    return 1 - np.where(sizes.any(axis=0), dice.sum(axis=0) / np.maximum((sizes > 0).sum(axis=0), 1), 1)


def as_input(values: Values, preprocess: Preprocess | None) -> Image.Image | None:
    """An input (C, H, W) as the picture that it was made of; None for what is no picture.

    Without a `preprocess` its own range becomes black to white.
    """
    if values.ndim != 3 or values.shape[0] not in (1, 3) or values.dtype.kind != "f" or not np.isfinite(values).all():
        return None
    if preprocess is None:
        low, high = float(values.min()), float(values.max())
        return _image((values - low) / (high - low or 1.0) * 255)
    mean, deviation = (np.asarray(one)[:, None, None] for one in (preprocess.mean, preprocess.deviation))
    pixels = (values * deviation + mean) / preprocess.scale
    return _image(pixels[::-1] if preprocess.channels == "bgr" else pixels)


def _limits(expected: Mapping[str, Expected]) -> tuple[float, float]:
    """Black and white of pictures that networks answer with: by the targets, else by what the eager networks answer."""
    labels = next((one.labels for one in expected.values()), None)
    values = labels if labels is not None and labels.dtype.kind == "f" else None
    if values is None:
        outputs = [one.outputs[0] for one in expected.values()]
        low, high = (min(float(o.min()) for o in outputs), max(float(o.max()) for o in outputs)) if outputs else (0, 1)
    else:
        low, high = float(values.min()), float(values.max())
    for least, most in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if least <= low and high <= most:
            return least, most
    return low, high if high > low else low + 1


def _image(pixels: Values) -> Image.Image | None:
    """Values 0..255 (C, H, W), rounded and cut; None for other than one or three channels."""
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3):
        return None
    whole = np.nan_to_num(pixels, nan=0, posinf=255, neginf=0).round().clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(whole[0] if len(whole) == 1 else np.ascontiguousarray(whole.transpose(1, 2, 0)))
    return _small(picture, Image.Resampling.LANCZOS)


def _small(picture: Image.Image, how: Image.Resampling) -> Image.Image:
    largest = max(picture.size)
    if largest <= SIDE:
        return picture
    width, height = (max(1, round(side * SIDE / largest)) for side in picture.size)
    return picture.resize((width, height), how)
