"""A chain: what the second method makes of the network that the first leaves, in one package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import compress, plan, runtimes
from bench.cache import Cache
from bench.compress import Description, method, tensors
from bench.compress.chain.method import chain
from bench.compress.chain.package import Link, read, write
from bench.compress.dense_small.method import DenseSmall
from bench.compress.learner import Learner
from bench.compress.method import Alters, Destination, Narrowed, Ordinary, Request
from bench.errors import CorruptData, UnknownName, UsageError
from bench.export import eager
from bench.networks import Network
from bench.networks.count import examples
from bench.prepare.variant import made_by
from bench.runtimes.runtime import Shown
from tests.unit.compress.compress_kit import learning, learnt, small


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 5),
    )  # fmt: skip


NETWORK = small(convolutional, 3, 6, 6)
CHAIN = method("dense-small,half")
SEEDED = Request("1000", one_shot=True, seeded=True)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return CHAIN.compress(learnt(NETWORK, tmp_path_factory.mktemp("cache")), SEEDED)


def test_it_is_the_second_method_on_what_the_first_one_restores(package: bytes, tmp_path: Path) -> None:
    first = method("dense-small").compress(learnt(NETWORK, tmp_path), SEEDED)
    left = replace(NETWORK, build=lambda: method("dense-small").restored(NETWORK, first, "stock"))
    second = method("half").compress(learnt(left, tmp_path), Request())
    expected = method("half").restored(left, second, "stock")
    found = CHAIN.restored(NETWORK, package, "stock")
    (x,) = examples(NETWORK.inputs)
    assert torch.equal(found(x), expected(x))
    assert [link.method for link in read(package)] == ["dense-small", "half"]
    assert read(package)[1].package == second


def test_values_are_in_it_once(package: bytes) -> None:
    first, last = read(package)
    assert (first.packing, last.packing) == ("emptied", "whole")
    assert not tensors.unpack(first.package)["values"].any()
    assert len(package) < len(last.package) + 300


class Halved(Ordinary):
    """A method whose package lacks the biases, which are those of the network that it is given."""

    name, title = "halved", "half but for biases"
    alters: Alters = "numbers"

    def compress(self, learner: Learner, request: Request) -> bytes:
        held = tensors.lasting(learner.ordinary(request))
        return tensors.pack({name: tensors.half(name, one) for name, one in held.items() if tensors.is_weight(one)})

    def restored(self, network: Network, package: bytes, execution: str, narrowed: Narrowed | None = None) -> nn.Module:
        module = network.build()
        tensors.load(module, tensors.lasting(module) | tensors.unpack(package))
        return module


def test_a_first_package_whose_values_are_needed_is_kept_whole(tmp_path: Path) -> None:
    made = chain("dense-small,halved", (method("dense-small"), Halved()))
    package = made.compress(learnt(NETWORK, tmp_path), SEEDED)
    assert [link.packing for link in read(package)] == ["whole", "whole"]
    first = method("dense-small").restored(NETWORK, read(package)[0].package, "stock")
    found = dict(made.restored(NETWORK, package, "stock").named_parameters())
    for name, one in first.named_parameters():
        assert torch.equal(found[name], one.half().float() if one.dim() > 1 else one)


@pytest.mark.parametrize("most", [1500, 3000])
def test_bytes_are_those_of_the_whole_package(most: int, tmp_path: Path) -> None:
    request = replace(SEEDED, target=f"{most}B")
    package = CHAIN.compress(learnt(NETWORK, tmp_path), request)
    assert 0.8 * most < len(package) <= most  # with channels in fours, as few networks lie between
    alone = method("dense-small").compress(learnt(NETWORK, tmp_path), request)
    assert len(package) > 0.8 * len(alone)


def test_bytes_are_planned_without_making_the_first_package(tmp_path: Path) -> None:
    made: list[str | None] = []

    class Counted(DenseSmall):
        def compress(self, learner: Learner, request: Request) -> bytes:
            made.append(request.target)
            return super().compress(learner, request)

    package = chain("dense-small,half", (Counted(), method("half"))).compress(
        learnt(NETWORK, tmp_path), replace(SEEDED, target="2000B")
    )
    assert 1500 < len(package) <= 2000
    assert len(made) == 1


def test_bytes_hold_after_a_training_too(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    learner = learning(
        replace(NETWORK, task="classification", trained=False), tmp_path,
        random.normal(size=(40, 3, 6, 6)), random.integers(0, 5, 40),
    )  # fmt: skip
    package = CHAIN.compress(learner, Request("2000B", epochs=1))
    assert 1500 < len(package) <= 2000
    found = CHAIN.restored(NETWORK, package, "stock")
    assert any(one.any() for one in found.parameters())


@pytest.mark.parametrize("target", ["700B", "10MB"])
def test_bytes_out_of_reach_are_refused(target: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="small"):
        CHAIN.compress(learnt(NETWORK, tmp_path), replace(SEEDED, target=target))


def test_size_counts_what_is_kept_against_the_ordinary_network(package: bytes) -> None:
    size = CHAIN.size(NETWORK, package)
    found = CHAIN.restored(NETWORK, package, "stock")
    assert sum(size.kept.values()) == sum(one.numel() for one in found.parameters() if one.dim() > 1)
    assert size.parameters == sum(one.numel() for one in NETWORK.build().parameters())
    assert size.float32_bytes > 4 * size.parameters > size.float16_bytes


def test_a_runtime_gets_what_the_last_method_exports(package: bytes, tmp_path: Path) -> None:
    inputs = tuple(tensor.numpy() for tensor in examples(NETWORK.inputs, 3))
    shown = Shown(inputs, eager.answers(CHAIN.restored(NETWORK, package, "stock"), inputs))
    (files := tmp_path / "files").mkdir()
    to = Destination(runtimes.runtime("ncnn"), NETWORK.inputs, shown, files, Cache(tmp_path / "cache"), "key")
    made = CHAIN.export(NETWORK, package, "stock", to)
    assert (made.weights_format, made.execution) == ("runtime", "stock")
    kept = sum(CHAIN.size(NETWORK, package).kept.values())
    assert 2 * kept < made.files[1].bytes < 2.5 * kept + 200  # in float16


def test_another_first_package_is_another_network_to_the_caches_of_the_last_link(tmp_path: Path) -> None:
    trained: list[str] = []

    class Cached(Halved):
        def compress(self, learner: Learner, request: Request) -> bytes:
            def make(checkpoint: object, progress: object, file: Path) -> None:
                trained.append(learner.network.name)
                file.write_bytes(Halved.compress(self, learner, request))

            return learner.learned(request, "calibrate", "package", ("calibrated",), make).read_bytes()

    made = chain("dense-small,halved", (method("dense-small"), Cached()))
    random = np.random.default_rng(1)
    learner = learning(
        replace(NETWORK, task="classification"), tmp_path, random.normal(size=(20, 3, 6, 6)), random.integers(0, 5, 20)
    )
    packages = [made.compress(learner, Request("1000", epochs=1, seed=seed)) for seed in (1, 2, 1)]
    assert packages[0] == packages[2] != packages[1]
    assert len(trained) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("half,dense-small", "structure after the numbers\nStructure comes first: dense-small,half"),
        ("half,half", "'half,half' names half twice\nA chain is a method that changes the structure, then"),
        ("fr,half", "holds fr, which makes a package of the ordinary network alone"),
        ("dense-small,fr", "holds fr, which makes a package of the ordinary network alone"),
        ("dense-small,half,fr", "is a chain of 3 methods, and a chain has two"),
    ],
)
def test_a_chain_without_sense_is_refused_with_the_right_order(name: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        compress.method(name)
    assert words in str(refused.value)


def test_where_one_method_does_both_it_is_named() -> None:
    with pytest.raises(UsageError, match="Ask for fr-halved, which does both"):
        chain("fr,halved", (method("fr"), Halved()), ("fr", "fr-halved"))


def test_two_methods_for_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="the second undoes the first"):
        chain("half,halved", (method("half"), Halved()))


def test_a_method_made_before_there_were_chains_stands_alone() -> None:
    class Old:
        name, title, suffix, executions = "old", "an old method", ".old", ("stock",)

    with pytest.raises(UsageError, match="holds old, which makes a package of the ordinary network alone"):
        chain("dense-small,old", (method("dense-small"), Old()))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["dense-small,", ",half", ",", "dense-small, "])
def test_a_comma_needs_a_method_on_both_sides(name: str) -> None:
    with pytest.raises(UsageError, match="lacks a method beside its comma"):
        compress.method(name)


def test_blanks_around_a_comma_mean_nothing() -> None:
    assert compress.method("dense-small, half").name == "dense-small,half"


@pytest.mark.parametrize("name", ["dense-small,halve", "nothing,half"])
def test_an_unknown_link_is_refused(name: str) -> None:
    with pytest.raises(UnknownName, match="unknown method"):
        compress.method(name)


@pytest.mark.parametrize(
    ("short", "meant"),
    [
        ("dense-small,half", Description("dense-small,half", "stock", None)),
        ("dense-small,half:16kB", Description("dense-small,half", "stock", "16kB")),
    ],
)
def test_a_short_name_of_a_chain_is_understood(short: str, meant: Description) -> None:
    assert compress.described(short) == meant


@pytest.mark.parametrize("short", ["dense-small,half-stock", "dense-small,halve:20x", "dense-small,"])
def test_an_unknown_short_name_of_a_chain_is_refused(short: str) -> None:
    with pytest.raises(UnknownName, match="unknown variant"):
        compress.described(short)


def test_its_label_has_no_comma() -> None:
    assert plan.Variant.model_validate("dense-small,half:20x").label == "dense-small+half:20x"
    assert plan.Variant(method="dense-small,half", target="16kB").label == "dense-small+half:16kB"


@pytest.mark.parametrize("target", ["20", "20x", "16kB"])
def test_a_target_goes_to_the_link_that_takes_one(target: str) -> None:
    CHAIN.check(Request(target))


def test_a_target_that_no_link_takes_is_refused_in_the_first_ones_words() -> None:
    with pytest.raises(UsageError, match="'20 MACs' is not a compression target\nSay it as a ratio"):
        CHAIN.check(Request("20 MACs"))


def test_looking_a_chain_up_costs_no_torch() -> None:
    code = "import sys; from bench import compress; compress.method('dense-small,half'); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_a_file_is_known_as_the_package_of_a_chain(package: bytes, tmp_path: Path) -> None:
    file = tmp_path / "package"
    file.write_bytes(package)
    assert made_by(CHAIN, file)
    assert not made_by(method("half"), file)


def test_the_package_of_another_chain_is_refused(package: bytes) -> None:
    other = chain("dense-small,halved", (method("dense-small"), Halved()))
    with pytest.raises(UsageError, match="the package is one of 'dense-small,half', not of dense-small,halved"):
        other.restored(NETWORK, package, "stock")


def test_a_ready_graph_is_not_compressed(tmp_path: Path) -> None:
    network = small(nn.Identity, 3, graph=tmp_path / "network.param")
    with pytest.raises(UsageError, match="small is a ready graph"):
        CHAIN.compress(learnt(network, tmp_path), SEEDED)


def test_a_network_that_changes_is_refused_by_its_package(package: bytes) -> None:
    other = small(lambda: nn.Sequential(nn.Flatten(), nn.Linear(108, 5)), 3, 6, 6)
    with pytest.raises(UsageError, match="the package does not fit small"):
        CHAIN.restored(other, package, "stock")


LINKS = (Link("first", b"one" * 50, "emptied"), Link("second", b"two"))


@pytest.mark.parametrize("place", range(0, len(write(LINKS)), 3))
def test_a_damaged_package_is_refused(place: int) -> None:
    data = bytearray(write(LINKS))
    data[place] ^= 0x20
    with pytest.raises(CorruptData):
        read(bytes(data))


@pytest.mark.parametrize("length", [0, 3, 8, 9, 12, 30, len(write(LINKS)) - 1])
def test_one_that_ends_early_is_refused(length: int) -> None:
    with pytest.raises(CorruptData):
        read(write(LINKS)[:length])


def lying(change: Callable[[bytearray], None]) -> bytes:
    """A package whose check sum is right and whose content is not."""
    import zlib

    body = bytearray(write(LINKS)[8:])
    change(body)
    return b"BCH1" + zlib.crc32(body).to_bytes(4, "little") + bytes(body)


PACKING, STORED, SIZE = 7, 8, 12
"""Of the first link, in what is behind the check sum."""


def put(place: int, value: int) -> Callable[[bytearray], None]:
    return lambda body: body.__setitem__(slice(place, place + 4), value.to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body.__setitem__(0, 1), "bytes after its last link"),
        (lambda body: body.__setitem__(0, 3), "ends inside its link 3"),
        (lambda body: body.__setitem__(2, 0xFF), "a name that is not UTF-8"),
        (lambda body: body.__setitem__(PACKING, 2), "packed in an unknown way"),
        (put(STORED, 10**6), "ends inside its link 1"),
        (put(STORED, 5), "does not end where it should"),
        (put(SIZE, 2**32 - 1), "more than possible"),
        (put(SIZE, 149), "has 150 bytes instead of 149"),
        (put(SIZE, 151), "has 150 bytes instead of 151"),
    ],
)
def test_one_that_lies_is_refused(change: Callable[[bytearray], None], words: str) -> None:
    with pytest.raises(CorruptData, match=words):
        read(lying(change))


def test_another_version_is_refused_in_words() -> None:
    with pytest.raises(CorruptData, match="its version is another one"):
        read(b"BCH2" + write(LINKS)[4:])


def test_what_the_format_cannot_hold_is_not_written() -> None:
    with pytest.raises(ValueError, match="at most 255 bytes"):
        write((Link("x" * 256, b""),))
