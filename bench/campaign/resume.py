"""Going on with a run that was interrupted: only with what it was begun with, and only what is missing of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from bench.campaign import faults
from bench.errors import UsageError
from bench.records import Measurement, RunRecord
from bench.results.folder import RunFolder


def ended(folder: RunFolder) -> dict[str, Measurement]:
    """The trials that need not be done again, by their id, with their samples: those that were measured, and those that
    failed in a way that trying again does not change. Raises CorruptData, and UsageError where figures were pruned."""
    folder.refuse_pruned()
    kept = (m for m in folder.measurements() if m.status != "failed" or m.fault not in faults.TRANSIENT)
    return {m.trial.id: folder.with_samples(m) for m in kept}


def is_complete(folder: RunFolder) -> bool:
    """Whether nothing is left to do: every trial has ended, and none failed in a way that may pass. Raises as `ended`
    does."""
    folder.refuse_pruned()
    failed = (m.fault for m in folder.measurements() if m.status == "failed")
    return folder.record().finished is not None and not any(fault in faults.TRANSIENT for fault in failed)


def spent_s(before: RunRecord, ended: Mapping[str, Measurement]) -> float:
    """Seconds of the earlier attempts: at least those of their trials, where a process that was killed wrote none."""
    return max(before.wall_s, before.preparation_s + sum(one.wall_s for one in ended.values()))


def same(before: RunRecord, now: RunRecord, folder: RunFolder) -> None:
    """Raise UsageError where a run would go on with something else than it was begun with; the error says what."""
    if found := list(_differences(before, now)):
        raise UsageError(
            f"{folder.path} cannot be resumed: {'; '.join(found)}",
            f"Its figures would be of two different things. Begin a new run; this one stays as it is: "
            f"bench report {shlex.quote(str(folder.path))}",
        )


def _differences(before: RunRecord, now: RunRecord) -> Iterator[str]:
    if before.plan != now.plan:
        yield "its plan is understood otherwise by this version of bench"
    shown, here = ({k: s.model_dump(exclude={"unaltered"}) for k, s in run.samples.items()} for run in (before, now))
    if shown != here:
        labels = [label for label in here if shown.get(label) != here[label]]
        yield f"the samples of {', '.join(labels) or 'a network'} are not the same"
    old, new = _files(before), _files(now)
    for name in (*new, *(name for name in old if name not in new)):
        if old.get(name) != new.get(name):
            yield f"the files of {name} are not the same"
    for name in before.programs.keys() | now.programs.keys():
        if before.programs.get(name) != now.programs.get(name):
            yield f"the program of {name} is not the same"
    theirs = {device.serial: device for device in before.devices}
    for device in now.devices:
        then = theirs.pop(device.serial, None)
        if then is None:
            yield f"{device.serial} was not part of it"
        elif (then.name, then.abis, then.os, then.ram_bytes) != (device.name, device.abis, device.os, device.ram_bytes):
            yield f"{device.serial} is another device or system: {device.name}, {device.os}"
    if theirs:
        yield f"{', '.join(theirs)} is not there"


def _files(run: RunRecord) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Digests by role, of each artifact."""
    return {
        f"{one.model}/{one.variant} for {one.runtime}": tuple((file.role, file.sha256) for file in one.files)
        for one in run.artifacts
    }
