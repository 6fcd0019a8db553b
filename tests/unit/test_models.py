"""The networks: published counts, shapes, names, and that looking one up costs no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.compress.frequency import layers
from bench.errors import UnknownName, UsageError
from bench.models import MODELS, model
from bench.models.settle import settle


@pytest.mark.parametrize("name", MODELS)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    spec = model(name)
    assert sum(p.numel() for p in spec.build().parameters()) == spec.parameters


def test_published_counts() -> None:
    assert {name: spec.parameters for name, spec in MODELS.items()} == {"lenet5": 431_080, "unet": 31_043_586}


def test_unet_names_are_milesials() -> None:
    keys = model("unet").build().state_dict().keys()
    for name in (
        "inc.double_conv.0.weight",
        "inc.double_conv.1.running_mean",
        "down1.maxpool_conv.1.double_conv.0.weight",
        "up1.up.weight",
        "up1.conv.double_conv.0.weight",
        "outc.conv.weight",
    ):
        assert name in keys


def test_the_unet_that_fr_trains_has_23_weights_and_nothing_else() -> None:
    network = model("unet").build("frequency")
    assert len(layers.sites(network)) == len(network.state_dict()) == 23


@pytest.mark.parametrize("size", [(32, 48), (45, 61)])
@pytest.mark.parametrize("form", ["ordinary", "frequency"])
def test_unet_keeps_any_size(form: str, size: tuple[int, int]) -> None:
    network = model("unet").build(form).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        assert network(torch.rand(2, 3, *size)).shape == (2, 2, *size)


def test_lenet_answers_ten_classes() -> None:
    spec = model("lenet5")
    assert spec.build()(torch.rand(3, *spec.shape())).shape == (3, 10)


def test_instance_norm_is_per_image() -> None:
    """The answer for one image does not depend on the others beside it."""
    network = model("unet").build("frequency").eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(images)[:1], network(images[:1]), atol=1e-4, rtol=1e-4)


def test_settled_norms_give_what_the_batch_gives() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
    images = 5 + 3 * torch.randn(4, 3, 32, 32)
    settle(network, images)
    assert not network.training
    with torch.no_grad():
        found = network(images)
    assert found.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert (found.var(dim=(0, 2, 3)) - 1).abs().max() < 1e-2


def test_unknown_models_come_with_near_matches() -> None:
    with pytest.raises(UnknownName, match="Did you mean lenet5"):
        model("lenet-5")


def test_sizes_that_a_network_does_not_take_are_refused() -> None:
    assert model("lenet5").shape((28, 28)) == (1, 28, 28)
    assert model("unet").shape((320, 240)) == (3, 320, 240)
    with pytest.raises(UsageError, match="takes 28×28 pixels, not 32×32"):
        model("lenet5").shape((32, 32))
    with pytest.raises(UsageError, match="too small"):
        model("unet").shape((16, 320))


def test_looking_up_and_preparing_import_no_torch() -> None:
    program = "import sys, bench.prepare, bench.models; bench.models.model('unet'); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("name", MODELS)
def test_the_stated_multiply_adds_are_those_of_a_real_inference(name: str) -> None:
    spec = MODELS[name]
    shape = spec.shape((64, 96)) if spec.smallest else spec.input_shape
    counted = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal counted
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        positions = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counted += weight.numel() * (positions.shape[2:].numel() if weight.dim() == 4 else 1)

    network = spec.build().eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, *shape))
    assert counted == spec.macs(shape)
