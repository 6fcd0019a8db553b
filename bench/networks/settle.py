"""Sane running statistics for a network that was never trained, or whose weights were changed since."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.guest import guest

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@torch.no_grad()
def settle(network: nn.Module, *inputs: Tensor) -> None:
    """Let every batch norm take the mean and variance that a batch of `inputs` gives it, in place.

    Activations then neither die nor blow up, so that an untrained network computes as much as a trained one. What the
    norms knew before is forgotten.
    """
    norms = [module for module in network.modules() if isinstance(module, _NORMS)]
    if not norms:
        return
    network.eval()  # all but the norms: dropout would settle them differently each time
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over what it is shown
    with guest():
        network(*inputs)
    network.eval()
