"""A network from the user's own function, and what can only be learnt by running it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError
from bench.networks.network import Network
from bench.networks.python import Function
from bench.records import Task, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn


RANDOM = "its weights are random ones, since no --weights were given and it loads none"


def network(name: str, function: Function, arguments: Mapping[str, Any], inputs: tuple[Tensor, ...] | None) -> Network:
    """The network that a function of the user's makes of `arguments`, for `inputs`; as it is where the function returns
    a `Network`.

    A function whose weights are the same whatever the seed has loaded them, and the network counts as trained.
    Raises UsageError and CorruptData.
    """
    made = function()
    note = f"made by your Python: {function.reference} in {function.place}"
    if isinstance(made, Network):
        return replace(made, sources=(*made.sources, *function.sources), notes=(*made.notes, note))
    if inputs is None:
        raise UsageError(
            f"{function.reference} does not say the shape of its input",
            "Give it without the batch, with --input: e.g. 3x224x224; several separated by commas.",
        )

    from bench.networks.count import examples, run
    from bench.networks.weights import digest

    found = Network(
        name=name,
        title=function.reference,
        inputs=inputs,
        task="other",
        build=lambda: _plain(function(), inputs),
        smallest=1,
    )
    module = found.build(1)
    weights = digest(module)
    trained = weights == digest(found.build(2))
    # The weights and what it answers, since its code may read files that nobody knows of.
    answers: list[bytes] = [answer.contiguous().numpy().tobytes() for answer in run(module, examples(inputs))]
    made_of: tuple[str | bytes, ...] = (function.reference, repr(sorted(arguments.items())), weights, *answers)
    return replace(found, sources=(*function.sources, *made_of), trained=trained, notes=(note,))


def _plain(module: nn.Module, inputs: Sequence[Tensor]) -> nn.Module:
    """On the CPU, in float32, and with lazy layers given their shapes."""
    import torch

    from bench.networks.count import examples, run

    if not isinstance(module, torch.nn.Module):
        return module  # which is refused where every network is checked
    module = module.cpu()
    if any(tensor.is_floating_point() for tensor in module.state_dict().values()):
        module = module.float()
    if any(isinstance(parameter, torch.nn.UninitializedParameter) for parameter in module.parameters()):
        run(module.eval(), examples(inputs))
    return module


def observed(network: Network) -> Network:
    """The same network with the task that its outputs suggest, after running it once.

    Raises UsageError when it does not take its inputs.
    """
    from bench.networks.count import described, examples, run

    outputs = described(run(network.build(), examples(network.inputs)))
    notes = network.notes if network.trained else (*network.notes, RANDOM)
    return replace(network, task=task_of(network.inputs, outputs), notes=notes)


def task_of(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Task:
    """What a network most likely does: one vector of scores is a classification, one map of scores for each pixel a
    segmentation, an output like the input a reconstruction; else "other"."""
    if len(outputs) != 1 or outputs[0].dtype != "float32":
        return "other"
    given, answer = inputs[0].shape, outputs[0].shape
    if len(inputs) == 1 and answer == given:
        return "reconstruction"
    if len(answer) == 1 and answer[0] > 1:
        return "classification"
    if len(inputs) == 1 and len(answer) == len(given) == 3 and answer[1:] == given[1:] and answer[0] > 1:
        return "segmentation"
    return "other"
