"""Frequency Regularization in several capacities: every prefix of one package is a network."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import compress
from bench.cache import Cache
from bench.compress import method, training
from bench.compress.checkpoint import Checkpoint
from bench.compress.frequency import factor, layers, nesting, norms, package, train
from bench.compress.frequency.package import Package
from bench.compress.method import Narrowed, Request, Sight
from bench.compress.result import compressed
from bench.compress.training import Images, accuracy
from bench.errors import CorruptData, UsageError
from bench.networks import Network, content, resolve
from bench.networks.count import examples
from bench.prepare.variant import made_by
from tests.unit.compress.compress_kit import learning, learnt, small

FR, NESTED = method("fr"), method("nested-fr")


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2), nn.Flatten(), nn.Linear(100, 5)
    )


NETWORK = small(convolutional, 3, 6, 6)


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32, bias=False), nn.ReLU(), nn.Linear(32, 3))


def normed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 36, 3)
    )


def waves(count: int, seed: int) -> Images:
    """Pictures of three kinds: waves along rows, along columns, and neither, in noise."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 3, count)
    wave = np.cos(np.pi * (np.arange(8) + 0.5) * 2 / 8)
    plain = np.stack([np.tile(wave, (8, 1)), np.tile(wave[:, None], (1, 8)), np.zeros((8, 8))])
    inputs = plain[kinds] + random.normal(0, 0.4, (count, 8, 8))
    return Images(inputs[:, None].astype(np.float32), kinds.astype(np.int64))


def one_shot(folder: Path, target: str = "90") -> bytes:
    return NESTED.compress(learnt(NETWORK, folder), Request(target, one_shot=True))


def trained(network: Network, folder: Path, target: str, epochs: int = 12) -> bytes:
    data = waves(400, 1)
    return NESTED.compress(learning(network, folder, data.inputs, data.answers), Request(target, epochs=epochs))


def answers(module: nn.Module, network: Network) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module(*examples(network.inputs))
    return found


def at(capacity: int) -> Narrowed:
    return Narrowed(str(capacity), "")


def test_what_came_of_a_compression_says_what_each_capacity_answers(tmp_path: Path) -> None:
    data = waves(60, 1)
    learns = learning(small(linear, 1, 8, 8), tmp_path, data.inputs, data.answers)
    found = compressed(NESTED, learns, Request("60", epochs=1))
    assert [(one.number, one.of) for one in found.capacities] == [(n, 4) for n in (1, 2, 3, 4)]
    stored = package.read(found.package)
    for one in found.capacities:
        alone = stored.at(one.number)
        assert (one.coefficients, one.bytes) == (alone.coefficients, len(package.write(alone)))
        module = NESTED.restored(learns.network, found.package, "auto", at(one.number))
        assert one.accuracy == accuracy(module, data)
    assert found.capacities[-1].accuracy == found.accuracy


@pytest.mark.parametrize("form", NESTED.executions)
def test_each_capacity_answers_as_fr_with_the_first_of_the_same_coefficients(tmp_path: Path, form: str) -> None:
    made = one_shot(tmp_path)
    whole = package.read(FR.compress(learnt(NETWORK, tmp_path), Request("90", one_shot=True)))
    for capacity in (1, 2, 3, 4):
        few = tuple(
            tensor if tensor.kind == "raw"
            else replace(tensor, values=tensor.values[: math.ceil(len(tensor.values) * capacity / 4)])
            for tensor in whole.tensors
        )  # fmt: skip
        theirs = FR.restored(NETWORK, package.write(Package("small", few)), form)
        ours = NESTED.restored(NETWORK, made, form, at(capacity))
        assert torch.equal(answers(ours, NETWORK), answers(theirs, NETWORK))
    largest = NESTED.restored(NETWORK, made, form)
    assert torch.equal(answers(largest, NETWORK), answers(NESTED.restored(NETWORK, made, form, at(4)), NETWORK))


@pytest.mark.parametrize("target", ["776", "1110x", "16kB"])
def test_the_file_is_hardly_larger_than_that_of_its_largest_capacity(tmp_path: Path, target: str) -> None:
    lenet5 = replace(resolve("lenet5"), packages={}, learns=False)
    made = NESTED.compress(learnt(lenet5, tmp_path), Request(target, one_shot=True, seeded=True))
    assert len(made) <= 1.02 * len(package.write(package.read(made).at(4)))
    assert NESTED.size(lenet5, made).notes[0].startswith("4 capacities of ")


def test_a_network_is_computed_with_its_first_coefficients_alone_for_a_while() -> None:
    """Forward and backward, through whole weights and through factors; nothing is lost by it."""
    torch.manual_seed(3)
    whole = convolutional().eval()
    kept = {name: min(40, math.prod(site.shape)) for name, site in layers.sites(whole).items()}
    layers.compress(whole, kept)
    few = nesting.part(kept, 1)
    x = torch.rand(2, 3, 6, 6)
    for network in (whole, factor.learner(whole).eval()):
        before = network(x)
        with nesting.at(whole, few):
            now = network(x)
        torch.testing.assert_close(now, nesting.cut(whole, few)(x), rtol=1e-5, atol=1e-6)
        assert not torch.allclose(now, before)
        torch.testing.assert_close(network(x), before, rtol=0, atol=0)
        whole.zero_grad()
        now.sum().backward()
        for name, site in layers.sites(whole).items():
            gradient = site.coefficients.grad
            assert gradient is not None
            assert gradient[: few[name]].abs().sum() > 0
            assert not gradient[few[name] :].any()


def test_every_capacity_learns(tmp_path: Path) -> None:
    network = small(linear, 1, 8, 8, task="classification", trained=False)
    made = trained(network, tmp_path, "64")
    test = waves(300, 2)
    found = [accuracy(NESTED.restored(network, made, "dense", at(capacity)), test) for capacity in (1, 2, 3, 4)]
    assert min(found) > 0.45  # a third by chance
    alone = FR.compress(
        learning(network, tmp_path, waves(400, 1).inputs, waves(400, 1).answers), Request("64", epochs=12)
    )
    cut = nesting.cut(FR.compressed(network, alone), dict.fromkeys(layers.sites(linear()), 8))  # type: ignore[attr-defined]
    assert found[0] > accuracy(cut, test)  # what nobody trained as a prefix is none


def test_each_capacity_ships_the_norms_that_its_own_statistics_make(tmp_path: Path) -> None:
    network = small(normed, 1, 8, 8, task="classification", trained=False)
    whole = package.read(trained(network, tmp_path, "96", epochs=6))
    kinds = [tensor.kind for tensor in whole.tensors]
    assert kinds.count("each") == 2
    inputs = torch.from_numpy(waves(400, 1).inputs)
    for capacity in (1, 4):
        module = NESTED.restored(network, package.write(whole), "dense", at(capacity))
        (place,) = (part for part in module.modules() if isinstance(part, norms.PerChannel))
        seen: list[torch.Tensor] = []
        place.register_forward_hook(lambda _, __, output, seen=seen: seen.append(output))
        with torch.no_grad():
            module(inputs)
        mean, deviation = seen[0].mean((0, 2, 3)), seen[0].std((0, 2, 3))
        # Affine parameters were learnt a little away from 1 and 0; another capacity's statistics are much farther off.
        assert (deviation.sub(1).abs().mean() + mean.abs().mean()) < 0.6


def test_a_training_of_several_capacities_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def run(file: Path, stop: float) -> bytes:
        def progress(done: float, words: str) -> None:
            if done > stop:
                raise Interrupted

        torch.manual_seed(5)
        network = linear()
        recipe = training.Recipe(epochs=2, batch=50, rate=0.05, distortion=0, seed=3, half=0.2)
        train.train(
            network, waves(200, 1), dict.fromkeys(layers.sites(network), 32), recipe, progress,
            checkpoint=Checkpoint(file, pause_s=0), nested=True,
        )  # fmt: skip
        return package.write(nesting.packed("small", network, None))

    whole = run(tmp_path / "a", 1)
    with pytest.raises(Interrupted):
        run(tmp_path / "b", 0.5)
    assert (tmp_path / "b").is_file()
    assert run(tmp_path / "b", 1) == whole


def test_a_width_is_a_capacity(tmp_path: Path) -> None:
    made = one_shot(tmp_path)
    sight = Sight(NETWORK.inputs, (), Cache(tmp_path), "key")
    found = NESTED.narrowed(NETWORK, made, "auto", "1/2", sight)
    assert (found.plan, found.kept) == ("2", package.read(made).at(2).coefficients)
    assert found.told == f"capacity 2 of 4: {found.kept} of 90 coefficients"
    for wrong in ("1/3", "0.3", "auto", {"0": "1/4"}):
        with pytest.raises(UsageError, match=r"nested-fr has 4 capacities and no width .*\nAsk for one of 1/4, 2/4"):
            NESTED.check_width("auto", wrong)
    for right in ("1/4", "1/2", "3/4", "1"):
        NESTED.check_width("dense", right)


def test_a_package_with_another_number_of_capacities_has_other_ones(tmp_path: Path) -> None:
    whole = package.read(one_shot(tmp_path))
    three = package.write(nesting.nested([whole.at(capacity) for capacity in (1, 3, 4)]))
    with pytest.raises(UsageError, match="this package has 3 capacities, and none of them is 1/4"):
        NESTED.narrowed(NETWORK, three, "auto", "1/4", Sight(NETWORK.inputs, (), Cache(tmp_path), "key"))


def test_what_is_no_prefix_of_the_next_is_refused() -> None:
    def one(*values: float) -> Package:
        return Package("n", (package.Tensor((2, 3), np.array(values, np.float16), "prefix"),))

    assert nesting.nested([one(1), one(1, 2)]).tensors[0].parts == (1, 2)
    for smaller, larger in ((one(3), one(1, 2)), (one(1, 2), one(1))):
        with pytest.raises(ValueError, match="not the first of the next"):
            nesting.nested([smaller, larger])


def test_zeros_at_the_end_of_a_capacity_are_no_obstacle() -> None:
    def one(*values: float) -> Package:
        found = np.array(values, np.float16)
        used = np.flatnonzero(found)
        return Package("n", (package.sparse((4, 9), used, found[used], False),))

    whole = nesting.nested([one(0, 0), one(0, 2, 0, 0), one(0, 2, 0, 0, 0, 0, 0, 0, 0, 5)])
    assert package.read(package.write(whole)).at(2).tensors[0].weight() == pytest.approx(one(0, 2).tensors[0].weight())


def test_packages_are_told_apart(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(one_shot(tmp_path))
    theirs.write_bytes(FR.compress(learnt(NETWORK, tmp_path), Request("90", one_shot=True)))
    assert [made_by(member, file) for member in (NESTED, FR) for file in (ours, theirs)] == [True, False, False, True]
    assert content.kind(ours) == "frqn"
    with pytest.raises(UsageError, match="has one capacity, so it is none of nested-fr\nName the method that"):
        NESTED.restored(NETWORK, theirs.read_bytes(), "auto")
    with pytest.raises(UsageError, match=r"the package has 4 capacities, so it is none of fr\n.*nested-fr"):
        FR.restored(NETWORK, ours.read_bytes(), "auto")
    with pytest.raises(CorruptData):
        NESTED.restored(NETWORK, ours.read_bytes()[:-1], "auto")


def test_its_name_and_forms() -> None:
    assert compress.described("nested-fr:100x") == compress.Description("nested-fr", "auto", "100x")
    assert compress.described("nested-fr-dense") == compress.Description("nested-fr", "dense", None)
