"""The user's own code as a guest: it ends neither bench nor goes on as a second one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench import networks
from bench.guest import Exited, guest


def test_an_end_without_ceremony_is_an_error_at_its_place() -> None:
    leave = os._exit
    with pytest.raises(Exited, match=r"os\._exit\(0\) at .*test_guest\.py:\d+"), guest():
        os._exit(0)
    assert os._exit is leave


def test_an_exit_is_one_too() -> None:
    with pytest.raises(Exited, match=r"sys\.exit\(3\) at .*test_guest\.py:\d+"), guest():
        sys.exit(3)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("how", ["returns", "leaves", "fails"])
def test_a_process_that_it_forks_ends_where_its_code_does(how: str) -> None:
    with guest():
        child = os.fork()
        if child == 0 and how == "leaves":
            os._exit(7)
        if child == 0 and how == "fails":
            raise RuntimeError
    # Only one process is here.
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == (7 if how == "leaves" else 0)


def test_an_end_while_a_network_is_built_is_an_error_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import os\n\ndef build():\n    os._exit(0)\n")
    with pytest.raises(Exited, match=r"os\._exit\(0\) at .*ends\.py:4"):
        networks.resolve(f"{tmp_path}/ends.py:build", inputs=networks.parse_inputs("4")).build()
