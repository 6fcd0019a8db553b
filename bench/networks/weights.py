"""Weights from files: state dicts as people really have them, told apart by content, read without running anything.

`torch.load(weights_only=True)` everywhere: a pickle that would run code is refused.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import CorruptData, UsageError
from bench.networks import content

_NESTS = ("state_dict", "model_state_dict", "model", "ema", "ema_state_dict", "net", "network", "weights", "module")
"""What training programs call the state dict in their checkpoints, the likeliest first."""
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
"""What wrappers put before every name: DataParallel, torch.compile, Lightning and people."""
_COMPILED = re.compile(r"\._orig_mod\.")
"""In the name of a part that was compiled by itself."""
_IGNORED = re.compile(r"(^|\.)(num_batches_tracked|total_ops|total_params|n_averaged)$")
"""What no network computes with."""
_STATISTICS = re.compile(r"(^|\.)running_(mean|var)$")
_VARIANCE = re.compile(r"(^|\.)running_var$")
_NAMED = 3
"""Names listed in a message before the rest is only counted."""
_SAVE = "Save the network's state dict: torch.save(network.state_dict(), FILE)."


def check_finite(weights: nn.Module | Mapping[str, Tensor], what: str, buffers: Collection[str] = ()) -> None:
    """Raises CorruptData, naming the first tensor, when one of `weights` has NaN or infinity, or is a variance below 0:
    of a network's parameters and buffers, or of tensors by name. `what` begins the sentence.

    Attention masks are kept in `buffers` as -inf; that is allowed.
    """
    if isinstance(weights, nn.Module):
        buffers = {name for name, _ in weights.named_buffers()}
        weights = dict((*weights.named_parameters(), *weights.named_buffers()))
    for name, tensor in weights.items():
        if isinstance(tensor, nn.UninitializedParameter | nn.UninitializedBuffer) or not tensor.is_floating_point():
            continue
        if _VARIANCE.search(name) and bool((tensor < 0).any()):
            raise CorruptData(
                f"{what} has variances below 0: {int((tensor < 0).sum()):,} of {tensor.numel():,} values of {name}",
                "No training makes these: check how the weights were saved or converted.",
            )
        if bool(tensor.sum().isfinite()):  # which it cannot be otherwise, and costs a fraction of looking at each
            continue
        good = tensor.isfinite()
        if name in buffers and not _STATISTICS.search(name):
            good |= tensor.isneginf()
        if not bool(good.all()):
            raise CorruptData(
                f"{what} has weights that are not finite: {int((~good).sum()):,} of {good.numel():,} values of {name}",
                "Use weights of a training that did not diverge.",
            )


def digest(network: nn.Module) -> str:
    """A key of all parameters and buffers, by name and value."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def load(network: nn.Module, path: Path) -> str:
    """Give `network` the weights in `path`, in place, and say what was taken: "state_dict → 62 tensors, float16 →
    float32".

    A state dict (`.pt`, `.safetensors`) or a `.frq` package of this very network. Raises UsageError (no such file, not
    weights, another network), CorruptData (damaged, refused, not finite).
    """
    kind = content.kind(path)
    if kind in content.FREQUENCY:
        note = _load_package(network, path)
    elif kind in ("state dict", "safetensors"):
        state, words = _state(path) if kind == "state dict" else (_safetensors(path), ["safetensors"])
        note = _fill(network, state, words, path)
    elif kind == "damaged archive":
        raise CorruptData(f"{path} is {content.words(kind)}", _SAVE)
    elif kind in content.OF_VARIANTS:
        raise UsageError(
            f"{path} is {content.words(kind)}, and not the network's own weights",
            f'Name it as a variant\'s in a plan, with the method that made it: variants = [{{ name = "METHOD", '
            f'weights = "{path.name}" }}] (docs/plans.md).',
        )
    else:
        raise UsageError(
            f"{path} is {content.words(kind)}, and not a state dict",
            "Give a whole network as the network itself; --weights takes a state dict (.pt, .safetensors) or a package "
            "of Frequency Regularization (.frq, .frq8, .frqn).",
        )
    return note


def _state(path: Path) -> tuple[Mapping[str, Tensor], list[str]]:
    """The state dict in a file of torch.save, and where in it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickles; what matters is checked
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # torch's restricted unpickler fails on damaged files in every way there is
        raise CorruptData(*_refused(path, str(error))) from None
    words: list[str] = []
    while isinstance(found, Mapping) and not _tensors(found):
        name = next((n for n in _NESTS if isinstance(found.get(n), Mapping) and found[n]), None)
        if name is None or len(words) == len(_NESTS):
            break
        words.append(f"`{name}`")
        found = found[name]
    state = _tensors(found) if isinstance(found, Mapping) else {}
    if not state:
        keys = ", ".join(repr(key)[:40] for key in list(found)[:5]) if isinstance(found, Mapping) else ""
        holds = f"a dictionary of {keys}" if keys else f"a {type(found).__name__}"
        raise UsageError(f"{path} holds {holds}, not a state dict", _SAVE)
    return state, words or ["state_dict"]


def _refused(path: Path, error: str) -> tuple[str, str]:
    if name := re.search(r"(?:GLOBAL|Unsupported global:(?: GLOBAL)?|Unsupported class) ([\w.]+)", error):
        return (
            f"{path} holds more than tensors: reading {name[1][:80]} would run code of the file, so it is refused",
            f"{_SAVE} A file that you trust can be opened by torch.load(FILE, weights_only=False) and saved that way.",
        )
    first = (error.strip() or "it is not a file of torch.save").splitlines()[0]
    return f"{path} is not a whole file of tensors: {first[:160]}", _SAVE


def _tensors(found: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of a dictionary by name, without whatever was saved with them."""
    return {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CorruptData(f"{path} is not a whole safetensors file: {first[:160]}", "Save it again.") from None


@torch.no_grad()
def _fill(network: nn.Module, state: Mapping[str, Tensor], words: list[str], path: Path) -> str:
    wanted = network.state_dict(keep_vars=True)
    prefix, named, outside = _named(state, wanted)
    _share(named, wanted)
    missing = [key for key in wanted if key not in named and not _IGNORED.search(key)]
    unexpected = [key for key in named if key not in wanted and not _IGNORED.search(key)]
    shapes = [
        f"{key} is {_times(named[key])} instead of {_times(wanted[key])}"
        for key in wanted
        if key in named and named[key].shape != wanted[key].shape
    ]
    if missing or unexpected or shapes:
        parts = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        lines = [f"{len(names):,} {what}: {_listed(names)}" for what, names in parts if names]
        raise UsageError(
            f"{path} is a state dict of another network: " + "\n".join(lines),
            "Give weights that were saved from this very network.",
        )
    casts, taken = set(), {}
    for key, tensor in wanted.items():
        given = named.get(key)
        if given is None:
            continue
        other = given.is_complex() or given.is_floating_point() != tensor.is_floating_point()
        if other and not _IGNORED.search(key):
            raise UsageError(f"{key} of {path} is {_dtype(given)}, where the network has {_dtype(tensor)}", _SAVE)
        if given.dtype != tensor.dtype and not other:
            casts.add(f"{_dtype(given)} → {_dtype(tensor)}")
        taken[key] = given.to_dense().to(tensor.dtype)
    check_finite(taken, str(path), taken.keys() - dict(network.named_parameters()).keys())
    for key, values in taken.items():
        wanted[key].copy_(values)
    notes = [f"{len(taken)} tensors", *([f"prefix `{prefix}` removed"] if prefix else []), *sorted(casts)]
    if outside:
        notes.append(f"not used: {_listed(outside)}")
    return f"{' in '.join(reversed(words))} → {', '.join(notes)}"


def _named(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor], list[str]]:
    """The tensors under the names that the network has for them: the prefix that was taken off, them, and the names of
    those that do not have the prefix."""
    removed, outside = "", list[str]()
    named = {_COMPILED.sub(".", key): tensor for key, tensor in state.items()}
    while not any(key in wanted for key in named):
        counts = {prefix: sum(key.startswith(prefix) for key in named) for prefix in _PREFIXES}
        prefix = max(counts, key=lambda p: counts[p])
        if not counts[prefix]:
            return "", dict(state), []
        outside += [key for key in named if not key.startswith(prefix)]
        named = {key.removeprefix(prefix): tensor for key, tensor in named.items() if key.startswith(prefix)}
        removed += prefix
    return removed, named, outside


def _share(named: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """A tensor that the network has under several names is often saved under one."""
    owners: dict[int, str] = {id(tensor): key for key, tensor in wanted.items() if key in named}
    for key, tensor in wanted.items():
        if key not in named and id(tensor) in owners:
            named[key] = named[owners[id(tensor)]]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(name[:100] for name in names[:_NAMED]) + more


def _times(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


@torch.no_grad()
def _load_package(network: nn.Module, path: Path) -> str:
    from bench.compress.frequency import layers, norms, package, restore

    held = package.read(path.read_bytes())
    read = held.at(held.capacities)
    plain = layers.decoded(restore.restored(network, read))
    check_finite(plain, str(path))
    for name, part in _leaves(network):
        source = plain.get_submodule(name)
        if isinstance(part, nn.BatchNorm2d) and isinstance(source, norms.PerChannel):
            _unfold(part, source)
            continue
        for key, tensor in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            tensor.copy_(getattr(source, key))
    return f"package of {read.name} → {len(read.tensors)} tensors, {read.coefficients:,} coefficients"


def _leaves(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in network.named_modules():
        if module._parameters or module._buffers:
            yield name, module


def _unfold(norm: nn.BatchNorm2d, folded: Any) -> None:
    """A batch norm that computes what its factor and term do."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1)
    norm.weight.copy_(folded.weight * (1 + norm.eps) ** 0.5)
    norm.bias.copy_(folded.bias)
