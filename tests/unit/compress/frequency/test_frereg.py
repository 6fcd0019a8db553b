"""Checkpoints in the format of the authors' package: made here, and their own UNet where it lies beside the project."""

from __future__ import annotations

import contextlib
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from typer.testing import CliRunner

from bench.cli.main import app
from bench.compress.frequency import frereg, package, restore
from bench.errors import CorruptData, UsageError
from bench.networks import resolve

AUTHORS = [path for path in (Path("../shared/frereg/unet_fr.pt"),) if path.is_file()]

State = dict[str, torch.Tensor]


class _Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2, bias=False)
        self.fc = nn.Linear(40, 60)


def checkpoint(network: nn.Module, kept: int = 20) -> State:
    """A dense frereg state: the first coefficients of each weight by level are float16 values, the others zero."""
    generator = torch.Generator().manual_seed(5)
    state: State = OrderedDict()
    for name, parameter in network.named_parameters():
        values = torch.randn(parameter.shape, generator=generator).half().float()
        if parameter.dim() > 1:
            axes = torch.meshgrid(*(torch.arange(n) for n in parameter.shape), indexing="ij")
            order = torch.stack(axes).sum(0).flatten().sort(stable=True).indices
            values.view(-1)[order[kept:]] = 0
        state[name] = values
    return state


def sparse(state: State) -> State:
    return {name: v.to_sparse() if v.dim() > 1 else v for name, v in state.items()}


def uncoalesced(state: State) -> State:
    """As frereg's authors stored theirs; here every coefficient is even the sum of two."""

    def halves(v: torch.Tensor) -> torch.Tensor:
        indices, values = v.to_sparse().coalesce().indices(), v.to_sparse().coalesce().values()
        return torch.sparse_coo_tensor(torch.cat((indices, indices), 1), torch.cat((values / 2, values / 2)), v.shape)

    return {name: halves(v) if v.dim() > 1 else v for name, v in state.items()}


def masked(state: State) -> State:
    """With frereg's buffers, and in the weights also what its mask hides."""
    result: State = {}
    for name, v in state.items():
        result[name] = v
        if v.dim() > 1:
            path = name.removesuffix(".weight")
            result[name] = torch.where(v == 0, torch.ones(()), v)
            result |= {f"{path}.IDROP": (v != 0).float(), f"{path}.ZMAT": v, f"{path}.IMAT": torch.ones_like(v)}
    return result


def saved(folder: Path, state: object) -> Path:
    torch.save(state, folder / "state.pt")
    return folder / "state.pt"


@pytest.mark.parametrize("form", [dict, sparse, uncoalesced, masked])
def test_every_form_of_a_checkpoint_becomes_the_same_network(tmp_path: Path, form: Callable[[State], State]) -> None:
    state = checkpoint(_Small())
    found = frereg.imported(saved(tmp_path, form(state)), _Small(), "small")
    assert [t.kind for t in found.tensors] == ["prefix", "raw", "prefix", "prefix", "raw"]
    assert all(t.values.dtype == np.float16 for t in found.tensors)
    network = restore.restored(_Small(), package.read(package.write(found)))
    for name, values in state.items():
        weight = network.get_submodule(name.rpartition(".")[0]).weight if values.dim() > 1 else None
        if weight is not None:
            np.testing.assert_allclose(weight.detach(), scipy.fft.idctn(values.numpy(), norm="ortho"), atol=1e-5)  # type: ignore[union-attr,operator]
        else:
            assert torch.equal(network.get_parameter(name), values)


def test_scattered_coefficients_keep_their_indices(tmp_path: Path) -> None:
    state = checkpoint(_Small())
    state["fc.weight"] = torch.zeros(60, 40)
    state["fc.weight"][3, 30], state["fc.weight"][50, 2] = 1.5, 1 / 3
    state["up.weight"] = torch.zeros(8, 4, 2, 2)
    found = frereg.imported(saved(tmp_path, state), _Small(), "small")
    up, fc = found.tensors[2:4]
    assert (up.kind, up.values.tolist()) == ("prefix", [0])
    assert (fc.kind, fc.values.dtype, fc.coordinates().tolist()) == ("explicit", np.float32, [[3, 30], [50, 2]])
    np.testing.assert_allclose(fc.weight(), scipy.fft.idctn(state["fc.weight"].numpy(), norm="ortho"), atol=1e-6)


def spoilt(state: State, **changes: torch.Tensor | None) -> State:
    named = {name.replace("_", "."): value for name, value in changes.items()}
    return {name: value for name, value in (state | named).items() if value is not None}  # type: ignore[operator]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conv_weight": None}, r"missing: conv\.weight"),
        ({"conv_bias": None, "fc_bias": None}, r"missing: conv\.bias, fc\.bias"),
        ({"extra_weight": torch.ones(1)}, r"unexpected: extra\.weight"),
        ({"conv_weight": torch.ones(8, 3, 3)}, r"another shape: conv\.weight is 8×3×3 instead of 8×3×3×3"),
        ({"conv_IDROP": torch.ones(8, 3)}, r"conv\.IDROP is 8×3 instead of 8×3×3×3"),
        ({f"x{i}": torch.ones(1) for i in range(9)}, r"unexpected: x0, x1, x2, x3, x4, x5 and 3 more"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(
    tmp_path: Path, changes: dict[str, torch.Tensor | None], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        frereg.imported(saved(tmp_path, spoilt(checkpoint(_Small()), **changes)), _Small(), "small")


@pytest.mark.parametrize(("value", "words"), [(float("nan"), "not numbers"), (1e-60, "float32 cannot hold")])
def test_values_that_a_package_cannot_hold_are_refused(tmp_path: Path, value: float, words: str) -> None:
    state = spoilt(checkpoint(_Small()), conv_bias=torch.full((8,), value, dtype=torch.float64))
    with pytest.raises(CorruptData, match=words):
        frereg.imported(saved(tmp_path, state), _Small(), "small")


def test_files_that_hold_no_state_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        frereg.imported(tmp_path / "nowhere.pt", _Small(), "small")
    with pytest.raises(UsageError, match="cannot be read"):
        frereg.imported(tmp_path, _Small(), "small")
    for content, words in (([1, 2], "something other"), ({"a": 1}, "something other"), (_Small(), "not a checkpoint")):
        with pytest.raises(CorruptData, match=words):
            frereg.imported(saved(tmp_path, content), _Small(), "small")


def test_a_sparse_tensor_with_indices_outside_is_refused(tmp_path: Path) -> None:
    outside = torch.sparse_coo_tensor(
        torch.tensor([[7, 0], [2, 0], [2, 0], [2, 9]]), torch.ones(2), (8, 3, 3, 3), check_invariants=False
    )
    state = spoilt(checkpoint(_Small()), conv_weight=outside)
    with pytest.raises(CorruptData, match="not a checkpoint"):
        frereg.imported(saved(tmp_path, state), _Small(), "small")


@settings(deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = bytearray(saved(folder, sparse(checkpoint(_Small()))).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (folder / "state.pt").write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with contextlib.suppress(CorruptData, UsageError):
        frereg.imported(folder / "state.pt", _Small(), "small")


def test_the_command_writes_a_package_and_says_what_is_wrong(tmp_path: Path) -> None:
    state, target = saved(tmp_path, checkpoint(resolve("lenet300").build())), tmp_path / "made.frq"
    asked = ["import", "frereg", str(state), "--output", str(target), "--model"]
    done = CliRunner().invoke(app, [*asked, "lenet300", "--json"])
    assert json.loads(done.stdout) == {"path": str(target), "bytes": target.stat().st_size, "coefficients": 60}
    assert package.read(target.read_bytes()).name == "lenet300"
    assert isinstance(CliRunner().invoke(app, [*asked, "lenet5"]).exception, UsageError)
    elsewhere = CliRunner().invoke(app, ["import", "frereg", str(state), "--model", "lenet300", "-o", str(tmp_path)])
    assert isinstance(elsewhere.exception, UsageError)
    assert "cannot be written" in str(elsewhere.exception)


@pytest.mark.parametrize("made", [None, *AUTHORS], ids=lambda path: path.parent.name if path else "own")
def test_a_whole_unet_takes_less_than_1600_bytes(tmp_path: Path, made: Path | None) -> None:
    network = resolve("unet").learner()
    path = made or saved(tmp_path, sparse(checkpoint(network, kept=33)))
    found = frereg.imported(path, network, "unet")
    assert found.coefficients == 759
    assert all(t.kind == "prefix" and len(t.values) == 33 for t in found.tensors)
    data = package.write(found)
    assert len(data) <= 1600
    state = torch.load(path, weights_only=True)
    for tensor, (name, original) in zip(package.read(data).tensors, state.items(), strict=True):
        entries = original.coalesce()
        ours = dict(zip(map(tuple, tensor.coordinates().tolist()), tensor.values.tolist(), strict=True))
        theirs = dict(zip(map(tuple, entries.indices().T.tolist()), entries.values().tolist(), strict=True))
        assert ours == theirs, name
