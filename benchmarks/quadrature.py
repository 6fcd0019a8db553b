"""What computing an FR UNet at fewer points costs in Dice, for three ways to choose the points and their weights.

    python -m benchmarks.quadrature [--package NAME.frq …] [--checkpoint unet_fr.pt --pictures images/ masks/]

Prints a table, and with --svg draws the figure of docs/resident.md. The points are the middles of equal parts, those of
Gauss and Legendre, or the middles again with weights fitted by nonnegative least squares on one picture.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import nnls
from torch import Tensor, nn

from bench import networks
from bench.compress.frequency import frereg, layers, package, quadrature, restore
from bench.compress.frequency.narrow import Narrowing, Scheme, narrowed
from bench.compress.frequency.quadrature import Quadrature
from bench.compress.frequency.widths import Question
from bench.data import vehicles
from bench.export import frequency
from bench.networks.builtin.unet import UNet
from benchmarks import width_figure

WIDTHS = (64, 32, 16, 12, 8, 6, 4)
PACKAGES = ("unet", "unet-8k", "unet-16k")
PIXELS = 1500
"""Of the picture that weights are fitted on, for each layer."""

Shown = tuple[Tensor, NDArray[np.bool_]]
"""Pictures (N, 3, H, W) and masks (N, H, W)."""


def exported(network: nn.Module, folder: Path) -> frequency.Exported:
    """The graph of a compressed UNet, converted in `folder` unless it was before: it takes minutes."""
    if not (folder / "graph.param").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        frequency.export_fr("unet", network, networks.resolve("unet").inputs, folder)
    return frequency.read(folder)


def with_weights_of(network: nn.Module, like: frequency.Exported) -> frequency.Exported:
    """The same graph with another network's package: all UNets have one graph."""
    shipped = layers.shipped("unet", network)
    tensors = {name: tensor for (name, _), tensor in zip(layers.parts(network), shipped.tensors, strict=True)}
    ordered = tuple(tensors[name] for name in like.names)
    return replace(like, package=replace(like.package, tensors=ordered))


def dice(network: nn.Module, shown: Shown) -> NDArray[np.float64]:
    """Of every picture."""
    found = []
    with torch.no_grad():
        for picture, mask in zip(*shown, strict=True):
            answer = network(picture[None])[0].argmax(0).numpy() == 1
            found.append(2 * (answer & mask).sum() / max(1, answer.sum() + mask.sum()))
    return np.array(found)


def fitted(network: nn.Module, narrowing: Narrowing, picture: Tensor) -> Scheme:
    """Equal parts, each layer's weights those that give the sums over all channels best at pixels of a picture."""
    whole, outputs = narrowed(network, Narrowing({}, {})), dict[str, Tensor]()
    for name, site in layers.sites(network).items():
        at = whole.get_submodule(site.path)
        at.register_forward_hook(lambda _, __, y, name=name: outputs.__setitem__(name, y[0]))
    with torch.no_grad():
        whole(picture[None])
    ranks = {name: site.frequency.box for name, site in layers.sites(network).items()}
    found = {}
    for name, count in narrowing.points.items():
        even = quadrature.equal(count)
        if ".up." in name:
            found[name] = even  # nothing but sums, which equal parts give exactly
            continue
        columns = [
            (total, first, ranks[reader][0 if ".up." in reader else 1])
            for reader, total, first in _readers(narrowing, name)
        ]
        found[name] = _weighed(even, outputs[name].flatten(1).double().numpy(), ranks[name][0], columns)
    return lambda name, count: found[name]


def _readers(narrowing: Narrowing, name: str) -> Iterator[tuple[str, int, int]]:
    for reader, sources in narrowing.reads.items():
        first = 0
        for maker, channels in sources:
            if maker == name:
                yield reader, sum(c for _, c in sources), first
            first += channels


def _weighed(even: Quadrature, wide: NDArray[np.float64], rank: int, readers: list[tuple[int, int, int]]) -> Quadrature:
    """`wide` is the layer's output (channels, pixels); of each reader its inputs, where these begin, what it keeps."""
    channels = len(wide)
    z = quadrature.columns(channels, rank, quadrature.equal(channels).points).T @ wide
    places = np.random.default_rng(1).choice(z.shape[1], min(PIXELS, z.shape[1]), replace=False)

    def activated(t: NDArray[np.float64]) -> NDArray[np.float64]:
        y = quadrature.columns(channels, rank, t) @ z
        y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)
        return np.maximum(y[:, places], 0)

    few, all_ = activated(even.points), activated(quadrature.equal(channels).points)
    rows, wanted = [], []
    for total, first, kept in readers:
        one = Quadrature(even.points, np.ones(len(even.points)))
        rows.append(np.einsum("kj,jp->kpj", quadrature.rows(total, kept, first, channels, one), few))
        sums = quadrature.rows(total, kept, first, channels, quadrature.equal(channels)) @ all_
        wanted.append(sums)
    matrix = np.concatenate([block.reshape(-1, len(even.points)) for block in rows])
    vector = np.concatenate([block.ravel() for block in wanted])
    # A gentle pull towards equal weights: many points and few columns leave them undetermined.
    pull = np.sqrt(1e-6 * (matrix**2).sum(0).mean())
    system = np.concatenate([matrix, pull * np.eye(matrix.shape[1])])
    target = np.concatenate([vector, pull * even.weights])
    gram = np.linalg.cholesky(system.T @ system).T
    weights, _ = nnls(gram, np.linalg.solve(gram.T, system.T @ target))
    return Quadrature(even.points, weights)


def schemes(network: nn.Module, narrowing: Narrowing, picture: Tensor) -> Mapping[str, Callable[[], Scheme]]:
    return {
        "equal parts": lambda: lambda name, count: quadrature.equal(count),
        "Gauss–Legendre": lambda: lambda name, count: quadrature.gauss(count),
        "fitted weights": lambda: fitted(network, narrowing, picture),
    }


def measured(
    title: str, network: nn.Module, graph: frequency.Exported, shown: Shown, picture: Tensor
) -> Iterator[dict]:
    question = Question(graph, networks.resolve("unet").inputs, "all")
    whole = dice(narrowed(network, Narrowing({}, {})), shown)
    yield {
        "network": title,
        "width": 64,
        "scheme": "whole",
        "dice": whole.mean(),
        "channels": 6848,
        "lost": 0.0,
        "se": 0,
    }
    for width in WIDTHS[1:]:
        made = question.rewritten(lambda number, width=width: Fraction(width, 64))
        narrowing = question.narrowing(made)
        for scheme, make in schemes(network, narrowing, picture).items():
            begun = time.time()
            found = dice(narrowed(network, narrowing, make()), shown)
            lost = whole - found
            yield {
                "network": title, "width": width, "scheme": scheme, "dice": found.mean(),
                "channels": sum(made.points.values()), "lost": lost.mean(),
                "se": lost.std(ddof=1) / np.sqrt(len(lost)), "seconds": time.time() - begun,
            }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quadrature", description=__doc__)
    parser.add_argument("--package", nargs="+", default=PACKAGES, help="that come with bench")
    parser.add_argument("--pictures", type=int, default=200, help="drawn vehicles to judge by")
    parser.add_argument("--checkpoint", type=Path, help="a UNet of the FR authors, too")
    parser.add_argument("--pairs", type=Path, nargs=2, help="folders with its pictures and masks")
    parser.add_argument("--graph", type=Path, help="folder that keeps the converted graph for the next time")
    parser.add_argument("--svg", type=Path, help="draw the figure here")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    pixels, masks = vehicles.to_test_on().read(np.arange(given.pictures))
    shown = torch.from_numpy(pixels), np.asarray(masks) == 1
    picture = torch.from_numpy(vehicles.draw(vehicles.TRAIN_SEED, 0, (96, 144))[0]).permute(2, 0, 1).float() / 255
    asked = []
    for name in given.package:
        data = (resources.files("bench") / "pretrained" / f"{name}.frq").read_bytes()
        asked.append((name, restore.restored(UNet("instance"), package.read(data)).eval(), shown, picture))
    if given.checkpoint and given.pairs:
        made = restore.restored(UNet("instance"), frereg.imported(given.checkpoint, UNet("instance"), "unet")).eval()
        pairs = _pairs(*given.pairs)
        asked.append(("authors", made, pairs, pairs[0][0]))
    with tempfile.TemporaryDirectory() as folder:
        graph = exported(asked[0][1], given.graph or Path(folder))
    rows = []
    print("network | width | channels | scheme | Dice | lost (standard error), points")
    for title, network, judged, seen in asked:
        for row in measured(title, network, with_weights_of(network, graph), judged, seen):
            rows.append(row)
            print(
                f"{row['network']} | {row['width']} | {row['channels']:,} | {row['scheme']} | {row['dice']:.2%} | "
                f"{100 * row['lost']:.2f} ({100 * row['se']:.2f})",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(rows), encoding="utf-8")
    if given.svg:
        given.svg.write_text(width_figure.drawn(rows), encoding="utf-8")


def _pairs(images: Path, masks: Path) -> Shown:
    def read(folder: Path, mode: str) -> NDArray[np.uint8]:
        return np.stack([np.asarray(Image.open(path).convert(mode)) for path in sorted(folder.iterdir())])

    return torch.from_numpy(read(images, "RGB").transpose(0, 3, 1, 2).astype("f4") / 255), read(masks, "L") > 127


if __name__ == "__main__":
    main()
