"""What a coordinator makes of what a worker says, and a worker of what a coordinator asks."""

from __future__ import annotations

import errno
import json

import pydantic
import pytest

from bench.errors import BenchError, DeviceOffline, DiskFull, HostFull, PlanError, TransportBroken
from bench.farm import messages as m


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeviceOffline("abc is offline", "Plug it in."), DeviceOffline),
        (DiskFull("abc has no room"), DiskFull),
        (PlanError("what a worker cannot have"), TransportBroken),
        (HostFull("the worker's disk is not the coordinator's"), TransportBroken),
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
        (OSError(errno.EIO, "Input/output error"), TransportBroken),
    ],
)
def test_an_error_comes_home_as_one_of_ours(error: Exception, kind: type[BenchError]) -> None:
    home = m.Wrong.model_validate_json(m.Wrong.of(error, "lab-2").model_dump_json()).raised()
    assert type(home) is kind
    assert str(error).partition("\n")[0].removeprefix("[Errno") in home.what or "Errno" in home.what


def test_words_of_a_worker_are_bounded_and_control_no_terminal() -> None:
    home = m.Wrong(kind="SystemExit", what="\x1b[31m" + "no\n" * 1000).raised()
    assert type(home) is TransportBroken
    assert len(home.what) <= 500
    assert home.what.isprintable()


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "exec", "serial": "abc", "token": "t"},
        {"kind": "part", "serial": "abc", "token": "t", "sha256": "../../etc/passwd", "size": 1, "offset": 0},
        {"kind": "part", "serial": "abc", "token": "t", "sha256": "0" * 64, "size": 1 << 60, "offset": 0},
        {"kind": "run", "serial": "abc", "token": "t", "argv": ["true"], "deadline_s": -1},
        {"kind": "hello", "more": 1},
    ],
)
def test_a_request_that_is_none_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        m.REQUESTS.validate_json(json.dumps(asked))
