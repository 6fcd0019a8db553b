"""The tree of errors, its docstring and the page of exit codes are one."""

import re
from pathlib import Path

from bench import errors

ROOT = Path(__file__).parents[2]


def kinds() -> dict[str, int]:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.BenchError)]
    return {c.__name__: c.exit_status for c in classes if "exit_status" in vars(c) and c is not errors.BenchError}


def test_every_kind_has_an_exit_status_of_its_own() -> None:
    statuses = list(kinds().values())
    assert len(set(statuses)) == len(statuses)
    assert not set(statuses) & {0, 1, 126, 127, 130}


def test_docstring_and_page_list_them_all() -> None:
    drawn = re.findall(r"[├└]── (\w+)\s+(\d+)", errors.__doc__ or "")
    assert {name: int(status) for name, status in drawn} == kinds()
    page = re.findall(r"^\| (\d+) \| (\w+) \|", (ROOT / "docs" / "exit-codes.md").read_text(), re.MULTILINE)
    assert {name: int(status) for status, name in page} == kinds()


def test_an_unknown_name_offers_near_ones_and_lists_all() -> None:
    error = errors.UnknownName.of("model", "unett", ["unet", "lenet5"])
    assert error.fix == "Did you mean unet? Known: lenet5, unet."
    assert "Did you mean" not in errors.UnknownName.of("model", "zzz", ["unet"]).fix
