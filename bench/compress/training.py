"""Training of a network, ordinary or compressed: one loop, which goes on after an interruption as if there was none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.compress.checkpoint import Checkpoint
from bench.compress.objective import Matching, matched
from bench.compress.objective import objective as objective_of
from bench.export.eager import leaves
from bench.guest import guest
from bench.records import Progress, Task

_AT_ONCE = 2**20
"""Pixels of inputs that are evaluated together, so that a UNet's channels of large ones fit in memory."""


Answers = NDArray[np.int64] | NDArray[np.float32]
"""The right answers to N inputs: classes (N,), or one for each pixel (N, H, W), as int64; or what the network's outputs
should be, in their shape, as float32."""


Rounding = Callable[[Tensor], Tensor]
"""What is shipped of a parameter, in its shape."""


def half(parameter: Tensor) -> Tensor:
    """Float16."""
    return parameter.half()


class Samples(Protocol):
    """Inputs with their answers, which need not all be in memory."""

    def __len__(self) -> int: ...

    def read(self, indices: NDArray[np.int64] | None = None) -> tuple[NDArray[np.float32], Answers]:
        """Inputs (N, …), images as (N, C, H, W), and their answers, at `indices`; all without."""


@dataclass(frozen=True, eq=False)
class Images:
    """Samples in memory: inputs (N, …) float32 and their answers."""

    inputs: NDArray[np.float32]
    answers: Answers

    def __len__(self) -> int:
        return len(self.inputs)

    def read(self, indices: NDArray[np.int64] | None = None) -> tuple[NDArray[np.float32], Answers]:
        return (self.inputs, self.answers) if indices is None else (self.inputs[indices], self.answers[indices])


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Samples whose answers nobody can look at: `read` gives a zero for each, whatever `samples` says is right."""

    samples: Samples

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, indices: NDArray[np.int64] | None = None) -> tuple[NDArray[np.float32], Answers]:
        inputs, _ = self.samples.read(indices)
        return inputs, np.zeros(len(inputs), np.int64)


class Truncation(Protocol):
    """What a compression does after each step of the optimiser; `frequency.schedule.TailTruncation` is one."""

    @property
    def kept(self) -> int:
        """Coefficients that the whole network keeps now."""

    def step(self) -> None: ...
    def state_dict(self) -> dict[str, float]: ...
    def load_state_dict(self, state: dict[str, float]) -> None: ...


class Nest(Protocol):
    """Smaller networks within one that is trained, which learn beside it; `frequency.nesting.Nest` is one."""

    def losses(self, forward: Callable[[], Any], loss: Callable[[Any], Tensor]) -> list[Tensor]:
        """The `loss` of what `forward` answers as each of the smaller networks whose turn it is. Random by torch's
        generator alone. The network is afterwards as it was."""


@dataclass(frozen=True)
class Recipe:
    """How to train: Adam, its rate rising over the first twentieth and then falling to nothing along a cosine.

    `distortion` scales random affine changes of the images: 1 is up to 0.2 rad of turn and shear, 12 % of size and 7 %
    of shift, 0 is none. In the last `half` (a fraction) of the steps the network computes with parameters rounded to
    float16, so that rounding them in the end changes nothing.
    """

    epochs: int
    batch: int
    rate: float
    distortion: float
    seed: int
    half: float = 0.0


def recipe(seed: int, task: Task = "classification") -> Recipe:
    """What suits an ordinary small network and some thousand small images, or images with a class for each pixel."""
    if task == "segmentation":
        return Recipe(epochs=8, batch=8, rate=2e-3, distortion=0, seed=seed)
    return Recipe(epochs=20, batch=100, rate=2e-3, distortion=1.0, seed=seed)


def fit(
    network: nn.Module,
    samples: Samples,
    recipe: Recipe,
    progress: Progress,
    *,
    groups: Iterable[dict[str, Any]] | None = None,
    truncation: Truncation | None = None,
    teacher: nn.Module | None = None,
    matching: Matching | None = None,
    test: Samples | None = None,
    checkpoint: Checkpoint | None = None,
    rounding: Rounding = half,
    nest: Nest | None = None,
) -> None:
    """Train `network` in place by `loss_of`, on a GPU where there is one, and leave it on the CPU.

    `groups` are Adam's parameter groups (by default all parameters at the recipe's rate); `truncation` is stepped after
    each of its steps; a `teacher`, in evaluation, gives soft labels (`taught`), and with `matching` all that is learnt
    (`matched`): the samples' answers are not looked at then, and outputs may be several. `test` samples are what the
    progress tells the accuracy of. With a `checkpoint` that holds a state, training goes on from there: on the CPU to
    the very bytes that an unbroken training gives. All randomness comes from the seed and the number of the step, so no
    generator's state is needed for that. `rounding` is what the last steps (`Recipe.half`) do to parameters. The
    smaller networks of a `nest` learn the same, and what the whole network answers besides (in-place distillation).
    Raises CorruptData for a checkpoint that is damaged, and UsageError for answers that do not suit the network's
    outputs.
    """
    assert teacher or not matching
    device = best_device()
    if checkpoint:
        checkpoint.learns(recipe.epochs, len(samples))
    network.to(device).train()
    measure = "explained" if test and np.issubdtype(test.read(np.arange(1))[1].dtype, np.floating) else "right"
    if teacher:
        teacher.to(device)
    optimiser = torch.optim.Adam(list(groups) if groups else network.parameters(), lr=recipe.rate)
    rates = [group["lr"] for group in optimiser.param_groups]
    each = math.ceil(len(samples) / recipe.batch)
    steps = recipe.epochs * each
    begun = _resume(network, optimiser, truncation, checkpoint)
    report = _Report(recipe.epochs, truncation, measure)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for step in range(begun, steps):
            epoch, place = divmod(step, each)
            if place == 0 or step == begun:
                order = np.random.default_rng((recipe.seed, epoch)).permutation(len(samples))
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * _share(step, steps)
            torch.manual_seed(recipe.seed << 32 | step)
            inputs, answers = samples.read(order[place * recipe.batch : (place + 1) * recipe.batch])
            images, labels = torch.from_numpy(inputs).to(device), torch.from_numpy(answers).to(device)
            if recipe.distortion:
                images, labels = distorted(images, labels, recipe.distortion)
            with _rounded(network, rounding) if step >= steps * (1 - recipe.half) else nullcontext():
                with guest():
                    outputs = network(images)
                objective = objective_of(labels, _answers_of(teacher, images) if teacher else None, matching)
                loss = objective(outputs)
                if nest:
                    kind: Matching = matching or ("values" if labels.is_floating_point() else "classes")
                    loss = torch.stack([loss, *_beside(nest, network, images, outputs, objective, kind)]).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
            # A truncated network's early steps are steep; without this some seeds never recover.
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            _step(optimiser)
            if truncation:
                truncation.step()
            if test and place == each - 1 and isinstance(outputs, Tensor):
                report.accuracy = accuracy(network, test)
                network.train()
            progress((step + 1) / steps, report.words(epoch, loss.item()))
            if checkpoint and checkpoint.due:
                checkpoint.save(_state(step + 1, network, optimiser, truncation))
    network.cpu().eval()


def best_device() -> torch.device:
    """A GPU where torch finds one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@torch.no_grad()
def _step(optimiser: torch.optim.Optimizer) -> None:
    """A step of the optimiser; parameters with a `gain` of their shape go so many times as far, value by value."""
    before = [
        (parameter, parameter.clone(), group["gain"])
        for group in optimiser.param_groups
        if "gain" in group
        for parameter in group["params"]
    ]
    optimiser.step()
    for parameter, start, gain in before:
        parameter.copy_(start + gain * (parameter - start))


def _share(step: int, steps: int) -> float:
    """Of the recipe's rate, what holds at `step` of `steps`."""
    warm = max(1, steps // 20)
    return min(1, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / steps))


@contextmanager
def _rounded(network: nn.Module, rounding: Rounding) -> Iterator[None]:
    """The network with rounded parameters; afterwards with its own again, and the gradients it got."""
    with torch.no_grad():
        own = [(parameter, parameter.clone()) for parameter in network.parameters()]
        for parameter, _ in own:
            parameter.copy_(rounding(parameter))
    yield
    with torch.no_grad():
        for parameter, values in own:
            parameter.copy_(values)


@dataclass
class _Report:
    """The progress message of a training."""

    epochs: int
    truncation: Truncation | None
    measure: str
    accuracy: float | None = None

    def words(self, epoch: int, loss: float) -> str:
        words = f"epoch {epoch + 1}/{self.epochs}, loss {loss:.3f}"
        if self.accuracy is not None:
            words += f", {self.accuracy:.1%} {self.measure}"
        return words + (f", {self.truncation.kept:,} kept" if self.truncation else "")


def _state(
    step: int, network: nn.Module, optimiser: torch.optim.Optimizer, truncation: Truncation | None
) -> dict[str, Any]:
    return {
        "step": step,
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "truncation": truncation.state_dict() if truncation else {},
    }


def _resume(
    network: nn.Module, optimiser: torch.optim.Optimizer, truncation: Truncation | None, checkpoint: Checkpoint | None
) -> int:
    """Put everything where the checkpoint says it was; returns the number of steps done."""
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return 0
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    if truncation:
        truncation.load_state_dict(state["truncation"])
    step: int = state["step"]
    return step


def _beside(
    nest: Nest,
    network: nn.Module,
    images: Tensor,
    outputs: Any,
    objective: Callable[[Any], Tensor],
    kind: Matching,
) -> list[Tensor]:
    """The losses of the smaller networks: half by the objective, half by how far they are from the whole network's
    answers, which they do not pull at."""
    answers = [one.detach() for _, one in leaves(outputs)]

    def forward() -> Any:
        with guest():
            return network(images)

    return nest.losses(forward, lambda found: 0.5 * objective(found) + 0.5 * matched(found, answers, kind))


def _answers_of(teacher: nn.Module, images: Tensor) -> Any:
    with torch.no_grad(), guest():
        return teacher(images)


def distorted(images: Tensor, labels: Tensor, amount: float) -> tuple[Tensor, Tensor]:
    """Each image turned, sheared, scaled and shifted a little, at random, and with it its labels of pixels (N, H, W),
    or the image (N, C, H, W) that it is to become. Inputs that are not images stay as they are."""
    if images.dim() != 4:
        return images, labels

    def some(scale: float, *shape: int) -> Tensor:
        return (torch.rand(len(images), *shape) * 2 - 1) * scale * amount

    angle, shear, size, shift = some(0.2), some(0.2), 1 + some(0.12, 2), some(4 / 28, 2)
    turn = torch.stack((angle.cos(), shear - angle.sin(), angle.sin(), angle.cos()), dim=1).view(-1, 2, 2)
    change = torch.cat((turn * size[:, :, None], shift[:, :, None]), dim=2).to(images.device)
    grid = F.affine_grid(change, list(images.shape), False)
    if labels.dim() == 3:
        moved = F.grid_sample(labels[:, None].to(images.dtype), grid, mode="nearest", align_corners=False)
        labels = moved[:, 0].to(labels.dtype)
    elif labels.dim() == 4:
        labels = F.grid_sample(labels, grid, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False), labels


@torch.no_grad()
def accuracy(network: nn.Module, samples: Samples, batch: int = 100) -> float:
    """Top-1 over inputs with one class each; over images with a class per pixel, the mean Dice of the classes but 0; of
    answers that are what the outputs should be, the share of their variance that is explained.

    Leaves the network in evaluation mode.
    """
    total = 0.0
    for outputs, expected in answered(network, samples, batch):
        if expected.is_floating_point():
            ours, theirs = outputs.flatten(1).double(), expected.flatten(1).double()
            spread = (theirs - theirs.mean(1, keepdim=True)).square().sum(1)
            total += float((1 - (ours - theirs).square().sum(1) / spread.clamp(min=1e-12)).sum())
        elif expected.dim() == 1:
            total += float((outputs.argmax(1) == expected).double().sum())
        else:
            total += float(_dice(outputs.argmax(1), expected, outputs.shape[1]).sum())
    return total / len(samples)


@torch.no_grad()
def right(network: nn.Module, samples: Samples, batch: int = 100) -> NDArray[np.bool_]:
    """(N,) whether the largest output is the right class, of inputs with one class each. Leaves the network in
    evaluation mode."""
    parts = [(outputs.argmax(1) == expected).numpy() for outputs, expected in answered(network, samples, batch)]
    return np.concatenate(parts)


def _dice(found: Tensor, expected: Tensor, classes: int) -> Tensor:
    """(N,) of maps (N, H, W): the mean over the classes but 0 that are in either of both; 1 where none is."""
    ours, theirs = (torch.stack([maps.flatten(1) == one for one in range(1, classes)], 1) for maps in (found, expected))
    both, size = (ours & theirs).sum(2).double(), (ours.sum(2) + theirs.sum(2)).double()
    present = (size > 0).double()
    dice = (2 * both / size.clamp(min=1)).sum(1) / present.sum(1).clamp(min=1)
    return torch.where(present.sum(1) > 0, dice, 1.0)


@torch.no_grad()
def mean_loss(network: nn.Module, samples: Samples, batch: int = 100) -> float:
    """Mean cross-entropy, or mean squared error; see `loss_of`. Leaves the network in evaluation mode."""
    losses = [
        (F.mse_loss if expected.is_floating_point() else F.cross_entropy)(outputs, expected).item() * len(expected)
        for outputs, expected in answered(network, samples, batch)
    ]
    return sum(losses) / len(samples)


def answered(network: nn.Module, samples: Samples, batch: int = 100) -> Iterator[tuple[Tensor, Tensor]]:
    """Batch by batch, on the CPU: what the network says in evaluation (of several outputs the first), and what is
    right."""
    network.eval()
    device = next(network.parameters()).device
    pixels = math.prod(samples.read(np.arange(1))[0].shape[2:])
    batch = max(1, min(batch, _AT_ONCE // pixels))
    for chosen in np.array_split(np.arange(len(samples)), math.ceil(len(samples) / batch)):
        inputs, answers = samples.read(chosen)
        with guest(), torch.no_grad():
            found = network(torch.from_numpy(inputs).to(device))
        yield next(leaves(found))[1].cpu(), torch.from_numpy(answers)
