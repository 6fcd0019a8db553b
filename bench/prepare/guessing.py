"""The classes that pictures may be of, and what a network makes of pictures that nobody has labelled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench import networks
from bench.errors import CorruptData, UsageError
from bench.files import reason
from bench.networks.network import Network
from bench.preprocess import DEFAULT, Preprocess

if TYPE_CHECKING:
    from bench.compress.learner import Stage

MOST_BYTES = 1 << 20
_AT_ONCE = 64


class Classes(NamedTuple):
    """Names in the order of their numbers, where they come from, and how pictures of that data become inputs."""

    names: tuple[str, ...]
    source: str
    preprocess: Preprocess | None = None


def classes_of(origin: str) -> Classes:
    """The classes that a text file lists, a line each; of data (docs/data.md); or of a network, which are numbers.

    Raises UsageError, UnknownName and CorruptData.
    """
    path = Path(origin)
    if path.is_file() and path.suffix.lower() in (".txt", ".names", ".labels"):
        return Classes(_listed(path), origin)
    if path.exists() and path.suffix.lower() != ".py":
        from bench.data.readers import read

        found = read(path)
        if found.task != "classification":
            raise UsageError(f"{path} has no classes of pictures", "Name data with class folders or labels.")
        answers = [item.answer for item in (*found.train, *found.test) if isinstance(item.answer, int)]
        names = found.classes or tuple(map(str, range(max(answers, default=-1) + 1)))
        return Classes(names, origin, found.preprocess)
    return of_network(networks.resolve(origin))


def of_network(network: Network) -> Classes:
    """The numbers of a network's classes. Raises UsageError for one that tells none apart."""
    return Classes(tuple(map(str, range(outputs(network)))), f"the network {network.name}", network.preprocess)


def _listed(path: Path) -> tuple[str, ...]:
    from bench.files import read_bounded

    try:
        text = read_bounded(path, MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read as a list of classes: {reason(error)}", "Write a name a line."
        ) from None
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def outputs(network: Network) -> int:
    """How many classes the network tells apart. Raises UsageError for one that does not."""
    import torch

    from bench.guest import guest
    from bench.networks.count import examples

    if network.task != "classification":
        raise UsageError(f"{network.name} does {network.task}, not classification", "Name a classifier.")
    with torch.no_grad(), guest():
        answer = network.build()(*examples(network.inputs))
    if not isinstance(answer, torch.Tensor) or answer.dim() != 2:
        raise UsageError(f"{network.name} does not answer with a number for each class", "Name a classifier.")
    return int(answer.shape[1])


def guesses(network: Network, pictures: Sequence[Path], classes: Classes, stage: Stage) -> dict[str, tuple[str, float]]:
    """By the name of the file: the network's class for each picture and the probability (softmax) that it gives it;
    pictures that cannot be read have none. Raises UsageError for a network that has not these classes, or whose
    answers mean nothing."""
    import torch

    from bench.data.collection import Item, Pictures
    from bench.data.readers.pictures import decoded
    from bench.guest import guest

    if not network.trained:
        raise UsageError(f"{network.name} is not trained, so that its guesses mean nothing", "Add --weights FILE.")
    if (count := outputs(network)) != len(classes.names):
        raise UsageError(
            f"{network.name} tells {count} classes apart, and {classes.source} has {len(classes.names)}",
            "Name the classes of this network, in its order.",
        )
    how = network.preprocess or classes.preprocess or DEFAULT
    module, progress = network.build(), stage(f"ask {network.name} about {len(pictures):,} pictures")
    found: dict[str, tuple[str, float]] = {}
    for start in range(0, len(pictures), _AT_ONCE):
        progress(start / len(pictures), f"{start:,} of {len(pictures):,}")
        inputs, names = [], []
        for path in pictures[start : start + _AT_ONCE]:
            part = Pictures([Item(str(path), partial(decoded, path), None, path)], how, network.shape)
            try:
                inputs.append(part.read().inputs[0])
                names.append(path.name)
            except CorruptData:
                continue
        if not names:
            continue
        with torch.no_grad(), guest():
            shares = module(torch.from_numpy(np.stack(inputs))).softmax(1)
        for name, row in zip(names, shares, strict=True):
            best = int(row.argmax())
            found[name] = (classes.names[best], float(row[best]))
    progress(1.0, "ready")
    return found
