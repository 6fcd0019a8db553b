"""What the history keeps of a run: a row for each launch and metric, with all that tells whether it is comparable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bench.errors import CorruptData
from bench.findings import Summary
from bench.plan import Protocol, of_run
from bench.records import METRICS, ONE_LAUNCH, Artifact, Device, RunRecord, Subject
from bench.results.history import LAUNCHES, key_of

if TYPE_CHECKING:
    import pandas as pd

_OF_LAUNCHES = frozenset({"tagged", "no-interval"})
"""Kinds of caveats that follow from the launches that are kept, and so are not kept themselves."""


def launches(run: RunRecord, frame: pd.DataFrame, summaries: Sequence[Summary], folder: Path) -> pa.Table:
    """The rows of `bench.results.history.LAUNCHES` of a run that lies in `folder`. `frame` has its samples.

    Raises CorruptData for a run without a start.
    """
    trials = frame.drop_duplicates("trial")
    conditions = {
        (Subject.model_validate({name: row[name] for name in Subject.model_fields}), row["pass"], row["launch"]): (
            row["status"],
            row["reason"],
        )
        for row in trials.to_dict("records")
    }
    same = {
        "key": key(run), "run": run.id,
        "name": run.name, "started": _started(run), "folder": str(folder.absolute()),
        "bench_version": run.bench_version, "commit": run.commit,
    }  # fmt: skip
    devices = {device.serial: device for device in run.devices}
    artifacts = {(a.model, a.variant, a.runtime): a for a in run.artifacts}
    rows = []
    for summary in summaries:
        s = summary.subject
        if summary.metric in ONE_LAUNCH:
            continue
        if summary.statistics and (device := devices.get(s.device)):
            place = _place(run, device, artifacts.get((s.model, s.variant, s.runtime)), s)
            place["protocol"] += _beside(run, summary)
            rows += [same | place | one for one in _of_launches(summary, conditions)]
    return pa.Table.from_pylist(rows, LAUNCHES)


def key(run: RunRecord) -> str:
    """The key of a run in the history."""
    return key_of({"id": run.id, "finished": run.finished, "wall_s": run.wall_s}, run.id)


def _of_launches(summary: Summary, conditions: dict[Any, tuple[str, str]]) -> Iterator[dict[str, Any]]:
    unusable = [c.text for c in summary.caveats if c.level == "unusable" and c.kind not in _OF_LAUNCHES]
    kind = METRICS[summary.metric].pass_
    assert summary.statistics is not None
    interval = summary.statistics.interval if kind == "accuracy" else None
    for launch in (*summary.statistics.launches, *summary.statistics.left_out):
        status, why = conditions.get((summary.subject, kind, launch.launch), ("ok", ""))
        yield summary.subject.model_dump() | {
            "metric": summary.metric, "launch": launch.launch, "value": summary.statistics.figure(launch),
            "iterations": launch.samples,
            "low": interval.low if interval else None, "high": interval.high if interval else None,
            "status": status, "reason": why, "unusable": "; ".join(unusable),
        }  # fmt: skip


def _place(run: RunRecord, device: Device, artifact: Artifact | None, subject: Subject) -> dict[str, Any]:
    """What was measured and how, in words and digests that are equal where two runs did the same."""
    plan = of_run(run)
    shown = run.samples.get(subject.model)
    case = next((case for case in plan.cases if case.label == subject.model), None)
    facts = run.toolchain.get(f"{subject.runtime}, {subject.device}", {})
    return {
        "device_name": device.name, "os": device.os, "virtual": device.virtual, "translated": device.translated,
        "ordinary": bool(artifact and artifact.ordinary),
        "inputs": " + ".join("x".join(map(str, t.shape)) for t in artifact.inputs) if artifact else "",
        "artifact": _digest([artifact.execution, *sorted(f.sha256 for f in artifact.needed)]) if artifact else "",
        "program": _digest(facts.get("sha256") or facts) if facts else "",
        "samples": _digest(shown.model_dump(mode="json", exclude={"unaltered"})) if shown else "",
        "protocol": _words(plan.protocol_for(subject.model)), "cores": case.cores if case else "any",
    }  # fmt: skip


def _words(p: Protocol) -> str:
    """What of a protocol changes a figure: the number of launches does not."""
    return (
        f"warm-up {p.warmup_iterations} and {p.warmup_seconds:g} s, "
        f"{p.min_iterations} to {p.max_iterations} iterations and {p.min_seconds:g} s"
    )


def _beside(run: RunRecord, summary: Summary) -> str:
    """What worked beside a launch, which is part of what was measured, and that its figure is a mean: rows of medians
    are of another protocol."""
    if METRICS[summary.metric].pass_ != "contended":
        return ""
    p = of_run(run).protocol_for(summary.subject.model)
    return f", means beside {p.beside} copies and {p.load} threads"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _started(run: RunRecord) -> datetime:
    try:
        return datetime.fromisoformat(run.started).astimezone()
    except ValueError as error:
        raise CorruptData(f"run {run.id} does not say when it started: {run.started[:40]!r}", "Restore it.") from error
