"""Two readers of one format: Python's and the runner's accept the same files and find the same coefficients in them,
bit for bit. The corpus is what fuzzing the native one found (`make fuzz`)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cache import Cache
from bench.compress.frequency import package
from bench.compress.frequency.package import Package, Tensor
from bench.errors import CorruptData
from bench.runtimes.ncnn.build import build, host_abi
from tests.e2e.native_kit import EXITS, execute, job_text, seal
from tests.e2e.test_native_damage import damages
from tests.unit.compress.frequency.test_frq import EVERY, PACKAGES

CORPUS = Path("tests/corpus")
WHOLES = tuple(map(package.write, EVERY))
"""One of each format."""
LENGTH = min(map(len, WHOLES))


def corpus(name: str) -> list[bytes]:
    return [bytes.fromhex(line) for line in (CORPUS / f"{name}.hex").read_text().split()]


def natively(files: Sequence[bytes], folder: Path) -> list[dict[str, Any]]:
    """What `bench-frq read` says of each file."""
    paths = [folder / str(number) for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    tool = build(host_abi(), Cache()).frq
    done = subprocess.run([tool, "read", *paths], capture_output=True, timeout=120, check=True)
    printed = [json.loads(line) for line in done.stdout.split(b"\n")[:-1]]
    assert len(printed) == len(files)
    return printed


def in_python(data: bytes) -> dict[str, Any]:
    """The same words from Python's reader."""
    try:
        found = package.read(data)
    except CorruptData as error:
        return {"refused": error.what}
    each = [[_words(tensor) for tensor in found.at(capacity).tensors] for capacity in range(1, found.capacities + 1)]
    told = {"name": found.name, "tensors": each.pop()}
    return {**told, "smaller": each} if each else told


def _words(tensor: Tensor) -> dict[str, Any]:
    bits = tensor.numbers.view(np.uint32).tolist()
    coords = [[]] * len(bits) if tensor.kind == "raw" else tensor.coordinates().tolist()
    return {
        "kind": ["raw", "prefix", "explicit"].index(tensor.kind),
        "half": int(tensor.values.dtype == np.float16),
        "int8": int(tensor.values.dtype == np.int8),
        "vector": int(tensor.vector),
        "transposed": int(tensor.transposed),
        "shape": list(tensor.shape),
        "values": [[*index, value] for index, value in zip(coords, bits, strict=True)],
    }


def agree(files: Sequence[bytes], folder: Path) -> list[bool]:
    """Compares the readers on each file; which files they accept."""
    accepted = []
    for data, native in zip(files, natively(files, folder), strict=True):
        python = in_python(data)
        assert ("refused" in native) == ("refused" in python), (data.hex(), native, python)
        accepted.append("refused" not in python)
        if accepted[-1]:
            assert native == python, data.hex()
        else:
            assert native["refused"]
            assert python["refused"]
    return accepted


def test_on_everything_that_fuzzing_found(tmp_path: Path) -> None:
    accepted = agree(
        [seal(body, magic) for body in corpus("package") for magic in (b"FRQ2", b"FRQ3", b"FRQ4")], tmp_path
    )
    assert any(accepted)
    assert not all(accepted)


quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(st.lists(PACKAGES, min_size=1, max_size=4))
def test_on_every_package_that_can_be_written(tmp_path_factory: pytest.TempPathFactory, made: list[Package]) -> None:
    assert all(agree([package.write(one) for one in made], tmp_path_factory.mktemp("made")))


@quick
@given(st.lists(damages(LENGTH - 8), min_size=1, max_size=40))
def test_on_lying_packages(tmp_path_factory: pytest.TempPathFactory, spoil: list[Any]) -> None:
    lying = [seal(damage(whole[8:]), whole[:4]) for damage in spoil for whole in WHOLES]
    agree(lying, tmp_path_factory.mktemp("lying"))


@quick
@given(st.lists(damages(LENGTH), min_size=1, max_size=40))
def test_on_damaged_packages(tmp_path_factory: pytest.TempPathFactory, spoil: list[Any]) -> None:
    files = [damage(whole) for damage in spoil for whole in WHOLES]
    assert agree(files, tmp_path_factory.mktemp("damaged")) == [data in WHOLES for data in files]


def test_every_truncation_and_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    """Without a new check sum, and every truncation with one."""
    for whole in WHOLES:
        flipped = [
            whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (0, 7)
        ]
        cut = [whole[:end] for end in range(len(whole))]
        sealed = [seal(whole[8:end], whole[:4]) for end in range(8, len(whole))]
        assert not any(agree([*flipped, *cut, *sealed, whole + b"\0"], tmp_path))


def test_the_runner_survives_the_corpus_of_other_files(tmp_path: Path) -> None:
    """Jobs and samples, as the runner itself reads them; the rest are graphs for its factoring, and clocks."""
    for number, data in enumerate(corpus("text")):
        folder = tmp_path / str(number)
        folder.mkdir()
        if data[0] % 4 == 0:
            (folder / "job").write_bytes(data[1:])
            assert execute(folder / "job").status in (EXITS["bad_job"], EXITS["missing_file"], EXITS["unsupported"])
        elif data[0] % 4 == 1:
            (folder / "samples.bsmp").write_bytes(data[1:])
            (folder / "job").write_text(job_text(folder))
            assert execute(folder / "job").status in (EXITS["bad_samples"], EXITS["missing_file"])
