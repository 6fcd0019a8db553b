"""What an application grows by; and whether the runner could have opened a socket, under the conditions."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.records import Artifact
from tests.unit.report.report_kit import PHONE, Stored


@pytest.fixture
def weighed(tmp_path: Path) -> Stored:
    """A stored run whose phone's library has 7,000,000 bytes, packed 2,000,000; of one variant no file was packed."""
    one = Stored.read("synthetic-run-4", tmp_path)

    def packed(artifact: Artifact) -> Artifact:
        share = None if artifact.variant == "half" else 0.5
        files = tuple(f.model_copy(update={"zstd": share and int(f.bytes * share)}) for f in artifact.files)
        return artifact.model_copy(update={"files": files})

    changes = {
        "libraries": {f"ncnn, {PHONE}": (7_000_000, 2_000_000)},
        "artifacts": tuple(packed(a) for a in one.run.artifacts),
    }
    return one.but(run=one.run.model_copy(update=changes))


def test_library_and_network_are_added_up_as_they_are_and_as_they_are_downloaded(weighed: Stored) -> None:
    (table,) = weighed.tables("application")
    rows = {(row[0].text, row[1].text): [cell.value for cell in row[4:]] for row in table.cells}
    artifacts = {(a.model, a.variant): a for a in weighed.run.artifacts if a.runtime == "ncnn"}
    assert len(rows) > 1
    for key, (library, network, together, packed_library, packed_network, packed) in rows.items():
        assert (library, packed_library) == (7_000_000, 2_000_000)
        assert network == artifacts[key].deployed_bytes
        assert together == library + artifacts[key].deployed_bytes
        assert packed_network == artifacts[key].downloaded_bytes
        assert packed == (None if packed_network is None else packed_library + packed_network)
    assert {packed is None for *_, packed in rows.values()} == {True, False}


def test_a_run_that_weighed_no_library_has_no_such_section(tmp_path: Path) -> None:
    assert "application" not in Stored.read("synthetic-run-4", tmp_path).sections()


def conditions(stored: Stored, *states: str) -> tuple[str, ...]:
    """The notes below the conditions, when the phone's launches said these of the network, by turns."""
    measurements = []
    for number, one in enumerate(stored.measurements):
        on_phone = one.trial.subject.device == PHONE
        told = {"network": states[number % len(states)]} if states and on_phone else {}
        measurements.append(one.model_copy(update={"conditions": one.conditions | told}))
    section = stored.but(measurements=tuple(measurements)).sections()["measured"]
    (table,) = (folded.table for folded in section.folded if folded.id == "conditions")
    return tuple(note for note in table.notes if "sealed" in note)


def test_a_sealed_runner_is_said_to_have_opened_no_socket(tmp_path: Path) -> None:
    notes = conditions(Stored.read("synthetic-run-4", tmp_path), "sealed")
    assert len(notes) == 1
    assert PHONE in notes[0]
    assert notes[0].endswith("the runner was sealed: it could open no socket.")


def test_one_launch_that_was_not_sealed_is_enough_to_say_so(tmp_path: Path) -> None:
    notes = conditions(Stored.read("synthetic-run-4", tmp_path), "sealed", "not sealed: no filter is to be had here")
    assert len(notes) == 1
    assert notes[0].endswith("the runner was not sealed: no filter is to be had here.")


def test_of_a_run_that_does_not_know_nothing_is_said(tmp_path: Path) -> None:
    assert conditions(Stored.read("synthetic-run-4", tmp_path)) == ()
