"""Parameters, multiply-adds and outputs of a network, counted on the network itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from bench.cache import Cache, content_key
from bench.errors import UsageError
from bench.guest import Exited, guest
from bench.records import Tensor

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.networks.network import Network

Result = TypeVar("Result")


class Counted(NamedTuple):
    """Of one inference of one sample. Shared parameters count once. Multiply-adds are those of convolutions, matrix
    products and attention, as torch counts them."""

    parameters: int
    macs: int
    outputs: tuple[Tensor, ...]


def counts(network: Network, cache: Cache) -> Counted | None:
    """The counts of a network at its inputs, from the cache where they were made before; None for a ready graph, which
    has no module to count."""
    if network.graph:
        return None

    def make(folder: Path) -> None:
        found = count(network.build(), network.inputs)
        outputs = [output.model_dump() for output in found.outputs]
        (folder / "counts.json").write_text(json.dumps([found.parameters, found.macs, outputs]), encoding="utf-8")

    own = Path(__file__)
    key = content_key(network.name, repr(network.inputs), metadata.version("torch"), own, *network.sources)
    text = (cache.build("counts", key, make) / "counts.json").read_text(encoding="utf-8")
    parameters, macs, outputs = json.loads(text)
    return Counted(parameters, macs, tuple(Tensor.model_validate(output) for output in outputs))


def count(module: nn.Module, inputs: Sequence[Tensor]) -> Counted:
    """Of a module in evaluation mode. Raises UsageError when it does not take these inputs, and ExportRefused or
    UsageError when it does not answer with tensors."""
    parameters = sum(parameter.numel() for parameter in module.parameters())
    try:
        macs, outputs = watched(lambda: _shapes_alone(module, inputs))
    except Exception:  # of any kind: not every network can do without values; if it fails with them too, that is said
        macs, outputs = watched(lambda: run(module, examples(inputs)))
    return Counted(parameters, macs, described(outputs))


def watched(work: Callable[[], Result]) -> tuple[int, Result]:
    """The multiply-adds of what torch computes in `work`, and what that returns."""
    from torch.utils.flop_counter import FlopCounterMode

    with _plain_kernels(), FlopCounterMode(display=False) as flops:
        found = work()
    return flops.get_total_flops() // 2, found


def _shapes_alone(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[torch.Tensor, ...]:
    """The outputs without their values, which costs next to nothing. Raises whatever torch does where it cannot."""
    import torch

    state = {name: t.to("meta") for name, t in (*module.named_parameters(), *module.named_buffers())}
    with torch.no_grad(), guest():
        shapes = tuple(given.to("meta") for given in examples(inputs))
        return _answer(torch.func.functional_call(module, state, shapes))


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Attention and recurrent layers as matrix products: in their fused kernels torch counts nothing."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mkldnn's flags mention GPUs
            with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def examples(inputs: Sequence[Tensor], seed: int = 1) -> tuple[torch.Tensor, ...]:
    """A batch of one sample: seeded values in 0..1, zeros for whole numbers."""
    import torch

    random = torch.Generator().manual_seed(seed)
    return tuple(
        torch.zeros(1, *given.shape, dtype=torch.int64)
        if given.dtype == "int32"
        else torch.rand(1, *given.shape, generator=random)
        for given in inputs
    )


def run(module: nn.Module, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The outputs of `module` in order, whatever they were packed in. Raises as `count` does."""
    import torch

    try:
        with torch.no_grad(), guest():
            answer = module(*inputs)
    except Exited:
        raise
    except Exception as error:  # of any kind: the module is the user's
        shapes = " and ".join("×".join(map(str, given.shape[1:])) for given in inputs)
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise UsageError(
            f"the network fails on an input of {shapes}: {type(error).__name__}: {words}",
            "Give the shape of its input, without the batch, with --input: e.g. 3x224x224.",
        ) from None
    return _answer(answer)


def _answer(returned: object) -> tuple[torch.Tensor, ...]:
    from bench.export.eager import leaves

    outputs = tuple(tensor for _, tensor in leaves(returned))
    if not outputs:
        raise UsageError(
            f"the network's forward returns {returned!r:.40}, which holds no tensor",
            "Let it return a tensor, or a tuple, list or dictionary of tensors.",
        )
    return outputs


def described(outputs: Sequence[torch.Tensor]) -> tuple[Tensor, ...]:
    """Outputs for a batch of one as descriptions of one sample, named out0, out1, …"""
    shapes = (tuple(output.shape) for output in outputs)
    samples = (shape[1:] if shape[:1] == (1,) else shape for shape in shapes)
    return tuple(Tensor(name=f"out{number}", shape=shape or (1,)) for number, shape in enumerate(samples))
