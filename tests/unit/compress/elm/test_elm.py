"""Extreme learning machines on the desktop: the random layer, the package, and what is solved for."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from bench import compress, networks
from bench.compress.elm import learning, package, random
from bench.compress.elm.method import classes_of
from bench.compress.method import Request
from bench.errors import CorruptData, UsageError
from bench.networks import content

GAIN = np.float32(0.5)


def made(neurons: int = 5, classes: int = 3) -> package.Package:
    values = np.random.default_rng(0).normal(size=(classes, neurons))
    halves, exponent = package.stored(values)
    return package.Package(7, 11, float(GAIN), 0.25, 1.5, exponent, halves)


def sealed(body: bytes) -> bytes:
    return b"ELM1" + struct.pack("<I", zlib.crc32(body)) + body


def clusters(count: int) -> learning.Part:
    """Three classes of points that no line separates: by their distance from the middle."""
    draw = np.random.default_rng(3)
    labels = np.arange(count) % 3
    angle = draw.uniform(0, 2 * np.pi, count)
    radius = 1.0 + labels + draw.uniform(-0.3, 0.3, count)
    inputs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    return learning.Part(inputs, labels)


def learn(data: learning.Part, held: learning.Part | None, neurons: int = 200, alphas: tuple[float, ...] = (1e-3,)):
    return learning.learn(data, held, 3, neurons, 1, alphas, lambda fraction, words: None)


def test_the_random_numbers_are_those_of_splitmix64_as_it_is_published():
    """Seed 1234567 gives 6457827717110365317, 3203168211198807973, … (Vigna's reference)."""
    published = np.array([6457827717110365317, 3203168211198807973, 9817491932198370423], np.uint64)
    wanted = ((published >> np.uint64(40)).astype(np.int64) - 2**23) / 2**23
    assert random.uniform(1234567, np.arange(3, dtype=np.uint64)).tolist() == wanted.tolist()


def test_fewer_neurons_of_a_seed_are_the_first_ones_of_more():
    few, few_biases = random.hidden(5, 9, 4, GAIN)
    many, many_biases = random.hidden(5, 9, 40, GAIN)
    assert np.array_equal(few, many[:4])
    assert np.array_equal(few_biases, many_biases[:4])


def test_another_seed_gives_another_layer_whose_values_are_spread_evenly():
    first, _ = random.hidden(1, 100, 100, np.float32(1))
    second, _ = random.hidden(2, 100, 100, np.float32(1))
    assert not np.array_equal(first, second)
    assert abs(float(first.mean())) < 0.02
    assert float(first.std()) == pytest.approx(3**-0.5, rel=0.02)
    assert float(np.abs(first).max()) <= 1


def test_a_package_read_back_is_the_one_that_was_written():
    one = made()
    back = package.read(package.write(one))
    assert package.write(back) == package.write(one)
    assert (back.inputs, back.seed, back.gain, back.mean, back.deviation) == (7, 11, 0.5, 0.25, 1.5)
    assert np.array_equal(back.stored, one.stored)
    assert (back.neurons, back.classes) == (5, 3)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_output_weights_of_any_size_keep_the_eleven_bits_of_float16(scale):
    values = scale * np.random.default_rng(0).normal(size=(3, 50))
    halves, exponent = package.stored(values)
    back = np.ldexp(halves.astype(np.float64), exponent)
    assert np.abs(back - values).max() <= 2**-11 * np.abs(values).max()


def test_weights_that_are_all_zero_are_kept_as_zero():
    halves, exponent = package.stored(np.zeros((2, 2)))
    assert exponent == 0
    assert not halves.any()


def test_a_solution_that_is_not_finite_makes_no_package():
    with pytest.raises(CorruptData, match="not finite"):
        package.stored(np.array([[np.inf, 1.0]]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: b"FRQ2" + data[4:], "not one of an extreme learning machine"),
        (lambda data: data[:20], "shorter than its header"),
        (lambda data: data[:-1], "check sum"),
        (lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:], "check sum"),
        (lambda data: sealed(data[8:-2]), "has not the 15 weights"),
        (lambda data: sealed(data[8:] + b"\0\0"), "has not the 15 weights"),
        (lambda data: sealed(data[8:] + b"\0"), "has not the 15 weights"),
        (lambda data: sealed(struct.pack("<I", 0) + data[12:]), "header"),
        (lambda data: sealed(data[8:12] + struct.pack("<I", 2**31) + data[16:]), "header"),
        (lambda data: sealed(data[8:20] + struct.pack("<i", 65) + data[24:]), "header"),
        (lambda data: sealed(data[8:32] + struct.pack("<f", float("nan")) + data[36:]), "header"),
        (lambda data: sealed(data[8:40] + struct.pack("<f", 0.0) + data[44:]), "header"),
        (lambda data: sealed(data[8:44] + struct.pack("<I", 1) + data[48:]), "header"),
        (lambda data: sealed(data[8:-2] + b"\x00\x7c"), "not finite"),
    ],
)
def test_a_package_that_is_not_whole_is_refused_with_the_reason(change, why):
    with pytest.raises(CorruptData, match=why):
        package.read(change(package.write(made())))


def test_a_machine_learns_what_no_line_separates():
    found = learn(clusters(600), None)
    assert learning.right_of(found.package, clusters(300)) > 290


def test_the_regularisation_is_the_one_that_does_best_on_what_was_held_apart():
    data, held = learning.parts(clusters(240), 1, (1e-3, 1e6))
    assert (len(data), len(held)) == (210, 30)
    found = learn(data, held, alphas=(1e-3, 1e6))
    assert found.alpha == 1e-3
    assert found.tried[1e-3] > found.tried[1e6]


def test_with_one_regularisation_nothing_is_held_apart():
    whole = clusters(240)
    data, held = learning.parts(whole, 1, (0.5,))
    assert data is whole
    assert held is None


def test_samples_that_are_all_alike_teach_nothing():
    flat = learning.Part(np.ones((20, 2), np.float32), np.arange(20) % 3)
    with pytest.raises(UsageError, match="the same"):
        learn(flat, None)


def test_samples_that_are_all_alike_or_of_one_class_are_refused_by_the_name_of_their_source():
    data = clusters(30)
    learning.refuse_unteachable(data, "some.npz")
    for value in (0, -3.5, 1e6):
        flat = learning.Part(np.full((2_000, 2), value, np.float32), np.arange(2_000) % 3)
        with pytest.raises(CorruptData, match=r"some\.npz: all values of the 2,000 samples .* are the same"):
            learning.refuse_unteachable(flat, "some.npz")
    with pytest.raises(UsageError, match=r"some\.npz: the 30 samples to learn from are all of class 2"):
        learning.refuse_unteachable(learning.Part(data.inputs, np.full(30, 2)), "some.npz")


@pytest.mark.parametrize("label", [3, -1])
def test_samples_of_classes_that_the_network_has_not_are_refused(label):
    data = clusters(30)
    learning.refuse_beyond(data, 3, "some.npz")
    strange = learning.Part(data.inputs, np.where(np.arange(30) < 4, label, data.labels))
    with pytest.raises(UsageError, match=rf"some\.npz: 4 samples .* the network's 3, e\.g\. {label}"):
        learning.refuse_beyond(strange, 3, "some.npz")


def test_too_few_samples_to_hold_some_apart_are_refused():
    with pytest.raises(UsageError, match="too few"):
        learning.parts(clusters(6), 1, (0.5, 5.0))


@pytest.mark.parametrize("target", ["0", "-3", "1.5", "4x", "131073", "", "１２"])
def test_a_target_that_is_no_number_of_neurons_is_refused(target):
    with pytest.raises(UsageError, match="number of neurons"):
        compress.method("elm").check(Request(target))


@pytest.mark.parametrize(
    "request_", [Request("9", one_shot=True), Request("9", fine_tune=2), Request("9", labels=False)]
)
def test_an_effort_that_solving_does_not_have_is_refused(request_):
    with pytest.raises(UsageError, match="solved for"):
        compress.method("elm").check(request_)


def test_a_network_that_does_not_classify_has_no_such_machine():
    with pytest.raises(UsageError, match="does not put one picture into a class"):
        classes_of(networks.resolve("unet-small"))


def test_the_eager_network_computes_what_the_package_says():
    import torch

    one = made()
    network = networks.resolve("lenet5")
    halves, exponent = package.stored(np.random.default_rng(0).normal(size=(10, 6)))
    one = package.Package(784, 3, 0.06, 0.13, 0.3, exponent, halves)
    inputs = np.random.default_rng(1).uniform(size=(4, 1, 28, 28)).astype(np.float32)
    module = compress.method("elm").restored(network, package.write(one), "stock")
    weights, biases = random.hidden(3, 784, 6, np.float32(0.06))
    hidden = np.tanh((inputs.reshape(4, -1) - np.float32(0.13)) / np.float32(0.3) @ weights.T + biases)
    found = module(torch.from_numpy(inputs)).detach().numpy()
    assert found == pytest.approx(hidden @ one.output_weights().T, rel=1e-4, abs=1e-4)


def test_the_package_of_another_network_is_refused():
    with pytest.raises(UsageError, match="takes 7 values, and lenet5 takes 784"):
        compress.method("elm").restored(networks.resolve("lenet5"), package.write(made()), "stock")


def test_a_package_is_known_by_its_content(tmp_path: Path):
    file = tmp_path / "what"
    file.write_bytes(package.write(made()))
    assert content.kind(file) == "elm"
