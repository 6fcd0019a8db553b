"""Results of earlier schemas in today's form: plain values in, plain values out; the files stay as they are.

A schema is never guessed: it is read, refused when it is newer than this bench, and migrated step by step when it is
older.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bench.errors import CorruptData
from bench.records import SCHEMA_VERSION, Task

_SUBJECT = ("model", "variant", "device", "runtime", "threads", "precision")
_RUNTIMES = {"native": "ncnn"}
"""Names of schema 1 that have changed."""
_ACCURACY = {"classification": "top1", "segmentation": "dice"}
"""What the metric `accuracy` of schema 1 was, by task."""


def check(version: object, source: Path) -> int:
    """The schema version of a stored thing. Raises CorruptData unless this bench can read it."""
    text = version.decode("ascii", "replace") if isinstance(version, bytes) else str(version)
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= SCHEMA_VERSION:
        found = "does not name its schema" if version is None else f"has results of schema {text[:20]!r}"
        raise CorruptData(
            f"{source} {found}; this bench reads schemas 1 to {SCHEMA_VERSION}",
            "Read it with the bench that wrote it, or a newer one.",
        )
    return number


def record(values: dict[str, Any], source: Path) -> dict[str, Any]:
    """The values of run.json. Raises CorruptData (a newer schema); whatever else it raises means: not a record."""
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    return _record_of_schema_1(values) if check(values.get("schema_version"), source) == 1 else values


def trial(values: dict[str, Any], source: Path) -> dict[str, Any]:
    """The values of a line in trials.jsonl, without its version. It raises as `record` does."""
    rest = {key: value for key, value in values.items() if key != "schema_version"}
    if check(values["schema_version"], source) == 1:
        old = rest["trial"]
        subject = {key: old[key] for key in _SUBJECT if key in old}
        subject["runtime"] = _RUNTIMES.get(subject["runtime"], subject["runtime"])
        kept = {key: old[key] for key in ("pass_", "launch", "order") if key in old}
        rest["trial"] = kept | {"subject": subject}
    return rest


def table(found: pa.Table, source: Path, columns: pa.Schema, tasks: Callable[[], Mapping[str, Task]]) -> pa.Table:
    """A table of samples as one of `columns`; `tasks` of the run's networks are asked for when they are needed.

    Raises CorruptData when it is neither of today's schema nor of schema 1.
    """
    version = check((found.schema.metadata or {}).get(b"bench_schema"), source)
    if found.schema.names != columns.names or found.schema.types != columns.types:
        raise CorruptData(f"{source} does not have the columns of schema {version}", "Restore it from a copy.")
    if version == 1:
        names = pc.replace_substring_regex(found["runtime"], "^native$", "ncnn")
        found = found.set_column(found.schema.get_field_index("runtime"), columns.field("runtime"), names)
        found = found.set_column(0, columns.field("trial"), pa.array(_ids(found), pa.string()))
        scores = {model: _ACCURACY.get(task) for model, task in tasks().items()}
        metrics = [
            (scores.get(row["model"]) if row["metric"] == "accuracy" else None) or row["metric"]
            for row in found.select(["model", "metric"]).to_pylist()
        ]
        place = found.schema.get_field_index("metric")
        found = found.set_column(place, columns.field("metric"), pa.array(metrics, pa.string()))
    return found.replace_schema_metadata(columns.metadata)


def _ids(found: pa.Table) -> list[str]:
    """Ids in today's form, so that a table and trials.jsonl agree."""
    rows = found.select(["pass", *_SUBJECT, "launch"]).to_pylist()
    return [
        "{pass}/{model}/{variant}/{device}/{runtime}/t{threads}/{precision}/{launch}".format_map(row) for row in rows
    ]


def _record_of_schema_1(values: dict[str, Any]) -> dict[str, Any]:
    counts = dict.fromkeys(values.get("samples", {}), 0)
    return {key: value for key, value in values.items() if key != "warnings"} | {
        "schema_version": SCHEMA_VERSION,
        "plan": values["plan"] | {"schema_version": 1},
        "reference": "torch",
        "samples": {
            model: {"source": source, "count": counts[model], "labelled": False}
            for model, source in values.get("samples", {}).items()
        },
        "toolchain": {f"ncnn, {abi}": facts for abi, facts in values["toolchain"].items()},
        "artifacts": [one for old in values["artifacts"] for one in _artifacts_of_schema_1(old)],
        "notes": values.get("warnings", ()),
    }


def _artifacts_of_schema_1(old: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One artifact held the files of both runtimes."""
    kept = ("model", "variant", "execution", "task", "parameters", "coefficients", "trained", "notes")
    common = {key: old[key] for key in kept if key in old} | {
        "ordinary": old["variant"] == "baseline",
        "inputs": [{"name": "in0", "shape": old["input_shape"]}],
        "outputs": [{"name": "out0", "shape": old["output_shape"]}],
    }
    delta, largest, tolerance = (
        old[key] for key in ("verified_max_abs_delta", "verified_max_abs_reference", "tolerance")
    )
    verified = {
        "output": "out0", "max_abs_delta": delta, "max_abs_reference": largest,
        "headroom": delta / tolerance if tolerance else 0.0,
    }  # fmt: skip
    files = {"torch": ("torchscript",), "ncnn": ("graph", "weights")}
    made = []
    for runtime, roles in files.items():
        own = [file for file in old["files"] if file["role"] in roles]
        if own:
            form = "frq" if runtime == "ncnn" and old["weights_format"] == "frq" else "runtime"
            made.append(
                common
                | {"runtime": runtime, "files": own, "deployed": roles, "weights_format": form}
                | {"verified": [verified] if runtime == "ncnn" else []}
            )
    return made
