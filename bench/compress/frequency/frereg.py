"""Checkpoints of `frereg`, the FR authors' own package (0.1.0), as `.frq` packages.

A frereg layer keeps its DCT coefficients as `weight`, dense or sparse, and beside it the buffers `IDROP` (which
coefficients are in use: those where it is not 0), `ZMAT` and `IMAT` (the authors' order, and ones).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.compress.frequency import layers, order, package
from bench.compress.frequency.package import Package, Tensor
from bench.errors import CorruptData, UsageError

MASK = "IDROP"
_BUFFERS = ("ZMAT", "IMAT", MASK)
_NAMED = 6
"""Names listed in a message before the rest is only counted."""


def imported(path: Path, network: nn.Module, name: str) -> Package:
    """The checkpoint at `path` as a package called `name`, exactly: in float16 where that holds every value of a
    tensor, else in float32; each tensor as a prefix or with its indices, whichever takes fewer bytes.

    `network` is what it is a checkpoint of, uncompressed; its weights are not used. Raises UsageError when the file
    cannot be opened or does not fit the network, and CorruptData when it is not a checkpoint.
    """
    state = _read(path)
    parts = dict(layers.parts(network))
    sites = {name: part for name, part in parts.items() if isinstance(part, layers.Site)}
    known = set(parts) | {f"{site.path}.{buffer}" for site in sites.values() for buffer in _BUFFERS}
    wrong = [
        *_listed("missing", [key for key in parts if key not in state]),
        *_listed("unexpected", [key for key in state if key not in known]),
        *_listed("of another shape", _misshapen(state, parts)),
    ]
    if wrong:
        raise UsageError(
            f"{path} is not a checkpoint of {name}: {'; '.join(wrong)}",
            f"Name the network that it was trained for; {name} has {len(sites)} FR weights.",
        )
    if grouped := [name for name, site in sites.items() if site.groups > 1 and site.shape[1] > 1]:
        raise UsageError(
            f"{path} has {grouped[0]} of a transposed convolution in groups, which a package orders differently",
            "Compress the decoded network by bench compress --one-shot.",
        )
    tensors = []
    for key, part in parts.items():
        if isinstance(part, layers.Site):
            tensors.append(_coefficients(key, part, state[key], state.get(f"{part.path}.{MASK}")))
        else:
            values = _exact(key, _numbers(state[key].to_dense().flatten()))
            tensors.append(Tensor(tuple(part.shape) or (1,), values, "raw", vector=True))
    return Package(name, tuple(tensors))


def _read(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
            warnings.simplefilter("ignore")  # of old pickles; what matters is checked below
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # torch's restricted unpickler fails on damaged files in every way there is
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CorruptData(f"{path} is not a checkpoint of tensors: {first}", _SAVE) from None
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise CorruptData(f"{path} holds something other than a dictionary of tensors", _SAVE)
    return state


_SAVE = "Save the network's state dict: torch.save(network.state_dict(), FILE)."


def _listed(what: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"{what}: {', '.join(names[:_NAMED])}{more}"] if names else []


def _misshapen(state: Mapping[str, torch.Tensor], parts: Mapping[str, layers.Site | torch.Tensor]) -> list[str]:
    found = []
    for key, part in parts.items():
        site = part if isinstance(part, layers.Site) else None
        wanted = tuple(part.shape)
        for name in (key, f"{site.path}.{MASK}") if site else (key,):
            if name in state and tuple(state[name].shape) != wanted:
                found.append(f"{name} is {_times(state[name].shape)} instead of {_times(wanted)}")
    return found


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"


def _coefficients(key: str, site: layers.Site, weight: torch.Tensor, mask: torch.Tensor | None) -> Tensor:
    shape = tuple(weight.shape)
    coords, values = _entries(weight)
    used = values != 0
    if mask is not None:
        used &= _numbers(mask.to_dense())[tuple(coords.T)] != 0
    positions = order.positions(shape, coords[used])
    ascending = np.argsort(positions)
    return package.sparse(shape, positions[ascending], _exact(key, values[used][ascending]), site.transposed)


def _entries(weight: torch.Tensor) -> tuple[order.Integers, NDArray[np.float64]]:
    """Coordinates (n, rank) and values (n,) of the stored entries of a dense or sparse tensor."""
    entries = weight.detach().to_sparse_coo().coalesce()  # type: ignore[no-untyped-call]
    return entries.indices().T.numpy(), _numbers(entries.values())


def _numbers(tensor: torch.Tensor) -> NDArray[np.float64]:
    """As float64, in which every floating-point type of a checkpoint is exact."""
    numbers: NDArray[np.float64] = tensor.detach().to(torch.float64).numpy()
    return numbers


def _exact(key: str, values: NDArray[np.float64]) -> package.Values:
    if not np.isfinite(values).all():
        raise CorruptData(
            f"{key} holds values that are not numbers", "Its training diverged; use an earlier checkpoint."
        )
    with np.errstate(over="ignore"):
        half, single = values.astype(np.float16), values.astype(np.float32)
    if np.array_equal(half, values):
        return half
    if np.array_equal(single, values):
        return single
    raise CorruptData(f"{key} holds values that float32 cannot hold", "Convert the checkpoint to float32 first.")
