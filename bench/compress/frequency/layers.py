"""FR on a network: every weight becomes the IDCT of its first few coefficients (a torch parametrization).

The layers stay torch's own, so whatever they do (stride, padding, groups) still works; biases and norms are untouched.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.compress.frequency import dct, order, package
from bench.compress.frequency.package import Package
from bench.errors import CorruptData, UsageError

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WEIGHTED: dict[tuple[type[nn.Module], ...], tuple[str, ...]] = {
    (nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED, nn.Linear): ("weight",),
    (nn.MultiheadAttention,): ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"),
}
"""What FR compresses: types of layers and their weights. An attention's `out_proj` is a Linear of its own."""
_PART_OF_ATTENTION = nn.modules.linear.NonDynamicallyQuantizableLinear


class Frequency(nn.Module):
    """From coefficients, in the order that `order` defines, to a weight of `shape`, through fixed matrices.

    `scale` is what the coefficients are multiples of where they are shipped in 8 bits, None where as float16. `first`
    is how many coefficients the weight is made of for the time being, of all that are kept; None: of all.

    Takes a vector of at least `kept` coefficients; those beyond `kept` have no influence. Works in the coefficients'
    own precision and on their device. With `groups`, those of a transposed convolution, the weight is then `regrouped`.
    """

    index: Tensor

    def __init__(self, shape: tuple[int, ...], kept: int, groups: int = 1) -> None:
        super().__init__()
        self.shape, self.groups = shape, groups
        self.scale: np.float16 | None = None
        self.first: int | None = None
        self.kept, self.box = 0, (0,) * len(shape)
        self.register_buffer("index", torch.empty(0, dtype=torch.int64), persistent=False)
        for axis in range(len(shape)):
            self.register_buffer(f"basis{axis}", torch.empty(shape[axis], 0), persistent=False)
        self.truncate(kept)

    def truncate(self, kept: int) -> None:
        """Keep the first `kept` coefficients, 1 … product of shape, from now on."""
        box = order.prefix_box(self.shape, kept)
        if box == self.box and kept <= self.kept:
            self.index = self.index[:kept]
        else:
            strides = [math.prod(box[axis + 1 :]) for axis in range(len(box))]
            flat = order.prefix(self.shape, kept) @ np.array(strides)
            self.index = torch.from_numpy(flat).to(self.index.device)
        self.kept, self.box = kept, box
        for axis, (matrix, columns) in enumerate(zip(self._held(), box, strict=True)):
            if columns > matrix.shape[1]:
                self._place(axis)
            elif columns < matrix.shape[1]:
                setattr(self, f"basis{axis}", matrix[:, :columns].contiguous())

    def _place(self, axis: int) -> None:
        old, n, columns = self._held()[axis], self.shape[axis], self.box[axis]
        setattr(self, f"basis{axis}", torch.tensor(dct.basis(n, columns)).to(dtype=old.dtype, device=old.device))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Frequency:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # Made anew, not cast: a network that was half for a while has whole matrices afterwards.
        for axis in range(len(self.shape)):
            self._place(axis)
        return self

    def _held(self) -> list[Tensor]:
        return [cast(Tensor, getattr(self, f"basis{axis}")) for axis in range(len(self.shape))]

    @property
    def used(self) -> int:
        """How many coefficients the weight is made of."""
        return self.kept if self.first is None else min(self.first, self.kept)

    def bases(self) -> list[Tensor]:
        """Per axis, the columns of the DCT that meet a used coefficient: (n, box) of that axis."""
        if self.used == self.kept:
            return self._held()
        box = order.prefix_box(self.shape, self.used)
        return [matrix[:, :columns].contiguous() for matrix, columns in zip(self._held(), box, strict=True)]

    def core(self, coefficients: Tensor) -> Tensor:
        """The used coefficients in their box."""
        used = self.used
        core = coefficients.new_zeros(math.prod(self.box)).index_copy(0, self.index[:used], coefficients[:used])
        core = core.view(self.box)
        if used == self.kept:
            return core
        return core[tuple(map(slice, order.prefix_box(self.shape, used)))]

    def forward(self, coefficients: Tensor) -> Tensor:
        core = self.core(coefficients)
        # Always the last axis is expanded and comes out first: after N turns the axes are in order again. The last turn
        # is by far the largest and writes each weight once. Its small operand is laid out anew, since the product's
        # backward is several times slower over a transposed one.
        for matrix in reversed(self.bases()):
            others = core.shape[:-1]
            core = matrix @ core.reshape(-1, core.shape[-1]).T.contiguous()
            core = core.view(-1, *others)
        return regrouped(core, self.groups)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The nearest coefficients to a weight: its DCT, truncated."""
        weight = regrouped(weight, self.groups)
        for matrix in reversed(self.bases()):
            weight = torch.tensordot(matrix.T, weight, dims=([1], [weight.dim() - 1]))
        return weight.flatten()[self.index]


def regrouped(weight: Tensor, groups: int) -> Tensor:
    """The weight of a transposed convolution in groups, (in, out/groups, …) in torch, as the (out, in/groups, …) of
    what any convolution in groups has; or the other way round. Without groups, the weight as it is."""
    if groups == 1:
        return weight
    first, second, *kernel = weight.shape
    apart = weight.reshape(groups, first // groups, second, *kernel).transpose(1, 2)
    return apart.reshape(groups * second, first // groups, *kernel)


@dataclass(frozen=True, eq=False)
class Site:
    """One weight that FR compresses: the parameter of that name of the module at `path`."""

    path: str
    module: nn.Module
    parameter: str

    @property
    def name(self) -> str:
        """The weight's name in the state dict of the ordinary network, e.g. `conv1.weight`."""
        return f"{self.path}.{self.parameter}" if self.path else self.parameter

    @property
    def weight(self) -> Tensor:
        """The weight itself; of a compressed site, computed at each call."""
        return cast(Tensor, getattr(self.module, self.parameter))

    @property
    def plain(self) -> Tensor:
        """The weight with axes in the order that FR sees and a package stores; see `regrouped`."""
        return regrouped(self.weight, self.groups)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of `plain`, without computing it."""
        return self.frequency.shape if self.compressed else tuple(self.plain.shape)

    @property
    def parametrized(self) -> bool:
        return parametrize.is_parametrized(self.module, self.parameter)

    @property
    def compressed(self) -> bool:
        return self.parametrized and isinstance(self._parametrizations[0], Frequency)

    @property
    def frequency(self) -> Frequency:
        """How a compressed site's weight is made."""
        return cast(Frequency, self._parametrizations[0])

    @property
    def coefficients(self) -> nn.Parameter:
        """The coefficients of a compressed site; those beyond `frequency.kept` are dead."""
        return cast(nn.Parameter, self._parametrizations.original)

    @property
    def values(self) -> Tensor:
        """What is learnt and stored: the coefficients of a compressed site, else the weight."""
        return self.coefficients if self.compressed else self.weight

    @property
    def transposed(self) -> bool:
        """Whether the first two axes of `plain` are (in, out) instead of (out, in)."""
        return isinstance(self.module, _TRANSPOSED) and self.groups == 1

    @property
    def groups(self) -> int:
        """Those by which the weight of a transposed convolution is `regrouped`; of any other layer 1."""
        return self.module.groups if isinstance(self.module, _TRANSPOSED) else 1

    @property
    def factorable(self) -> bool:
        """Whether the layer can be run as 1×1 → core → 1×1: not if its channels are in groups, its padding is more
        than zeros, or it belongs to an attention, which computes with the weight itself."""
        if isinstance(self.module, nn.Conv2d | nn.ConvTranspose2d):
            return self.module.groups == 1 and self.module.padding_mode == "zeros"
        return isinstance(self.module, nn.Linear) and not isinstance(self.module, _PART_OF_ATTENTION)

    def compress(self, frequency: Frequency) -> None:
        """Compress the weight: its nearest coefficients take its place."""
        parametrize.register_parametrization(self.module, self.parameter, frequency)

    @property
    def _parametrizations(self) -> parametrize.ParametrizationList:
        lists = cast(nn.ModuleDict, self.module.parametrizations)
        return cast(parametrize.ParametrizationList, lists[self.parameter])


def sites(network: nn.Module) -> dict[str, Site]:
    """Every weight of `network` that FR compresses, compressed or not, by name, in the order of its modules."""
    found = (site for path, module in network.named_modules() for site in _sites_of(path, module))
    return {site.name: site for site in found}


def _sites_of(path: str, module: nn.Module) -> Iterator[Site]:
    for types, parameters in _WEIGHTED.items():
        if isinstance(module, types):
            for parameter in parameters:
                site = Site(path, module, parameter)
                # Asking for the attribute itself would compute a compressed weight.
                held = module._parameters.get(parameter, module.__dict__.get(parameter))
                if held is not None or site.parametrized:
                    yield site


def compress(network: nn.Module, kept: Mapping[str, int]) -> None:
    """Make every site of `network` an FR weight, in place: the `kept[name]` coefficients nearest it.

    Raises what `check` raises, with nothing changed."""
    check(network)
    for name, site in sites(network).items():
        site.compress(Frequency(site.shape, kept[name], site.groups).to(site.weight))


def check(network: nn.Module, title: str = "the network") -> None:
    """Raises UsageError, with words, unless `compress` can compress `network`, called `title`: it may have no layers
    that FR knows, be compressed already or not yet initialised, have weights that are shared between layers or computed
    from other parameters."""
    found = sites(network)
    if not found:
        raise UsageError(
            f"{title} has no convolution, linear layer or attention that Frequency Regularization could change",
            "Name the Python of the network; TorchScript and exported programs have operators instead of layers.",
        )
    for name, site in found.items():
        if site.compressed:
            raise UsageError(
                f"{name} is already compressed",
                "Compress the ordinary network again, or use layers.decoded(network) of this one.",
            )
    computed = [name for name, site in found.items() if site.parameter not in site.module._parameters]
    owners: dict[Tensor | None, list[str]] = {}
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        if parametrize.is_parametrized(module):
            computed += [f"{prefix}{name}" for name in cast(nn.ModuleDict, module.parametrizations)]
        for name, held in module._parameters.items():
            owners.setdefault(held, []).append(f"{prefix}{name}")
    if computed:
        raise UsageError(
            f"{computed[0]} is computed from other parameters (weight or spectral norm, for instance)",
            "Remove that first, by torch.nn.utils.parametrize.remove_parametrizations.",
        )
    for name, site in found.items():
        if isinstance(site.weight, nn.parameter.UninitializedParameter):
            raise UsageError(f"{name} has no shape yet", "Run the network once on an input, then compress it.")
        if len(owners[site.weight]) > 1:
            raise UsageError(
                f"{' and '.join(owners[site.weight])} are one weight, shared between layers",
                "Give each layer its own weight; a shared one has no place in a package.",
            )


def decoded(network: nn.Module) -> nn.Module:
    """A copy of a compressed network with ordinary weights."""
    plain = copy.deepcopy(network)
    weights = [(site, site.weight.detach()) for site in sites(plain).values() if site.compressed]
    for site, _ in weights:
        # torch's own removal also takes the property off the class, which a copy shares with its original.
        if hasattr(site.module, "parametrizations"):
            site.module.__class__ = parametrize.type_before_parametrizations(site.module)
            del site.module.parametrizations
    for site, weight in weights:
        setattr(site.module, site.parameter, nn.Parameter(weight))
    return plain


def placed(network: nn.Module, path: str, module: nn.Module) -> nn.Module:
    """`network` with `module` at `path`, in place; `module` itself where that is the whole network."""
    if not path:
        return module
    network.set_submodule(path, module)
    return network


def parts(network: nn.Module) -> Iterator[tuple[str, Site | Tensor]]:
    """Everything that determines what `network` computes, by its name in the ordinary network's state dict: its sites,
    and the rest as it is (biases, norm parameters, running statistics). In the order in which it is shipped."""
    for path, module in network.named_modules():
        taken = [site.parameter for site in _sites_of(path, module)]
        yield from ((site.name, site) for site in _sites_of(path, module))
        if isinstance(module, parametrize.ParametrizationList | Frequency):
            continue
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            lasting = name not in module._non_persistent_buffers_set
            if tensor is not None and tensor.is_floating_point() and lasting and name not in taken:
                yield f"{path}.{name}" if path else name, tensor


def shipped(name: str, network: nn.Module) -> Package:
    """What is shipped of a compressed network: `parts` in float16, float32 where that is too narrow. A site that is
    not compressed is shipped as it is. Raises CorruptData for values that are not finite.

    Whoever writes the package for a graph puts its tensors in that graph's load order.
    """
    found = dict(parts(network))
    for key, part in found.items():
        if not (part.values if isinstance(part, Site) else part).isfinite().all():
            raise CorruptData(
                f"{key} holds values that are not finite",
                "The training diverged; try another seed or an earlier state.",
            )
    return Package(name, tuple(tensor_of(part) for part in found.values()))


def tensor_of(part: Site | Tensor) -> package.Tensor:
    """One of `parts` as it is shipped."""
    if isinstance(part, Site) and part.compressed:
        scale, kept = part.frequency.scale, part.coefficients.detach()[: part.frequency.kept]
        values = _stored(kept) if scale is None else steps(kept, scale).to(torch.int8).cpu().numpy()
        used = np.flatnonzero(values)
        return package.sparse(part.shape, used, values[used], part.transposed, scale)
    if isinstance(part, Site):
        values = _stored(part.plain.detach().flatten())
        return package.Tensor(part.shape, values, "raw", transposed=part.transposed)
    return package.Tensor(tuple(part.shape) or (1,), _stored(part.detach().flatten()), "raw", vector=True)


def _stored(values: Tensor) -> package.Values:
    half = values.half()
    return (half if half.isfinite().all() else values.float()).cpu().numpy()


def steps(values: Tensor, scale: np.float16) -> Tensor:
    """How many times `scale` each value is, rounded, as far as 8 bits reach."""
    return (values / float(scale)).round().clamp(-package.LARGEST, package.LARGEST)


@torch.no_grad()
def round_to_half(network: nn.Module) -> None:
    """Round whatever is shipped of a compressed network to what the package stores of it, in place: float16, and
    multiples of their scale where coefficients have one."""
    for _, part in parts(network):
        values = part.values if isinstance(part, Site) else part
        if isinstance(part, Site) and part.compressed and part.frequency.scale is not None:
            values.copy_(steps(values, part.frequency.scale) * float(part.frequency.scale))
            continue
        half = values.half()
        values.copy_(half if half.isfinite().all() else values.float())
