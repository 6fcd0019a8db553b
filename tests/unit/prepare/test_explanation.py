"""What `bench explain` is given: a package in several capacities is explained at one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.compress import method
from bench.compress.method import Request
from bench.errors import UsageError
from bench.networks import resolve
from bench.prepare.explanation import explained
from tests.unit.compress.compress_kit import learnt

NESTED = method("nested-fr")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "lenet5.frqn"
    request = Request("3104", one_shot=True, seeded=True)
    path.write_bytes(NESTED.compress(learnt(resolve("lenet5"), tmp_path), request))
    return path


def test_each_capacity_has_the_ranks_and_costs_of_its_own_coefficients(package: Path) -> None:
    found = [explained(package, None, None, lambda *_: None, width) for width in ("1/4", "1/2", None)]
    assert [one.width for one in found] == [
        "capacity 1 of 4: 776 of 3,104 coefficients",
        "capacity 2 of 4: 1,552 of 3,104 coefficients",
        "capacity 4 of 4: 3,104 of 3,104 coefficients",
    ]
    costs = [one.layers[1].factored for one in found]
    assert all(cost is not None for cost in costs)
    weights = [cost.weights for cost in costs if cost]
    assert weights == sorted(set(weights))


@pytest.mark.parametrize("width", ["1/3", "auto"])
def test_what_is_no_capacity_is_refused(package: Path, width: str) -> None:
    with pytest.raises(UsageError, match=f"4 capacities, and none of them is {width}"):
        explained(package, None, None, lambda *_: None, width)
