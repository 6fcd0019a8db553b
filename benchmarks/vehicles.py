"""`python -m benchmarks.vehicles FOLDER`: train the UNets for drawn vehicles that come with bench. Meant for a GPU.

All of them learn side by side, a process each, from the same pictures and for the same time: dense UNets of few
channels, the ordinary UNet under Frequency Regularization, and FR UNets that are good at every width. Writes a `.frq`
or a `.safetensors` of each into FOLDER and prints their Dice over test pictures.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.compress import objective, training
from bench.compress.frequency import dct, layers, norms, package, train
from bench.compress.frequency.layers import Site
from bench.compress.frequency.schedule import TailTruncation
from bench.data import vehicles
from bench.networks.builtin.unet import UNet
from bench.networks.builtin.unet_small import SmallUNet

Kept = Mapping[str, int]


class Pool(NamedTuple):
    """Pictures of one size (height, width): how many there are, how many make a batch, and its part of all batches."""

    size: tuple[int, int]
    pictures: int
    batch: int
    share: float


POOLS = (Pool((96, 144), 32_000, 16, 0.5), Pool((160, 240), 8_000, 8, 0.2), Pool((320, 480), 3_000, 4, 0.3))
TESTED = {(96, 144): 200, (160, 240): 60, (320, 480): 60}
WIDTHS = (8, 8, 8, 10, 12, 12, 14, 16, 16, 16, 20, 24, 32, 32)
"""Channels of the first level, one of which each step of an FR UNet draws. Wider ones cost more and teach no more."""
JUDGED = (64, 32, 16, 12, 8)
HEADROOM, TRUNCATED = 3, 0.5
"""FR begins with so many times the coefficients that stay, and has no more than those after that part of the time."""


# --- pictures ------------------------------------------------------------------------------------------------------


def draw(pools: Iterable[Pool], folder: Path, workers: int) -> None:
    """Draw every pool's pictures of the training seed into `folder`."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as processes:
        for pool in pools:
            drawing = partial(vehicles.draw, vehicles.TRAIN_SEED, size=pool.size)
            drawn = list(processes.map(drawing, range(pool.pictures), chunksize=25))
            for part, arrays in zip(("pixels", "masks"), zip(*drawn, strict=True), strict=True):
                np.save(folder / f"{part}{pool.size[0]}.npy", np.stack(arrays))


class Pictures:
    """Endless batches of drawn pictures on `device`, half of them mirrored."""

    def __init__(self, pools: tuple[Pool, ...], folder: Path, device: torch.device) -> None:
        def drawn(pool: Pool, part: str) -> Tensor:
            return torch.from_numpy(np.load(folder / f"{part}{pool.size[0]}.npy")).to(device)

        self._pools = [(pool, drawn(pool, "pixels"), drawn(pool, "masks")) for pool in pools]
        self._shares = [pool.share for pool in pools]

    def batch(self, chance: random.Random) -> tuple[Tensor, Tensor]:
        """Colours (N, 3, H, W) in 0..1 and masks (N, H, W), all of one size."""
        ((pool, pixels, masks),) = chance.choices(self._pools, self._shares)
        chosen = torch.randint(len(pixels), (pool.batch,), device=pixels.device)
        images, labels = pixels[chosen].permute(0, 3, 1, 2).float() / 255, masks[chosen].long()
        return (images.flip(3), labels.flip(2)) if chance.random() < 0.5 else (images, labels)


# --- what learns ---------------------------------------------------------------------------------------------------


class Learner(Protocol):
    network: nn.Module

    def groups(self) -> list[dict[str, Any]]:
        """Adam's parameter groups."""

    def answer(self, images: Tensor, width: int | None = None) -> Tensor:
        """Logits (N, 2, H, W), in training of a width of its own choice."""

    def truncate(self, done: float) -> None:
        """Drop what is no longer kept after that part of the training, 0..1."""

    def finish(self, pictures: Pictures) -> None:
        """Become what is shipped, float16 values and all."""

    def save(self, stem: Path) -> None: ...


class Dense:
    """A UNet as one would train and deploy it, with `width` channels at the first level."""

    def __init__(self, width: int) -> None:
        self.network: nn.Module = SmallUNet(width)

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": _learnt(self.network), "lr": 3e-3}]

    def answer(self, images: Tensor, width: int | None = None) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    def truncate(self, done: float) -> None:
        pass

    def finish(self, pictures: Pictures) -> None:
        self.network.half().float()

    def save(self, stem: Path) -> None:
        held = self.network.state_dict().items()
        halves = {name: value.half().cpu() for name, value in held if value.is_floating_point()}
        save_file(halves, stem.with_name(f"{stem.name}.safetensors"))


class Compressed:
    """A UNet in coefficients, of which each site keeps `kept` in the end."""

    def __init__(self, network: nn.Module, kept: Kept, rate: float = 0.04) -> None:
        self.network, self._kept, self._rate = network, kept, rate
        most = {name: math.prod(site.shape) for name, site in layers.sites(network).items()}
        self._start = {name: min(most[name], HEADROOM * kept[name]) for name in most}
        layers.compress(network, self._start)
        train.seed_coefficients(network, 1, train.ENERGY)
        self._sites = layers.sites(network)

    def groups(self) -> list[dict[str, Any]]:
        coefficients = [
            {"params": [site.coefficients], "lr": self._rate * train.unit(site, self._kept[name])}
            for name, site in self._sites.items()
        ]
        ours = {id(site.coefficients) for site in self._sites.values()}
        others = [parameter for parameter in _learnt(self.network) if id(parameter) not in ours]
        return [*coefficients, {"params": others, "lr": self._rate / 20}] if others else coefficients

    def truncate(self, done: float) -> None:
        left = max(0.0, 1 - done / TRUNCATED) ** 3
        for name, site in self._sites.items():
            kept = self._kept[name] + math.floor(left * (self._start[name] - self._kept[name]))
            if kept < site.frequency.kept:
                site.frequency.truncate(kept)

    def finish(self, pictures: Pictures) -> None:
        TailTruncation(self.network, self._kept).finish()
        layers.round_to_half(self.network)

    def save(self, stem: Path) -> None:
        data = package.write(layers.shipped("unet", norms.folded(self.network)))
        stem.with_name(f"{stem.name}.frq").write_bytes(data)


class Ordinary(Compressed):
    """The ordinary UNet: 64 channels, biases and batch norms. It computes with whole weights."""

    def __init__(self, total: int) -> None:
        network = UNet("batch")
        super().__init__(network, train.targets(network, total))
        network.to(memory_format=torch.channels_last)
        for name, parameter in network.named_parameters():
            if "double_conv.0.bias" in name or "double_conv.3.bias" in name:
                parameter.requires_grad_(False)  # it is 0, and the norm after it would take it away again

    def answer(self, images: Tensor, width: int | None = None) -> Tensor:
        with parametrize.cached():
            for site in self._sites.values():
                _ = site.weight  # computed here once, in float32
            with torch.autocast(images.device.type, torch.bfloat16):
                logits: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        return logits.float()

    @torch.no_grad()
    def finish(self, pictures: Pictures) -> None:
        super().finish(pictures)
        for norm in self.network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.reset_running_stats()
                norm.momentum = None  # the plain average over what it is shown
        chance = random.Random(0)
        self.network.train()
        for _ in range(100):
            self.network(pictures.batch(chance)[0])
        self.network.eval()


class AnyWidth(Compressed):
    """An FR UNet that computes each step with another number of channels, through the same coefficients."""

    def __init__(self, kept: Kept, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__(UNet("instance"), kept)
        self._widths, self._chance = widths, random.Random(1)
        with torch.device("meta"):
            self._shells = {width: UNet("instance", width=width) for width in {*widths, *JUDGED}}

    def answer(self, images: Tensor, width: int | None = None) -> Tensor:
        shell = self._shells[width or self._chance.choice(self._widths)]
        shapes = {name: tuple(weight.shape) for name, weight in shell.named_parameters()}
        weights = {name: sampled(site, shapes[name]) for name, site in self._sites.items()}
        logits: Tensor = torch.func.functional_call(shell, weights, images)
        return logits


def sampled(site: Site, shape: tuple[int, ...]) -> Tensor:
    """The weight of a compressed site as a layer with the channels of `shape`: the same cosines at other points.

    Sums over fewer channels are made as large as the whole ones, and each channel's value stays what it was.
    """
    weight = site.frequency.core(site.coefficients)
    for axis in reversed(range(weight.dim())):
        ratio = shape[axis] / site.shape[axis]
        summed = axis == (0 if site.transposed else 1)
        matrix = _columns(shape[axis], weight.shape[-1], 1 / ratio if summed else ratio, weight.device)
        others = weight.shape[:-1]
        weight = (matrix @ weight.reshape(-1, weight.shape[-1]).T.contiguous()).view(-1, *others)
    return weight


@cache
def _columns(n: int, count: int, square: float, device: torch.device) -> Tensor:
    return torch.tensor(dct.basis(n, count) * math.sqrt(square), dtype=torch.float32, device=device)


def _learnt(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


class Level(NamedTuple):
    """Coefficients of each site of a UNet's level: a 3×3 convolution, and the transposed one that leads up to it."""

    convolution: int
    up: int = 0


def by_level(first: int, last: int, *levels: Level) -> dict[str, int]:
    """Coefficients of each site of `UNet("instance")`, those of its first and last layers apart."""
    owners = ("inc up4", "down1 up3", "down2 up2", "down3 up1", "down4")
    with torch.device("meta"):
        names = [name for name, _ in UNet("instance").named_parameters()]
    kept = {
        name: level.up if name.endswith("up.weight") else level.convolution
        for level, owner in zip(levels, owners, strict=True)
        for name in names
        if name.split(".")[0] in owner.split()
    }
    return {name: {names[0]: first, names[-1]: last}.get(name, kept.get(name, 0)) for name in names}


NETWORKS: dict[str, Callable[[], Learner]] = {
    "unet.ordinary": lambda: Ordinary(12_000),
    "unet-small.ordinary": lambda: Dense(4),
    "unet-small-8.ordinary": lambda: Dense(8),
    "unet-small-2.ordinary": lambda: Dense(2),
    "unet-small-1.ordinary": lambda: Dense(1),
    "unet-16k": lambda: AnyWidth(
        by_level(60, 10, Level(80, 70), Level(250, 170), Level(500, 330), Level(600, 400), Level(600))
    ),
    "unet-8k": lambda: AnyWidth(
        by_level(60, 12, Level(115, 90), Level(170, 115), Level(220, 150), Level(236, 160), Level(250))
    ),
    "unet-8k-lean": lambda: AnyWidth(
        by_level(36, 8, Level(55, 45), Level(110, 75), Level(180, 130), Level(320, 220), Level(410))
    ),
    "unet-759": lambda: AnyWidth(train.targets(UNet("instance"), 759)),
}


# --- training and judging ------------------------------------------------------------------------------------------


def learn(name: str, folder: Path, drawn: Path, pools: tuple[Pool, ...], until: float) -> None:
    """Train one of `NETWORKS` until that time, save it, and print what it is worth."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    device, chance = training.best_device(), random.Random(1)
    learner = NETWORKS[name]()
    learner.network.to(device).train()
    pictures = Pictures(pools, drawn, device)
    optimiser = torch.optim.Adam(learner.groups(), fused=True)
    rates = [group["lr"] for group in optimiser.param_groups]
    begun, step, told, saved = time.time(), 0, 0.0, 0.6
    while (done := (time.time() - begun) / (until - begun)) < 1:
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * min(1, step / 200, 20 * done) * 0.5 * (1 + math.cos(math.pi * done))
        learner.truncate(done)
        images, labels = pictures.batch(chance)
        loss = objective.loss_of(learner.answer(images), labels)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(_learnt(learner.network), 1.0)
        optimiser.step()
        step += 1
        if done > told:
            print(f"{name}: {done:.0%}, step {step}, loss {loss.item():.4f}", flush=True)
            told += 0.05
        if done > saved:
            learner.save(folder / name)
            saved += 0.15
    learner.finish(pictures)
    learner.save(folder / name)
    learner.network.eval()
    widths = JUDGED if isinstance(learner, AnyWidth) else (None,)
    for size, count in TESTED.items():
        test = vehicles.Vehicles(vehicles.TEST_SEED, count, (size,))
        found = {width: training.accuracy(Shown(learner, width), test) for width in widths}
        words = ", ".join(f"{dice:.4f}" + (f" at {width}" if width else "") for width, dice in found.items())
        print(f"{name}: {step} steps, {count} at {size[0]}×{size[1]}: {words}", flush=True)


class Shown(nn.Module):
    """What a learner answers at one width."""

    def __init__(self, learner: Learner, width: int | None) -> None:
        super().__init__()
        self.network, self._learner, self._width = learner.network, learner, width

    def forward(self, images: Tensor) -> Tensor:
        return self._learner.answer(images, self._width)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vehicles", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=400, help="of training, all networks beside each other")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--pictures", type=float, default=1, help="a part of the pictures, for a trial")
    given = parser.parse_args()
    pools = tuple(pool._replace(pictures=max(pool.batch, int(pool.pictures * given.pictures))) for pool in POOLS)
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as drawn:
        begun = time.time()
        draw(pools, Path(drawn), os.cpu_count() or 1)
        print(f"pictures drawn in {time.time() - begun:.0f} s", flush=True)
        until = time.time() + given.seconds
        started = multiprocessing.get_context("spawn")
        learning = [
            started.Process(target=learn, args=(name, given.folder, Path(drawn), pools, until)) for name in given.only
        ]
        for process in learning:
            process.start()
        for process in learning:
            process.join()


if __name__ == "__main__":
    main()
