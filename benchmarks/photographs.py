"""`python -m benchmarks.photographs --out DIR`: train the super-resolution networks that come with bench, on a GPU.

VDSR learns from photographs of scikit-image as any network does, then under Frequency Regularization with a few
coefficients a layer. Which rate suits is tried on a photograph that neither learns from; the crops that `bench run`
measures are of three others and decide nothing. Writes `vdsr.ordinary.safetensors` and `vdsr.frq` and prints their
PSNR beside that of the bicubically enlarged crops themselves.

`--pack FILE.npz` writes all pictures into one file, which `--data FILE.npz` reads on a machine without the packages
that they come from. Such a machine needs torch, NumPy, SciPy, safetensors and pydantic.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.compress.frequency import layers, package
from bench.networks.builtin.vdsr import VDSR

LEARNT_FROM = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coins.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "motorcycle_right.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip
TRIED_ON = "coffee.png"
"""Photographs of scikit-image 0.25; none is among those that `bench.data.enlarged` measures."""
PATCH, BATCH = 48, 64
BORDER = 20
"""Pixels at a tried photograph's border that are not judged: as many as the network's context."""
HEADROOM, TRUNCATED = 3, 0.5
"""FR begins with so many times the coefficients that stay, and has no more than those after that part of the time."""
HEAT = 0.06
"""The part of the time in which each rate is tried."""
RATES = {"ordinary": (2e-4, 5e-4, 1e-3), "fr": (2e-3, 6e-3, 2e-2)}
"""Adam's; under FR, of a layer's weight as a whole (`bench.compress.frequency.train`)."""
Pairs = Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]


class Pictures(NamedTuple):
    """`learnt` and `tried` are pairs of an enlarged photograph and the original, (H, W, 3) in 0..255, `measured` of
    crops (N, H, W, 3)."""

    learnt: Pairs
    tried: Pairs
    measured: Pairs


def found() -> Pictures:
    """All pictures, from the packages that they come with."""
    from bench.data import enlarged, photos

    paths = {path.name: path for path in photos.brought("skimage", "data", (*LEARNT_FROM, TRIED_ON))}
    pairs = {name: enlarged.whole(np.asarray(photos.opened(path))) for name, path in paths.items()}
    shown = enlarged.load(128, 128)
    learnt = [(small, original) for name, (original, small) in pairs.items() if name != TRIED_ON]
    original, small = pairs[TRIED_ON]
    return Pictures(learnt, [(small, original)], [(shown.enlarged, shown.original)])


def pack(pictures: Pictures, file: Path) -> None:
    arrays = {
        f"{kind}.{place}.{side}": array
        for kind, pairs in pictures._asdict().items()
        for place, pair in enumerate(pairs)
        for side, array in zip(("enlarged", "original"), pair, strict=True)
    }
    np.savez_compressed(file, allow_pickle=False, **arrays)


def unpacked(file: Path) -> Pictures:
    with np.load(file) as arrays:
        made: dict[str, list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]] = {}
        for name in arrays.files:
            kind, _, side = name.rsplit(".", 2)
            if side == "enlarged":
                made.setdefault(kind, []).append((arrays[name], arrays[name.replace(side, "original")]))
    return Pictures(**made)


# --- pictures ------------------------------------------------------------------------------------------------------


class Patches:
    """Endless batches of random patches on `device`, turned and mirrored, each photograph by its pixels."""

    def __init__(self, pairs: Pairs, device: torch.device, seed: int) -> None:
        self._pairs = [_tensor(np.concatenate(pair, axis=2), device) for pair in pairs]
        pixels = torch.tensor([float(pair[0].shape[0] * pair[0].shape[1]) for pair in pairs])
        # By the square root of its pixels: two large, smooth pictures would be half of all patches.
        self._shares, self._chance = pixels.sqrt(), torch.Generator().manual_seed(seed)

    def batch(self, count: int = BATCH) -> tuple[Tensor, Tensor]:
        """Enlarged and original colours (N, 3, H, W) in 0..1."""
        chosen = torch.multinomial(self._shares, count, replacement=True, generator=self._chance).tolist()
        patches = torch.stack([self._patch(self._pairs[one]) for one in chosen]).float() / 255
        return patches[:, :3], patches[:, 3:]

    def _patch(self, both: Tensor) -> Tensor:
        height, width = both.shape[1:]
        y, x, turns = (int(torch.randint(n, (), generator=self._chance)) for n in (height - PATCH, width - PATCH, 8))
        patch = both[:, y : y + PATCH, x : x + PATCH]
        return torch.rot90(patch if turns < 4 else patch.flip(2), turns % 4, (1, 2))


def _tensor(pixels: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, -3))).to(device)


@torch.no_grad()
def psnr(network: nn.Module | None, pairs: Pairs, device: torch.device, border: int = 0) -> float:
    """Of the answers, or of the enlarged pictures themselves: the mean over pictures, in dB."""
    values: list[float] = []
    for enlarged, original in pairs:
        images, wanted = (_tensor(part, device).float().div(255) for part in (enlarged, original))
        images, wanted = (part if part.dim() == 4 else part[None] for part in (images, wanted))
        for image, target in zip(images, wanted, strict=True):
            answer = image if network is None else network(image[None])[0]
            error = (answer - target)[:, border : -border or None, border : -border or None].double().square().mean()
            values.append(-10 * math.log10(max(float(error), 1e-10)))
    return float(np.mean(values))


# --- what learns ---------------------------------------------------------------------------------------------------


class Learner(Protocol):
    network: nn.Module

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Adam's parameter groups."""

    def answer(self, images: Tensor) -> Tensor: ...

    def truncate(self, done: float) -> None:
        """Drop what is no longer kept after that part of the training, 0..1."""

    def finish(self) -> None:
        """Become what is shipped, float16 values and all."""

    def save(self, folder: Path) -> None: ...


class Ordinary:
    """VDSR as one trains it without any compression. It begins as the identity, nearly."""

    def __init__(self) -> None:
        self.network: nn.Module = VDSR()
        with torch.no_grad():
            _convolutions(self.network)[-1].weight.mul_(0.01)

    def groups(self, rate: float) -> list[dict[str, Any]]:
        return [{"params": list(self.network.parameters()), "lr": rate}]

    def answer(self, images: Tensor) -> Tensor:
        answer: Tensor = self.network(images)
        return answer

    def truncate(self, done: float) -> None:
        pass

    def finish(self) -> None:
        self.network.half().float()

    def save(self, folder: Path) -> None:
        halves = {name: value.half().cpu().contiguous() for name, value in self.network.state_dict().items()}
        save_file(halves, folder / "vdsr.ordinary.safetensors")


class Compressed:
    """VDSR in coefficients, of which each layer keeps `kept` in the end."""

    def __init__(self, kept: int, images: Tensor) -> None:
        self.network: nn.Module = VDSR()
        most = {name: math.prod(site.shape) for name, site in layers.sites(self.network).items()}
        self._kept = {name: min(size, kept) for name, size in most.items()}
        self._start = {name: min(most[name], HEADROOM * few) for name, few in self._kept.items()}
        layers.compress(self.network, self._start)
        self._sites = layers.sites(self.network)
        self._seed(images)

    @torch.no_grad()
    def _seed(self, images: Tensor) -> None:
        """Random coefficients, scaled layer by layer until each answers with the size of what it was given (LSUV,
        Mishkin and Matas, ICLR 2016): low frequencies add up, and He's rule starts far too steep."""
        chance = torch.Generator().manual_seed(1)
        body, values = self.network.body, images
        assert isinstance(body, nn.Sequential)
        sites = iter(self._sites.items())
        for place, layer in enumerate(body):
            if isinstance(layer, nn.Conv2d):
                name, site = next(sites)
                site.coefficients.normal_(0, 1, generator=chance)
                site.coefficients[self._kept[name] :] *= 0.1  # they go, and twenty layers would fade with them
                if place == 0:
                    self._without_brightness(site)
                size = layer(values).square().mean().sqrt()
                wanted = 0.5 if place < len(body) - 1 else 0.005
                site.coefficients.mul_(wanted / size)
            values = layer(values)

    def _without_brightness(self, site: layers.Site) -> None:
        """Filters that see differences between pixels alone: what is missing of a picture does not depend on how bright
        it is, and all later layers would have to learn that first."""
        coordinates = site.frequency
        kernel = coordinates.box[2] * coordinates.box[3]
        flat = coordinates.index % kernel == 0
        site.coefficients[: len(flat)][flat] = 0

    def groups(self, rate: float) -> list[dict[str, Any]]:
        return [
            {"params": [site.coefficients], "lr": rate * math.sqrt(site.shape[0] / self._kept[name])}
            for name, site in self._sites.items()
        ]

    def answer(self, images: Tensor) -> Tensor:
        with parametrize.cached():
            answer: Tensor = self.network(images)
        return answer

    def truncate(self, done: float) -> None:
        left = max(0.0, 1 - done / TRUNCATED) ** 3
        for name, site in self._sites.items():
            kept = self._kept[name] + math.floor(left * (self._start[name] - self._kept[name]))
            if kept < site.frequency.kept:
                site.frequency.truncate(kept)

    def finish(self) -> None:
        self.truncate(1)
        for site in self._sites.values():
            site.coefficients.grad, site.coefficients.data = None, site.coefficients.data[: site.frequency.kept].clone()
        layers.round_to_half(self.network)

    def save(self, folder: Path) -> None:
        made = copy.deepcopy(self)
        made.network.cpu()
        made._sites = layers.sites(made.network)
        made.finish()
        (folder / "vdsr.frq").write_bytes(package.write(layers.shipped("vdsr", made.network)))


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


# --- training ------------------------------------------------------------------------------------------------------


def learn(
    make: Callable[[], Learner], rate: float, pictures: Pictures, device: torch.device, seconds: float,
    *, part: float = 1, say: str = "", folder: Path | None = None,
) -> tuple[Learner, float]:  # fmt: skip
    """A learner trained for `part` of `seconds`, along the schedule of the whole, and its PSNR over what is tried; each
    fifth of the time saved into `folder`, so that an interrupted training leaves something."""
    torch.manual_seed(1)
    learner = make()
    learner.network.to(device).train()
    patches = Patches(pictures.learnt, device, seed=1)
    optimiser = torch.optim.Adam(learner.groups(rate), betas=(0.9, 0.99))
    rates = [group["lr"] for group in optimiser.param_groups]
    begun, step, told, mean = time.monotonic(), 0, 0.1, 0.0
    while (done := (time.monotonic() - begun) / seconds) < part:
        for group, own in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = own * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * done))
        learner.truncate(done)
        images, wanted = patches.batch(BATCH if device.type == "cuda" else 8)
        loss = (learner.answer(images) - wanted).abs().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learner.network.parameters(), 0.1)
        optimiser.step()
        step += 1
        mean = loss.item() if step == 1 else 0.98 * mean + 0.02 * loss.item() if step % 10 == 0 else mean
        if done > told and part == 1:
            tried = psnr(learner.network, pictures.tried, device, BORDER)
            print(f"{say}: {done:.0%}, step {step}, loss {mean:.5f}, {tried:.3f} dB over {TRIED_ON}", flush=True)
            told += 0.1
            if folder and done > 0.6:
                learner.save(folder)
    return learner, psnr(learner.network, pictures.tried, device, BORDER)


def best(make: Callable[[], Learner], rates: Sequence[float], pictures: Pictures, device: torch.device,
         seconds: float, folder: Path, say: str) -> Learner:  # fmt: skip
    """The learner trained at the rate that does best in a short heat."""
    judged: dict[float, float] = {}
    heat = HEAT if len(rates) > 1 else 0
    for rate in rates if heat else ():
        judged[rate] = learn(make, rate, pictures, device, seconds, part=heat)[1]
        print(f"{say}: {judged[rate]:.3f} dB over {TRIED_ON} at the rate {rate:g}, in a heat", flush=True)
    rate = max(judged, key=lambda one: judged[one] if math.isfinite(judged[one]) else -math.inf) if heat else rates[0]
    left = seconds * (1 - heat * len(rates))
    return learn(make, rate, pictures, device, left, say=f"{say} at {rate:g}", folder=folder)[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs", description=__doc__)
    parser.add_argument("--out", type=Path, help="where the networks are written")
    parser.add_argument("--minutes", type=float, default=4, help="of training, both networks together")
    parser.add_argument("--kept", type=int, default=195, help="coefficients of each layer under FR")
    parser.add_argument("--only", choices=("ordinary", "fr"))
    parser.add_argument("--rate", type=float, help="instead of trying which suits")
    parser.add_argument("--data", type=Path, help="pictures that --pack wrote")
    parser.add_argument("--pack", type=Path, help="write the pictures into this file, and nothing else")
    given = parser.parse_args()
    pictures = unpacked(given.data) if given.data else found()
    if given.pack:
        pack(pictures, given.pack)
        return
    if given.out is None:
        parser.error("--out is missing")
    given.out.mkdir(parents=True, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    floor = psnr(None, pictures.measured, device)
    print(f"bicubic: {floor:.3f} dB over the measured crops, "
          f"{psnr(None, pictures.tried, device, BORDER):.3f} dB over {TRIED_ON}", flush=True)  # fmt: skip
    shown = Patches(pictures.learnt, torch.device("cpu"), seed=2).batch(16)[0]
    makers: Mapping[str, Callable[[], Learner]] = {"ordinary": Ordinary, "fr": lambda: Compressed(given.kept, shown)}
    kinds = [given.only] if given.only else list(makers)
    for kind in kinds:
        rates = (given.rate,) if given.rate else RATES[kind]
        learner = best(makers[kind], rates, pictures, device, 60 * given.minutes / len(kinds), given.out, kind)
        learner.save(given.out)
        learner.finish()
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        values = psnr(learner.network, pictures.measured, device), psnr(learner.network, pictures.tried, device, BORDER)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        print(f"{kind}: {values[0]:.3f} dB over the measured crops ({values[0] - floor:+.3f} on bicubic), "
              f"{values[1]:.3f} dB over {TRIED_ON}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
