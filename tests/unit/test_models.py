"""The networks: published counts, shapes, names, and that looking one up costs no torch."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.compress.frequency import layers, norms
from bench.errors import UnknownName, UsageError
from bench.models import MODELS, model
from bench.networks.settle import settle
from bench.models.vit import Attention


@pytest.mark.parametrize("name", MODELS)
def test_the_stated_parameters_are_those_of_the_default_network(name: str) -> None:
    spec = model(name)
    assert count(name) == spec.parameters
    assert 0 < spec.coefficients <= spec.parameters / 20


PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "lenet300": ({}, 266_610),
    "lenet5": ({}, 431_080),
    "alexnet": ({"classes": 1000, "size": "imagenet"}, 61_100_840),
    "vgg16": ({"classes": 1000, "size": "imagenet"}, 138_357_544),
    "resnet18": ({"classes": 1000, "stem": "imagenet"}, 11_689_512),
    "resnet34": ({"classes": 1000, "stem": "imagenet"}, 21_797_672),
    "mobilenetv2": ({}, 3_504_872),
    "vit": ({"size": 224, "patch": 16, "classes": 1000}, 5_717_416),
    "unet": ({}, 31_043_586),
}
"""Of torchvision (AlexNet to MobileNetV2), timm (ViT-Tiny), milesial (UNet) and the papers (LeNets)."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    options, parameters = PUBLISHED[name]
    assert count(name, **options) == parameters


def count(name: str, **options: Any) -> int:
    """Parameters of a network whose weights are not made."""
    return sum(parameter.numel() for parameter in unmade(name, **options).parameters())


def unmade(name: str, **options: Any) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = importlib.import_module(f"bench.models.{name}").build("ordinary", **options)
    return network


_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvision_resnet(blocks: Sequence[int]) -> list[str]:
    """The keys of torchvision's state dict, from its names for the parts."""
    keys = ["conv1.weight", *(f"bn1.{key}" for key in _NORM)]
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            for half in (1, 2):
                keys.append(f"layer{stage}.{block}.conv{half}.weight")
                keys += [f"layer{stage}.{block}.bn{half}.{key}" for key in _NORM]
            if stage > 1 and block == 0:
                keys.append(f"layer{stage}.0.downsample.0.weight")
                keys += [f"layer{stage}.0.downsample.1.{key}" for key in _NORM]
    return [*keys, "fc.weight", "fc.bias"]


def torchvision_mobilenet() -> list[str]:
    keys = ["features.0.0.weight", *(f"features.0.1.{key}" for key in _NORM)]
    for block in range(1, 18):
        norms = ["0.1", "2"] if block == 1 else ["0.1", "1.1", "3"]
        convolutions = ["0.0", "1"] if block == 1 else ["0.0", "1.0", "2"]
        for convolution, norm in zip(convolutions, norms, strict=True):
            keys.append(f"features.{block}.conv.{convolution}.weight")
            keys += [f"features.{block}.conv.{norm}.{key}" for key in _NORM]
    keys += ["features.18.0.weight", *(f"features.18.1.{key}" for key in _NORM)]
    return [*keys, "classifier.1.weight", "classifier.1.bias"]


def plain(features: Sequence[int], classifier: Sequence[int]) -> list[str]:
    """Keys of layers with weight and bias, by their places in `features` and `classifier`."""
    layers = [f"features.{place}" for place in features] + [f"classifier.{place}" for place in classifier]
    return [f"{layer}.{key}" for layer in layers for key in ("weight", "bias")]


TORCHVISION = {
    "alexnet": plain((0, 3, 6, 8, 10), (1, 4, 6)),
    "vgg16": plain((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), (0, 3, 6)),
    "resnet18": torchvision_resnet((2, 2, 2, 2)),
    "resnet34": torchvision_resnet((3, 4, 6, 3)),
    "mobilenetv2": torchvision_mobilenet(),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_are_torchvisions(name: str) -> None:
    assert list(unmade(name).state_dict()) == TORCHVISION[name]


SHAPES = {
    "alexnet": {"features.0.weight": (64, 3, 11, 11), "classifier.1.weight": (4096, 9216)},
    "vgg16": {"features.28.weight": (512, 512, 3, 3), "classifier.0.weight": (4096, 25088)},
    "resnet18": {"conv1.weight": (64, 3, 7, 7), "layer2.0.downsample.0.weight": (128, 64, 1, 1)},
    "mobilenetv2": {"features.2.conv.1.0.weight": (96, 1, 3, 3), "features.17.conv.2.weight": (320, 960, 1, 1)},
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_torchvisions(name: str) -> None:
    state = unmade(name, **PUBLISHED[name][0]).state_dict()
    assert {key: tuple(state[key].shape) for key in SHAPES[name]} == SHAPES[name]


def test_vit_names_are_timms() -> None:
    keys = list(unmade("vit").state_dict())
    assert keys[:4] == ["cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"]
    block = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    assert keys[4:16] == [f"blocks.0.{part}.{key}" for part in block for key in ("weight", "bias")]
    assert keys[-4:] == ["norm.weight", "norm.bias", "head.weight", "head.bias"]


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


@pytest.mark.parametrize("size", [None, (128, 96)])
@pytest.mark.parametrize("name", MODELS)
def test_the_stated_multiply_adds_are_those_of_a_real_inference(name: str, size: tuple[int, int] | None) -> None:
    spec = MODELS[name]
    shape = spec.shape(size if spec.smallest else None)
    counted = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal counted
        if isinstance(layer, Attention):  # between every two tokens: how much they have to do with each other, and that
            _, tokens, width = output.shape
            counted += 2 * tokens * tokens * width
            return
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        if isinstance(layer, nn.Linear):
            counted += weight.numel() * (output.numel() // output.shape[-1])
        else:
            counted += weight.numel() * (inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output)[0, 0].numel()

    network = unmade(name).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | Attention):
            layer.register_forward_hook(count)
    network(torch.zeros(1, *shape, device="meta"))
    assert counted == spec.macs(shape)


def test_the_documented_table_says_what_bench_does() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8").splitlines()
    rows = {line.split("`")[1]: [cell.strip() for cell in line.split("|")] for line in lines if line.startswith("| `")}
    assert rows.keys() == MODELS.keys()
    for name, spec in MODELS.items():
        _, _, _, shape, parameters, _, coefficients, trained, *_ = rows[name]
        assert shape.split(",")[0] == "×".join(map(str, spec.input_shape))
        assert (parameters, coefficients) == (f"{spec.parameters:,}", f"{spec.coefficients:,}")
        assert (trained == "no") == (not spec.trained and name != "unet")


@pytest.mark.parametrize("name", MODELS)
def test_every_network_answers_as_its_task_says(name: str) -> None:
    spec = MODELS[name]
    shape = spec.shape((64, 64) if spec.smallest else None)
    with torch.no_grad():
        answer = spec.build("frequency").eval()(torch.rand(2, *shape))
    expected = {
        "classification": (2, {"signs": 43, "mobilenetv2": 1000}.get(name, 10)),
        "segmentation": (2, 2, *shape[1:]),
        "reconstruction": (2, *shape),
    }[spec.task]
    assert answer.shape == expected
    assert answer.isfinite().all()


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "vae"])
def test_untrained_networks_without_norms_keep_the_signal(name: str) -> None:
    """Different images have answers that differ, as large as the images are."""
    spec = MODELS[name]
    torch.manual_seed(0)
    with torch.no_grad():
        answers = spec.build().eval()(torch.rand(4, *spec.input_shape))
    assert 0.01 < answers.std(dim=0).mean() < 10


def test_a_vae_draws_its_code_in_training_and_takes_the_mean_in_evaluation() -> None:
    torch.manual_seed(0)
    network = model("vae").build()
    image = torch.rand(1, 1, 28, 28)
    assert not torch.equal(network(image), network(image))
    assert torch.equal(network.eval()(image), network(image))
    mean, log_variance = network.encode(image)  # type: ignore[operator]
    assert mean.shape == log_variance.shape == (1, 16)
    assert torch.equal(network.decode(mean), network(image))  # type: ignore[operator]


@pytest.mark.parametrize("name", ["mobilenetv2", "signs"])
def test_folded_norms_compute_the_same_with_two_numbers_a_channel(name: str) -> None:
    spec = MODELS[name]
    torch.manual_seed(0)
    network = spec.build().double()
    images = torch.rand(2, *spec.shape((64, 64) if spec.smallest else None), dtype=torch.double)
    settle(network, images)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias, -1, 1)
    plain = norms.folded(network)
    channels = sum(norm.num_features for norm in network.modules() if isinstance(norm, nn.BatchNorm2d))
    assert not any(isinstance(norm, nn.BatchNorm2d) for norm in plain.modules())
    values = sum(values.numel() for values in network.state_dict().values() if values.is_floating_point())
    assert sum(values.numel() for values in plain.state_dict().values()) == values - 2 * channels
    with torch.no_grad():
        expected = network.eval()(images)
        for form in (plain, norms.convolved(plain)):
            torch.testing.assert_close(form(images), expected, rtol=1e-9, atol=1e-9)


def test_norms_without_running_statistics_stay() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3, affine=False, track_running_stats=False), nn.InstanceNorm2d(3))
    assert [type(layer) for layer in norms.folded(network)] == [nn.BatchNorm2d, nn.InstanceNorm2d]
