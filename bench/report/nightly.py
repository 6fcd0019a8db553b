"""What a night came to: one result, and the files that a CI server, a chat and a program read of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.errors import BenchError, UsageError
from bench.files import reason, replace
from bench.findings import Verdict
from bench.records import METRICS
from bench.report import junit, verdicts
from bench.report.markdown import escaped
from bench.units import quantity

SCHEMA_VERSION = 1
"""Of nightly.json."""
Status = Literal["good", "regression", "incomplete", "broken"]
EXITS: dict[Status, int] = {"good": 0, "regression": 1, "incomplete": 2, "broken": 3}
FILES = {"json": "nightly.json", "markdown": "nightly.md", "junit": "nightly.xml"}
_MARKS: dict[Status, str] = {"good": "🟢", "regression": "🔴", "incomplete": "🟡", "broken": "⚫"}


class Since(NamedTuple):
    """The first of the nights on which a figure has been worse, by when it began (ISO 8601), and how many they are.

    `found_by` is `trend` for a change point, or `verdicts` where each of the nights is worse than the baseline.
    """

    started: str
    folder: str
    commit: str
    nights: int
    found_by: Literal["trend", "verdicts"]

    @property
    def words(self) -> str:
        return f"since {self.started[:10]} ({self.nights} night{'s' * (self.nights != 1)})"


@dataclass(frozen=True)
class Judged:
    """A figure of a night. `verdict` is the one that counts; `suspected` the one on the first launches, where these
    looked worse and it was measured again; `blind` says that it may hide a change which the night had to rule out."""

    verdict: Verdict
    suspected: Verdict | None = None
    since: Since | None = None
    blind: bool = False

    @property
    def worse(self) -> bool:
        return self.verdict.outcome == "worse"

    @property
    def words(self) -> str:
        """The verdict in words, with what it rests on."""
        v = self.verdict
        text = f"{v.word}: {v.reason}" if v.reason else v.word
        if None not in v.values:
            before, after = (quantity(value or 0.0, METRICS[v.metric].unit) for value in v.values)
            text += f" ({before} before, {after} now"
            if self.suspected is not None:
                first = quantity(self.suspected.values[1] or 0.0, METRICS[v.metric].unit)
                text += f" in {v.launches[1]} launches measured again; {first} at first"
            text += ")"
        return f"{text}, {self.since.words}" if self.since else text

    @property
    def where(self) -> str:
        return verdicts.where(self.verdict)


@dataclass(frozen=True)
class Nightly:
    """All that a night came to. `folder` is the run's, None where there was none; `baseline` what it was compared with,
    None where there was nothing yet. `incomplete` says, in sentences, what is missing; `error` what ended it."""

    plan: str
    started: str
    wall_s: float = 0.0
    folder: Path | None = None
    again: Path | None = None
    wanted: str = ""
    baseline: str | None = None
    judged: tuple[Judged, ...] = ()
    incomplete: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tagged: bool = False
    pruned: tuple[str, ...] = ()
    error: BenchError | None = None

    @property
    def status(self) -> Status:
        if self.error is not None:
            return "broken"
        if any(one.worse for one in self.judged):
            return "regression"
        return "incomplete" if self.incomplete or any(one.blind for one in self.judged) else "good"

    @property
    def exit(self) -> int:
        return EXITS[self.status]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not good, in sentences, the worst first."""
        return tuple(self._reasons())

    def _reasons(self) -> Iterator[str]:
        if self.error is not None:
            yield f"{type(self.error).__name__}: {self.error.what}"
        for one in sorted(self.judged, key=lambda one: not one.worse):
            if one.worse or one.blind:
                v = one.verdict
                yield f"{v.right.model} {v.right.variant} on {one.where}: {v.metric} {one.words}"
        yield from self.incomplete

    @property
    def sentence(self) -> str:
        """The night in a line."""
        if self.error is not None:
            return f"broken: {self.error.what}"
        if self.baseline is None:
            found = "nothing to compare with yet"
        else:
            worse, blind = sum(one.worse for one in self.judged), sum(one.blind for one in self.judged)
            of = f"of {len(self.judged)} figure{'s' * (len(self.judged) != 1)} against {self.baseline}"
            unknown = f", {blind} cannot be told" if blind else ""
            found = f"{worse or 'none'} worse{unknown}, {of}"
        found += "; something is missing" if self.incomplete else ""
        return f"{self.status}: {found}{f'; tagged {self.wanted}' if self.tagged else ''}"


def as_json(night: Nightly) -> dict[str, Any]:
    """nightly.json; docs/nightly.md has its fields."""
    error = night.error
    return {
        "schema_version": SCHEMA_VERSION, "status": night.status, "exit": night.exit, "plan": night.plan,
        "started": night.started, "wall_s": round(night.wall_s, 3),
        "folder": str(night.folder) if night.folder else None, "again": str(night.again) if night.again else None,
        "baseline": {"wanted": night.wanted, "run": night.baseline}, "reasons": list(night.reasons),
        "incomplete": list(night.incomplete), "notes": list(night.notes), "tagged": night.tagged,
        "pruned": list(night.pruned),
        "error": {"kind": type(error).__name__, "what": error.what, "fix": error.fix, "exit": error.exit_status}
        if error else None,
        "verdicts": [
            one | {
                "suspected": verdicts.as_json([judged.suspected])[0] if judged.suspected else None,
                "since": judged.since._asdict() if judged.since else None, "blind": judged.blind,
            }
            for judged, one in zip(night.judged, verdicts.as_json([j.verdict for j in night.judged]), strict=True)
        ],
    }  # fmt: skip


def markdown(night: Nightly) -> str:
    """A message for a chat or a pull request."""
    lines = [f"{_MARKS[night.status]} **bench nightly {escaped(night.plan)}: {escaped(night.sentence)}**", ""]
    lines += [f"- {escaped(reason)}" for reason in night.reasons]
    if night.error is not None and night.error.fix:
        lines.append(f"- → {escaped(night.error.fix)}")
    if night.reasons:
        lines.append("")
    if night.folder:
        lines += [f"Run {escaped(night.folder.name)}, begun {escaped(night.started)}.", ""]
    if night.judged:
        lines += [verdicts.markdown_table([one.verdict for one in night.judged]).rstrip("\n"), ""]
    for one in night.judged:
        if one.suspected and not one.worse:
            of = f"{one.verdict.right.model} {one.verdict.right.variant} {one.verdict.metric}"
            lines.append(f"- {escaped(f'{of} looked {one.suspected.word} at first; measured again: {one.words}.')}")
    lines += [f"- {escaped(note)}" for note in night.notes]
    if night.pruned:
        lines.append(f"- Raw data removed of {escaped(', '.join(night.pruned))}.")
    return "\n".join(lines).rstrip("\n") + "\n"


def suite(night: Nightly) -> junit.Suite:
    """The night as a suite of tests: one for the night itself, one for each verdict."""
    complete = "; ".join(night.incomplete)
    cases = [
        junit.Case("bench.nightly", "the night is complete", "error" if complete else "passed", "Incomplete", complete)
    ]
    if night.error is not None:
        what = f"{night.error.what}\n{night.error.fix}".rstrip()
        cases = [junit.Case("bench.nightly", "the night ran", "error", type(night.error).__name__, what)]
    for one in night.judged:
        v = one.verdict
        state: junit.State = "failure" if one.worse else "passed"
        if v.outcome == "cannot tell":
            state = "error" if v.values[1] is None and v.counts else "skipped"
        classname = f"bench.{junit.part(v.right.model)}.{junit.part(v.right.variant)}"
        cases.append(junit.Case(classname, f"{v.metric} on {one.where}", state, v.word, one.words))
    return junit.Suite(f"bench nightly {night.plan}", night.started, night.wall_s, tuple(cases))


def write(night: Nightly, out: Path) -> dict[str, Path]:
    """Write the three files; returns where they are. Raises UsageError where that is not possible."""
    content = {
        "junit": junit.document(suite(night)), "markdown": markdown(night),
        "json": json.dumps(as_json(night), indent=1) + "\n",
    }  # fmt: skip
    paths = {kind: out / name for kind, name in FILES.items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for kind, text in content.items():
            replace(paths[kind], text.encode())
    except OSError as error:
        raise UsageError(
            f"nothing can be written to {out}: {reason(error)}", "Name another folder: --out DIR."
        ) from error
    return paths


def table(night: Nightly) -> verdicts.Rows:
    """The verdicts for a terminal."""
    return verdicts.rows([one.verdict for one in night.judged])
