"""Who has a host's phones."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.devices import hold
from bench.errors import DeviceBusy
from bench.farm import leases as leases_
from bench.farm.leases import Leases, Lost, Revoked


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(tmp_path)


def test_a_phone_is_had_by_one_coordinator(leases: Leases) -> None:
    leases.claim("abc", "one")
    leases.claim("abc", "one")
    with pytest.raises(DeviceBusy, match="another coordinator"):
        leases.claim("abc", "two")
    with pytest.raises(Lost), leases.using("abc", "two"):
        pass
    leases.release("abc", "two")
    with leases.using("abc", "one"):
        pass
    leases.release("abc", "one")
    leases.claim("abc", "two")


def test_a_bench_on_the_host_itself_sees_who_has_it(leases: Leases, tmp_path: Path) -> None:
    leases.claim("abc", "one")
    assert hold.holder(tmp_path, "abc")
    leases.release("abc", "one")
    assert hold.holder(tmp_path, "abc") is None
    with hold.held(tmp_path, ["abc"]), pytest.raises(DeviceBusy, match="another bench"):
        leases.claim("abc", "one")
    leases.claim("abc", "one")


def test_a_coordinator_that_is_not_heard_of_loses_it(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    leases.claim("abc", "one")
    assert leases.sweep() == []
    monkeypatch.setattr(leases_, "LAPSE_S", -1.0)
    assert leases.sweep() == ["abc"]
    leases.claim("abc", "two")


def test_a_command_of_one_who_went_is_ended_and_the_phone_is_free_only_then(leases: Leases) -> None:
    leases.claim("abc", "one")
    with leases.using("abc", "one") as lease:
        lease.check()
        leases.sweep(everything=True)
        with pytest.raises(DeviceBusy, match="before the connection was lost"):
            leases.claim("abc", "one")
        with pytest.raises(Revoked):
            lease.check("a line")
    leases.claim("abc", "one")
