"""Weights as people have them: where they are taken from, and what is refused."""

from __future__ import annotations

import argparse
import contextlib
import copy
import os
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from bench import networks
from bench.compress.frequency import layers, norms, package
from bench.errors import BenchError, CorruptData, UsageError
from bench.networks import weights


def net(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(width, 2))


@pytest.fixture
def trained() -> nn.Module:
    torch.manual_seed(5)
    network = net()
    network(torch.rand(8, 3, 3, 3))  # which moves the running statistics
    return network.eval()


def loaded(content: object, tmp_path: Path) -> tuple[nn.Module, str]:
    file = tmp_path / "state.pt"
    torch.save(content, file)
    network = net().eval()
    return network, weights.load(network, file)


def same(a: nn.Module, b: nn.Module, tolerance: float = 0) -> bool:
    return all(
        torch.allclose(x.double(), y.double(), atol=tolerance, rtol=0)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def prefixed(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "model.net."])
@pytest.mark.parametrize("nest", [(), ("state_dict",), ("model",), ("model_state_dict",), ("ema",), ("ema", "module")])
def test_prefixes_and_nestings_that_people_have_load(
    prefix: str, nest: tuple[str, ...], trained: nn.Module, tmp_path: Path
) -> None:
    content: Any = prefixed(trained.state_dict(), prefix)
    for name in reversed(nest):
        content = {name: content, "epoch": 7, "optimizer": {"lr": 0.1}}
    network, note = loaded(content, tmp_path)
    assert same(network, trained)
    assert ("prefix" in note) == bool(prefix)
    assert prefix.removesuffix("_orig_mod.") in note
    assert all(f"`{name}`" in note for name in nest)
    assert "9 tensors" in note


def test_a_part_that_was_compiled_by_itself_loads(trained: nn.Module, tmp_path: Path) -> None:
    state = {key.replace("0.", "0._orig_mod.", 1): value for key, value in trained.state_dict().items()}
    network, _ = loaded(state, tmp_path)
    assert same(network, trained)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32_and_the_note_says_so(
    dtype: torch.dtype, trained: nn.Module, tmp_path: Path
) -> None:
    network, note = loaded(copy.deepcopy(trained).to(dtype).state_dict(), tmp_path)
    assert same(network, trained, 0.01)
    assert f"{str(dtype).removeprefix('torch.')} → float32" in note
    assert next(network.parameters()).dtype == torch.float32


def test_safetensors_load_and_are_told_by_their_content(trained: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    save_file(dict(trained.state_dict()), file)
    network = net().eval()
    assert weights.load(network, file) == "safetensors → 9 tensors"
    assert same(network, trained)


def test_counters_of_batches_may_be_missing(trained: nn.Module, tmp_path: Path) -> None:
    state = {key: value for key, value in trained.state_dict().items() if "num_batches" not in key}
    network, note = loaded(state, tmp_path)
    assert torch.equal(network[1].running_mean, trained[1].running_mean)  # type: ignore[index]
    assert "8 tensors" in note


def test_a_tied_weight_that_was_saved_once_is_both(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

    torch.save({"embed.weight": torch.arange(15.0).view(5, 3)}, tmp_path / "tied.pt")
    network = Tied()
    weights.load(network, tmp_path / "tied.pt")
    assert network.head.weight[4, 2] == 14


def test_what_is_beside_the_network_is_reported(trained: nn.Module, tmp_path: Path) -> None:
    state = prefixed(trained.state_dict(), "model.") | {"criterion.weight": torch.ones(2)}
    network, note = loaded({"state_dict": state}, tmp_path)
    assert same(network, trained)
    assert "not used: criterion.weight" in note


def test_a_state_dict_of_another_network_says_in_three_lines_why(tmp_path: Path) -> None:
    state = net(8).state_dict()
    del state["0.bias"]
    state["head.weight"] = torch.ones(1)
    with pytest.raises(UsageError) as caught:
        loaded(state, tmp_path)
    lines = caught.value.what.splitlines()
    assert len(lines) == 3
    assert "1 missing: 0.bias" in lines[0]
    assert "1 unexpected: head.weight" in lines[1]
    assert "of another shape: 0.weight is 8×3×3×3 instead of 4×3×3×3" in lines[2]


def test_a_larger_network_whose_names_are_all_there_is_still_another_network(tmp_path: Path) -> None:
    """ResNet-34 has every tensor of ResNet-18, in the same shapes."""
    torch.save(networks.resolve("resnet34").build().state_dict(), tmp_path / "larger.pt")
    with pytest.raises(UsageError, match="80 unexpected: layer1"):
        weights.load(networks.resolve("resnet18").build(), tmp_path / "larger.pt")


def test_a_variance_below_0_is_refused_by_name(tmp_path: Path) -> None:
    norm = nn.BatchNorm2d(3)
    state = norm.state_dict() | {"running_var": torch.tensor([1.0, -0.5, 1.0])}
    torch.save(state, tmp_path / "norm.pt")
    with pytest.raises(CorruptData, match=r"variances below 0: 1 of 3 values of running_var"):
        weights.load(norm, tmp_path / "norm.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value: float, trained: nn.Module, tmp_path: Path) -> None:
    state = trained.state_dict()
    state["4.weight"][1, 2] = value
    with pytest.raises(CorruptData, match=r"not finite: 1 of 8 values of 4\.weight"):
        loaded(state, tmp_path)


def test_a_double_that_float32_cannot_hold_is_refused(trained: nn.Module, tmp_path: Path) -> None:
    state = {key: value.double() for key, value in trained.state_dict().items()}
    state["0.bias"][0] = 1e300
    with pytest.raises(CorruptData, match=r"values of 0\.bias"):
        loaded(state, tmp_path)


def test_a_mask_of_minus_infinity_is_not_a_fault(tmp_path: Path) -> None:
    class Masked(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.register_buffer("mask", torch.full((2, 2), -float("inf")).triu(1))

    weights.check_finite(Masked(), "the network")
    torch.save(Masked().state_dict(), tmp_path / "masked.pt")
    assert "3 tensors" in weights.load(Masked(), tmp_path / "masked.pt")
    broken = nn.BatchNorm1d(2)
    broken.running_mean[0] = -float("inf")  # type: ignore[index]
    with pytest.raises(CorruptData, match="running_mean"):
        weights.check_finite(broken, "the network")


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    "content",
    [Payload(), {"state_dict": Payload()}, net(), {"args": argparse.Namespace(), "state_dict": net().state_dict()}],
    ids=["payload", "nested payload", "whole module", "arguments"],
)
def test_a_pickle_that_would_run_code_is_refused(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorruptData, match="would run code") as caught:
        loaded(content, tmp_path)
    assert "state_dict" in caught.value.fix
    assert not (tmp_path / "pwned").exists()


def test_an_old_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Payload(), protocol=2))
    with pytest.raises(CorruptData):
        weights.load(net(), tmp_path / "old.pt")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("content", [torch.ones(3), {"epoch": 3}, [1, 2], {}], ids=str)
def test_what_is_not_a_state_dict_is_refused_with_words(content: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a state dict"):
        loaded(content, tmp_path)


def test_files_that_are_something_else_are_named(tmp_path: Path) -> None:
    for name, content, error, words in (
        ("none.pt", None, UsageError, "there is no file"),
        ("text.pt", b"weights", UsageError, "neither a network nor weights"),
        ("empty.pt", b"", UsageError, "neither a network nor weights"),
        ("graph.pt", b"7767517\n1 1\n", UsageError, "an ncnn graph"),
        ("cut.pt", b"PK\x03\x04 and no more", CorruptData, "a damaged or incomplete archive"),
        ("cut.safetensors", struct.pack("<Q", 20) + b'{"a": 1}' + bytes(20), CorruptData, "not a whole safetensors"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(error, match=words):
            weights.load(net(), tmp_path / name)
    with pytest.raises(UsageError, match="is a folder"):
        weights.load(net(), tmp_path)


@pytest.mark.parametrize("head", [b"NST1", b"ELM1", b"BCH1", b"BCA1"])
def test_the_package_of_a_variant_is_told_to_go_into_a_plan(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "made.package").write_bytes(head + bytes(100))
    with pytest.raises(UsageError, match="not the network's own weights") as caught:
        weights.load(net(), tmp_path / "made.package")
    assert 'weights = "made.package"' in caught.value.fix


def test_a_package_gives_its_weights_with_batch_norms_as_before(trained: nn.Module, tmp_path: Path) -> None:
    """Folded norms come back as norms, so that an export folds them into the convolutions."""
    layers.compress(trained, {name: site.weight.numel() for name, site in layers.sites(trained).items()})
    (tmp_path / "net.frq").write_bytes(package.write(layers.shipped("net", norms.folded(trained))))
    network = net().eval()
    assert "package of net" in weights.load(network, tmp_path / "net.frq")
    assert isinstance(network[1], nn.BatchNorm2d)  # type: ignore[index]
    x = torch.rand(2, 3, 3, 3)
    with torch.no_grad():
        torch.testing.assert_close(network(x), trained(x), atol=0.01, rtol=0)


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1), place=st.floats(0, 0.999), flip=st.integers(1, 255), whole=st.booleans())
def test_a_damaged_file_never_ends_in_anything_but_words(
    tmp_path_factory: pytest.TempPathFactory, cut: float, place: float, flip: int, whole: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    torch.save(net().state_dict(), folder / "state.pt")
    data = bytearray((folder / "state.pt").read_bytes())
    data = data if whole else data[: int(cut * len(data))]
    if data:
        data[int(place * len(data))] ^= flip
    (folder / "damaged.pt").write_bytes(data)
    network = net()
    with contextlib.suppress(BenchError):
        weights.load(network, folder / "damaged.pt")
    assert all(np.isfinite(p.detach().numpy()).all() for p in network.parameters())
