"""The networks that can be measured: those that come with bench, those of other packages, the user's own.

Other packages add theirs as entry points of the group `fr_bench.networks`: each a `Network`, or a function that returns
one or a torch module. This package does not import torch until a network has to be built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UnknownName, UsageError
from bench.networks import builtin, content, files, own, python
from bench.networks.network import SEED, Network, checked, parse_inputs
from bench.plan import label_of
from bench.records import Tensor

if TYPE_CHECKING:
    from torch import nn

__all__ = ["SEED", "Network", "names", "parse_inputs", "resolve"]

GROUP = "fr_bench.networks"


def names() -> tuple[str, ...]:
    """Of the networks that come with bench, and those that other packages add."""
    return tuple(dict.fromkeys((*builtin.NAMES, *_entry_points())))


def _entry_points() -> Mapping[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def resolve(
    reference: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    weights: Path | None = None,
    inputs: Sequence[Tensor] | None = None,
    input_size: tuple[int, int] | None = None,
) -> Network:
    """The network that a plan or a flag names.

    `reference` is a name (`names()`), `package.module:function`, `path/to/file.py:function` (both run the user's
    Python), or a file: TorchScript, torch.export, ONNX, ncnn, `.frq`. `arguments` are the function's; `weights` is a
    state dict, or a `.frq` package for the FR variants; `inputs` are the shapes of one sample, `input_size` the height
    and width of an image.

    Raises UnknownName, UsageError (anything that does not suit), CorruptData (damaged files, weights that are not
    finite) and ToolMissing (a package that a network needs).
    """
    given = None if inputs is None else checked(inputs)
    network = _described(reference, arguments or {}, given)
    if weights is not None:
        network = _weighted(network, weights)
    if given is not None and [i.shape for i in given] != [i.shape for i in network.inputs]:
        network = _reshaped(network, given)
    if input_size is not None:
        network = network.sized(input_size)
    return network if network.graph or network.task != "other" else own.observed(network)


def _described(reference: str, arguments: Mapping[str, Any], inputs: tuple[Tensor, ...] | None) -> Network:
    if reference in builtin.NAMES:
        return builtin.network(reference, arguments)
    if point := _entry_points().get(reference):
        return own.network(reference, python.load(point.value, arguments), arguments, inputs)
    if python.is_reference(reference):
        return own.network(label_of(reference), python.load(reference, arguments), arguments, inputs)
    path = Path(reference)
    if not path.suffix and len(path.parts) == 1 and not path.exists():
        raise UnknownName.of("network", reference, names())
    if arguments:
        raise UsageError(f"{reference} is a file and takes no arguments", "Leave the arguments out.")
    return _packaged(path, inputs) if content.kind(path) in content.FREQUENCY else files.network(path, inputs)


def _packaged(path: Path, inputs: tuple[Tensor, ...] | None) -> Network:
    """The network that a `.frq` package was made of, with it."""
    name = files.package_name(path)
    if name not in names():
        raise UsageError(
            f"{path} is a package of {name!r}, which is not one of bench's networks",
            f"Name the network that it was made of, and the package as its weights: net.py:build --weights {path}.",
        )
    return _weighted(_described(name, {}, inputs), path)


def _weighted(network: Network, path: Path) -> Network:
    """The network with the weights in that file: its own, or those of its FR variants."""
    if network.graph:
        raise UsageError(f"{network.title} has its weights already", "Leave --weights out.")
    if content.kind(path) in content.FREQUENCY:
        made_of = files.package_name(path)
        if made_of != network.name and {made_of, network.name} & set(names()):
            raise UsageError(f"{path} is a package of {made_of}, not of {network.name}", f"Measure it as {made_of}.")
        return replace(network, packages={"": path})

    from bench.networks.weights import load

    def build() -> nn.Module:
        module = network.build()
        load(module, path)
        return module

    return replace(
        network,
        build=build,
        trained=True,
        learns=False,
        packages={},
        sources=(*network.sources, path),
        notes=(*network.notes, f"weights of {path.name}: {load(network.build(), path)}"),
    )


def _reshaped(network: Network, inputs: tuple[Tensor, ...]) -> Network:
    """The network for other inputs than its own. Raises UsageError where only height and width could change."""
    one_image = len(inputs) == len(network.inputs) == 1 and len(inputs[0].shape) == len(network.shape) == 3
    if one_image and inputs[0].shape[0] == network.shape[0]:
        return network.sized((inputs[0].shape[1], inputs[0].shape[2]))
    words = " and ".join("×".join(map(str, tensor.shape)) for tensor in network.inputs)
    raise UsageError(f"{network.name} takes {words}", "Leave --input out for this network.")
