"""Packages told whole or damaged by what their names' endings say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from bench import compress
from bench.compress import packages
from bench.compress.cascade import package as cascade
from bench.compress.chain import package as chain
from bench.compress.elm import package as elm
from bench.compress.nested import package as nested
from bench.confidence import Calibration, Cascade
from bench.errors import CorruptData

FRQ = (Path(compress.__file__).parents[1] / "pretrained" / "lenet5.frq").read_bytes()
WEIGHTS = safetensors.numpy.save({"a": np.zeros(3, np.float16)})
ENDINGS = sorted({compress.method(name).suffix for name in compress.names()} | {".chain"})


def of(ending: str) -> bytes:
    halves, exponent = elm.stored(np.random.default_rng(0).normal(size=(3, 5)))
    told = Cascade(
        small="fr", threshold=0.5, temperature=1.0, goal="-1pt", samples=9, accuracy=(0.5, 0.9, 0.9), asked=0.5
    )
    fitted = Calibration(temperatures=(1.0, 1.0), samples=9, nll=(1.0, 1.0), ece=(0.1, 0.1))
    return {
        ".frq": FRQ,
        ".elm": elm.write(elm.Package(7, 11, 0.5, 0.25, 1.5, exponent, halves)),
        ".nested": nested.write(nested.Nested("net", 2, (), (), ())),
        ".safetensors": WEIGHTS,
        ".chain": chain.write((chain.Link("fr", FRQ), chain.Link("half", WEIGHTS))),
        ".cascade": cascade.write(cascade.Package(told, fitted, "fr", FRQ, WEIGHTS)),
    }[ending]


@pytest.mark.parametrize("ending", [".frq", ".elm", ".nested", ".safetensors", ".chain", ".cascade"])
def test_a_whole_package_is_read_and_one_that_is_cut_is_refused(ending: str) -> None:
    content = of(ending)
    assert packages.check(ending, content)
    assert packages.check(ending.upper(), content)
    for cut in (content[:-1], content[: len(content) // 2], b""):
        with pytest.raises(CorruptData):
            packages.check(ending, cut)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_package_of_every_method_is_known_and_noise_is_none(ending: str) -> None:
    with pytest.raises(CorruptData):
        packages.check(ending, np.random.default_rng(1).bytes(3_000))


def test_a_damaged_package_within_another_is_found() -> None:
    with pytest.raises(CorruptData):
        packages.check(".chain", chain.write((chain.Link("fr", FRQ[:-9]), chain.Link("half", WEIGHTS))))
    assert packages.check(".chain", chain.write((chain.Link("somebodys-own", b"whatever"),)))


def test_another_package_than_the_name_says_is_refused() -> None:
    with pytest.raises(CorruptData, match="FRQ4"):
        packages.check(".frqn", FRQ)
    with pytest.raises(CorruptData):
        packages.check(".nested", FRQ)


def test_of_other_files_nothing_is_said() -> None:
    assert not packages.check(".bin", b"anything")
    assert not packages.check("", b"")
