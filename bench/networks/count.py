"""Parameters, multiply-adds and outputs of a network, counted on the network itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.cache import Cache, content_key
from bench.errors import UsageError
from bench.records import Tensor

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.networks.network import Network


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
    """Of a module in evaluation mode. Raises UsageError when it does not take these inputs, or its outputs are not
    tensors of one sample each."""
    from torch.utils.flop_counter import FlopCounterMode

    with _plain_kernels(), FlopCounterMode(display=False) as flops:
        answer = run(module, examples(inputs))
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Counted(parameters, flops.get_total_flops() // 2, described(answer))


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
    """One batch of one sample: seeded values in 0..1, zeros for integers."""
    import torch

    random = torch.Generator().manual_seed(seed)
    return tuple(
        torch.zeros(1, *given.shape, dtype=torch.int32)
        if given.dtype == "int32"
        else torch.rand(1, *given.shape, generator=random)
        for given in inputs
    )


def run(module: nn.Module, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The outputs of `module` in order, whatever they were packed in. Raises UsageError when it fails."""
    import torch

    try:
        with torch.no_grad():
            answer = module(*inputs)
    except Exception as error:  # of any kind: the module is the user's
        shapes = " and ".join("×".join(map(str, given.shape[1:])) for given in inputs)
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise UsageError(
            f"the network fails on an input of {shapes}: {type(error).__name__}: {words}",
            "Give the shape of its input, without the batch, with --input: e.g. 3x224x224.",
        ) from None
    outputs = tuple(flattened(answer))
    if not outputs:
        raise UsageError(
            f"the network answers with {type(answer).__name__}, which holds no tensor",
            "Let forward return a tensor, or a tuple, list or dictionary of tensors.",
        )
    return outputs


def flattened(answer: Any) -> Iterator[torch.Tensor]:
    """The tensors of an answer in order: of tuples, lists and dictionaries, one in another too; None is left out."""
    import torch

    if isinstance(answer, torch.Tensor):
        yield answer
    elif isinstance(answer, Mapping):
        for part in answer.values():
            yield from flattened(part)
    elif isinstance(answer, list | tuple):
        for part in answer:
            yield from flattened(part)


def described(outputs: Sequence[torch.Tensor]) -> tuple[Tensor, ...]:
    """Outputs of a batch of one as descriptions of one sample, named out0, out1, …. Raises UsageError where there is no
    batch axis."""
    made = []
    for number, output in enumerate(outputs):
        if output.dim() < 1 or output.shape[0] != 1:
            raise UsageError(
                f"output {number} of the network is {tuple(output.shape)} for a batch of one sample",
                "The first axis of every input and output has to be the batch.",
            )
        dtype = "float32" if output.is_floating_point() else "int32"
        made.append(Tensor(name=f"out{number}", shape=tuple(output.shape[1:]) or (1,), dtype=dtype))
    return tuple(made)
