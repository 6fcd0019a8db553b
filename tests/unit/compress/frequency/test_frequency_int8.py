"""FR with coefficients in 8 bits: what is rounded, when that pays, and that all compute with what is shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import compress, runtimes
from bench.cache import Cache
from bench.compress import method
from bench.compress.frequency import int8, layers, package
from bench.compress.method import Destination, Request
from bench.errors import UsageError
from bench.export import eager
from bench.networks import content, resolve
from bench.networks.count import examples
from bench.plan import Case, Variant
from bench.prepare.samples import Samples
from bench.prepare.variant import Job, made_by
from bench.runtimes.runtime import Shown
from tests.unit.compress.compress_kit import learning, learnt, small

FR, FR_INT8 = method("fr"), method("fr-int8")


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2), nn.Flatten(), nn.Linear(100, 5)
    )


NETWORK = small(convolutional, 3, 6, 6)


def compressed(target: str, folder: Path) -> bytes:
    return FR_INT8.compress(learnt(NETWORK, folder), Request(target, one_shot=True))


def test_its_coefficients_are_the_nearest_multiples_of_a_scale_and_those_of_fr_otherwise(tmp_path: Path) -> None:
    ours = package.read(compressed("90", tmp_path))
    theirs = package.read(FR.compress(learnt(NETWORK, tmp_path), Request("90", one_shot=True)))
    for a, b in zip(ours.tensors, theirs.tensors, strict=True):
        assert (a.shape, a.kind) == (b.shape, b.kind)
        if a.kind == "raw":
            assert np.array_equal(a.values, b.values)
        else:
            assert a.scale is not None
            assert np.abs(a.values.astype(int)).max() == 127
            assert np.abs(a.numbers - b.numbers).max() <= 0.51 * float(a.scale)


def test_what_is_restored_is_shipped_again_to_the_same_bytes(tmp_path: Path) -> None:
    made = compressed("90", tmp_path)
    again = FR_INT8.compressed(NETWORK, made)  # type: ignore[attr-defined]
    layers.round_to_half(again)
    assert package.write(layers.shipped("small", again)) == made


def test_all_forms_compute_with_the_rounded_coefficients(tmp_path: Path) -> None:
    made = compressed("90", tmp_path)
    plain = layers.decoded(FR_INT8.compressed(NETWORK, made))  # type: ignore[attr-defined]
    weights = {t.shape: t.weight() for t in package.read(made).tensors if t.kind != "raw"}
    for name, site in layers.sites(plain).items():
        np.testing.assert_allclose(site.weight.detach(), weights[site.shape], atol=1e-6, err_msg=name)
    (x,) = examples(NETWORK.inputs)
    for form in FR_INT8.executions:
        torch.testing.assert_close(FR_INT8.restored(NETWORK, made, form)(x), plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["auto", "dense"])
def test_a_runtime_that_loads_packages_gets_the_8_bits(form: str, tmp_path: Path) -> None:
    made = compressed("90", tmp_path)
    inputs = tuple(tensor.numpy() for tensor in examples(NETWORK.inputs, 2))
    shown = Shown(inputs, eager.answers(FR_INT8.restored(NETWORK, made, form), inputs))
    (files := tmp_path / "files").mkdir()
    to = Destination(runtimes.runtime("ncnn"), NETWORK.inputs, shown, files, Cache(tmp_path / "cache"), "key")
    assert FR_INT8.export(NETWORK, made, form, to).weights_format == "frq"
    exported = package.read((files / "weights.frq").read_bytes())
    ours = {t.shape: t for t in package.read(made).tensors if t.kind != "raw"}
    for tensor in exported.tensors:
        if tensor.kind != "raw":
            assert tensor.scale == ours[tensor.shape].scale
            assert np.array_equal(tensor.values, ours[tensor.shape].values)


@pytest.mark.parametrize("most", [250, 400])
def test_bytes_are_never_exceeded_and_hold_nearly_twice_the_coefficients(most: int, tmp_path: Path) -> None:
    made = compressed(f"{most}B", tmp_path)
    theirs = FR.compress(learnt(NETWORK, tmp_path), Request(f"{most}B", one_shot=True))
    assert most - 4 <= len(made) <= most
    assert package.read(made).coefficients > 1.7 * package.read(theirs).coefficients


def test_a_ratio_counts_a_byte_for_each_coefficient(tmp_path: Path) -> None:
    parameters = sum(one.numel() for one in NETWORK.build().parameters())
    assert package.read(compressed("20x", tmp_path)).coefficients == 4 * parameters // 20


def test_few_coefficients_stay_float16() -> None:
    assert [int8.pays(kept) for kept in (1, 2, 3, 194)] == [False, False, True, True]


def spiky(fits: bool) -> dict[str, np.float16 | None]:
    """The scales of a network with one even and one very uneven weight, which float16 would hold better."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
    layers.compress(network, {"0.weight": 60, "1.weight": 400})
    first, second = layers.sites(network).values()
    with torch.no_grad():
        first.coefficients.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
        second.coefficients.fill_(0.02)
        second.coefficients[0] = 10.0
    int8.quantize(network, lambda _: fits)
    return {name: site.frequency.scale for name, site in layers.sites(network).items()}


def test_a_weight_with_coarse_steps_stays_float16_where_there_is_room() -> None:
    scales = spiky(fits=True)
    assert scales["0.weight"] is not None
    assert scales["1.weight"] is None
    assert all(scale is not None for scale in spiky(fits=False).values())


def test_where_8_bits_save_nothing_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="8 bits save nothing here"):
        compressed("6", tmp_path)


def test_a_training_ends_with_rounded_coefficients_within_its_target(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    inputs, answers = random.normal(size=(40, 3, 6, 6)), random.integers(0, 5, 40)
    network = replace(NETWORK, task="classification", trained=False)
    learner = learning(network, tmp_path, inputs, answers)
    made = FR_INT8.compress(learner, Request("400B", epochs=2))
    assert 390 <= len(made) <= 400
    assert package.read(made).int8
    tuned = FR_INT8.compress(learner, Request("90", one_shot=True, fine_tune=1))
    assert package.read(tuned).coefficients == 90


def test_training_rounds_what_will_be_shipped_of_a_parameter() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3))
    layers.compress(network, {"0.weight": 60})
    (site,) = layers.sites(network).values()
    shipped = int8.rounding(network)
    site.frequency.truncate(40)
    with torch.no_grad():
        found = shipped(site.coefficients)
    int8.quantize(network, lambda _: True)
    assert torch.equal(found[:40], site.coefficients[:40])
    bias = site.module.bias
    assert torch.equal(shipped(bias), bias.half().float())


def test_a_finished_package_with_float16_is_rounded_as_it_is(tmp_path: Path) -> None:
    lenet5 = resolve("lenet5")
    made = FR_INT8.compress(learnt(lenet5, tmp_path), Request())
    theirs = package.read(Path("bench/pretrained/lenet5.frq").read_bytes())
    assert package.read(made).coefficients == theirs.coefficients == 776
    for a, b in zip(package.read(made).tensors, theirs.tensors, strict=True):
        np.testing.assert_allclose(a.numbers, b.numbers.astype(np.float32), atol=0.51 * float(a.scale or 0))


def test_packages_of_both_are_told_apart(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(compressed("90", tmp_path))
    theirs.write_bytes(FR.compress(learnt(NETWORK, tmp_path), Request("90", one_shot=True)))
    assert [made_by(member, file) for member in (FR_INT8, FR) for file in (ours, theirs)] == [True, False, False, True]
    assert content.kind(ours) == "frq8"
    with pytest.raises(UsageError, match="coefficients are float16, so it is none of fr-int8\nName the method that"):
        FR_INT8.restored(NETWORK, theirs.read_bytes(), "auto")
    with pytest.raises(UsageError, match="coefficients are in 8 bits, so it is none of fr\n"):
        FR.restored(NETWORK, ours.read_bytes(), "auto")


def test_it_is_the_weights_of_the_network_too(tmp_path: Path) -> None:
    file = tmp_path / "lenet5.frq8"
    file.write_bytes(FR_INT8.compress(learnt(resolve("lenet5"), tmp_path), Request()))
    assert resolve(str(file)).packages == {"": file}
    assert resolve("lenet5", weights=file).packages == {"": file}


def test_the_finished_package_is_in_the_key_of_what_is_made_of_it(tmp_path: Path) -> None:
    keys = []
    held = package.read(Path("bench/pretrained/lenet5.frq").read_bytes())
    for factor in (1, 2):
        file = tmp_path / f"{factor}.frq"
        first = replace(held.tensors[0], values=held.tensors[0].values * np.float16(factor))
        tensors = (first, *held.tensors[1:])
        file.write_bytes(package.write(replace(held, tensors=tensors)))
        network = resolve("lenet5", weights=file)
        job = Job(
            network, Case(model="lenet5"), Variant(method="fr-int8", execution="auto"), ("ncnn",),
            Samples.__new__(Samples), Cache(tmp_path), lambda *_: (), lambda _: lambda done, words: None,
        )  # fmt: skip
        assert job.trained
        assert job.begun == file
        keys.append(job.weights_key)
    assert keys[0] != keys[1]


def test_its_name_is_longer_than_a_form_of_fr() -> None:
    assert compress.described("fr-int8") == compress.Description("fr-int8", "auto", None)
    assert compress.described("fr-int8-dense:20x") == compress.Description("fr-int8", "dense", "20x")
