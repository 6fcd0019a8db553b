"""The story of a night: run a plan, compare it with a baseline, measure what looks worse again, and say since when.

What is only suspected is measured in a session of its own, which alone decides (docs/nightly.md says why). It lies in
the run's folder and is not in the history: a second run of the same hour is not another night.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc

from bench.analyse.noise import recorded
from bench.cache import Cache
from bench.campaign import archive, past, session, since
from bench.campaign.again import again
from bench.campaign.asked import Asked
from bench.campaign.compared import between, noises
from bench.campaign.measuring import Watcher
from bench.campaign.past import Side
from bench.devices.host import DESKTOP
from bench.devices.transport import Transport
from bench.errors import BenchError, UsageError
from bench.files import reason
from bench.findings import Verdict
from bench.records import METRICS
from bench.report.nightly import Judged, Nightly, Since
from bench.results import prune
from bench.results.folder import RunFolder, now
from bench.results.history import History

LAST_GOOD = "last-good"
"""The baseline that moves by itself: the newest night on which nothing was worse."""
RULE_OUT = 0.25
"""A figure that may be worse by more than this share, for all that the night can tell, makes it incomplete."""
RULE_OUT_MARGINS = 5
"""The same for scores, in margins: 5 points, 2.5 dB."""
_RECENT = 14
"""Nights for which a change that only the trend tells is mentioned."""


class Wanted(NamedTuple):
    """What a night is asked for beside its plan. `metrics` are compared; `keep_raw` is of how many nights of this plan
    the raw data are kept, None for all. `serials` are the phones that were named."""

    baseline: str
    margin: float
    rule_out: float
    metrics: tuple[str, ...]
    keep_raw: int | None = None
    serials: tuple[str, ...] = ()


class Places(NamedTuple):
    results: Path
    history: History
    cache: Cache


def baseline_of(wanted: str, history: History, results: Path) -> Side | None:
    """What to compare with, read before the night begins, since afterwards `last` is another run; None for a last-good
    night that has not been yet. Raises UnknownName, CorruptData."""
    if wanted == LAST_GOOD and not any(LAST_GOOD in tags for tags in history.tags().values()):
        return None
    return past.side(wanted, history, results)


def run(
    asked: Asked, phones: Sequence[Transport], absent: Mapping[str, BenchError], wanted: Wanted, places: Places,
    watcher: Watcher,
) -> Nightly:  # fmt: skip
    """Do a night on these phones; `absent` are those that should be there and are not, by serial.

    What goes wrong is in the result, never raised, as is an interrupt: what was measured until then is compared.
    """
    begun = time.monotonic()
    night = _Night(asked, phones, wanted, places, watcher)
    missing = [f"{serial} is missing: {error.what}" for serial, error in absent.items()]
    night.incomplete += missing
    error: BenchError | None = None
    try:
        night.measure()
        night.judge()
        night.end()
    except BenchError as caught:
        error = caught
    except OSError as caught:
        error = unreadable(caught)
    judged = tuple(night.judged)
    return Nightly(
        asked.plan.name, night.started, time.monotonic() - begun, night.folder.path if night.folder else None,
        night.again, wanted.baseline, night.baseline and _name(night.baseline), judged, tuple(night.incomplete),
        tuple(night.notes), night.tagged, tuple(night.pruned), error,
    )  # fmt: skip


class _Night:
    """A night as it goes on."""

    def __init__(
        self, asked: Asked, phones: Sequence[Transport], wanted: Wanted, places: Places, watcher: Watcher
    ) -> None:
        self.asked, self.phones, self.wanted, self.places, self.watcher = asked, phones, wanted, places, watcher
        self.started = datetime.now().astimezone().isoformat(timespec="seconds")
        self.baseline: Side | None = None
        self.folder: RunFolder | None = None
        self.again: Path | None = None
        self.judged: list[Judged] = []
        self.incomplete: list[str] = []
        self.notes: list[str] = []
        self.pruned: list[str] = []
        self.tagged = False
        self._kept = False

    def measure(self) -> None:
        """Run the plan; its folder is known whatever becomes of it."""
        results, history, cache = self.places
        self.baseline = baseline_of(self.wanted.baseline, history, results)
        before = set(_folders(results))
        try:
            known = recorded(noises(history, [DESKTOP, *(phone.serial for phone in self.phones)]))
            self.folder, findings = session.run(self.asked, self.phones, results, cache, self.watcher, known)
        except KeyboardInterrupt:
            self.folder = _new(results, before, self.asked.plan.name)
            self._say_unfinished()
            return
        except (BenchError, OSError):
            self.folder = _new(results, before, self.asked.plan.name)
            raise
        self._say_failed()
        self.watcher.stage("add to the history")
        past.keep(self.folder, history, findings)
        self._kept = True

    def _say_failed(self) -> None:
        assert self.folder is not None
        there = {device.serial for device in self.folder.record().devices}
        self.incomplete += [
            f"{one.serial} is missing: it was left out" for one in self.phones if one.serial not in there
        ]
        failed = [m for m in self.folder.measurements() if m.status == "failed"]
        for device in dict.fromkeys(m.trial.subject.device for m in failed):
            mine = [m for m in failed if m.trial.subject.device == device]
            self.incomplete.append(
                f"{len(mine)} trial{'s' * (len(mine) != 1)} failed on {device}; the first, {mine[0].trial.id}: "
                f"{mine[0].reason}"
            )

    def _say_unfinished(self) -> None:
        ended = len(self.folder.measurements()) if self.folder else 0
        self.incomplete.append(f"it was interrupted after {ended} trial{'s' * (ended != 1)}")
        if self.folder and ended:
            self._say_failed()

    def judge(self) -> None:
        """Compare with the baseline, and again with another session where something looks worse."""
        if self.folder is None or self.baseline is None:
            return
        interrupted = not self._kept
        try:
            found = self._verdicts(self.folder)
        except UsageError as error:
            if not self.incomplete:
                raise
            self.incomplete.append(error.what)  # nothing of what was compared has been measured
            return
        suspects = [v for v in found if v.outcome == "worse" and METRICS[v.metric].pass_ not in ("size", "accuracy")]
        second = {} if interrupted or not suspects else self._measured_again(suspects)
        self.judged = [self._judged(v, second.get(_of(v)), suspected=v in suspects) for v in found]
        self._since()
        self._look_at_phones()

    def _verdicts(self, folder: RunFolder) -> list[Verdict]:
        assert self.baseline is not None
        results, history, _ = self.places
        right = past.side(str(folder.path), history, results)
        known = set(pc.unique(self.baseline.table["device"]).to_pylist())
        serials = self.wanted.serials if known & set(self.wanted.serials) else ()
        filters = {"device": serials, "metric": self.wanted.metrics}
        found = between(self.baseline, right, history, self.wanted.margin, filters, itself=False)
        planned = {(case.label, one.label) for case in self.asked.plan.cases for one in case.variants or ()}
        return [v for v in found if v.values[1] is not None or (v.right.model, v.right.variant) in planned]

    def _measured_again(self, suspects: Sequence[Verdict]) -> dict[tuple[object, ...], Verdict]:
        """The verdicts of a session on what looked worse alone; empty where it could not be measured."""
        assert self.folder is not None
        results, history, cache = self.folder.path / "again", self.places.history, self.places.cache
        record = self.folder.record()
        ordinary = {(a.model, a.variant) for a in record.artifacts if a.ordinary}
        plan = again(self.asked.plan, suspects, ordinary)
        serials = {v.right.device for v in suspects}
        phones = [phone for phone in self.phones if phone.serial in serials]
        before = set(_folders(results))
        looked = f"{len(suspects)} figure{'s' * (len(suspects) != 1)} looked worse"
        self.watcher.stage(f"{looked}: measure {', '.join(case.label for case in plan.cases)} again")
        try:
            asked = self.asked._replace(plan=plan)
            known = recorded(noises(history, [DESKTOP, *serials]))
            folder, _ = session.run(asked, phones, results, cache, self.watcher, known)
            self.again = folder.path
            return {_of(v): v for v in self._verdicts(folder)}
        except (BenchError, OSError, KeyboardInterrupt) as error:
            why = unreadable(error).what if isinstance(error, OSError) else str(error).partition("\n")[0]
            why = why or "interrupted"
            self.incomplete.append(f"what looked worse could not be measured again: {why}")
            made = _new(results, before, plan.name)
            self.again = made.path if made else None
            return {}

    def _judged(self, first: Verdict, second: Verdict | None, *, suspected: bool) -> Judged:
        if not suspected:
            return Judged(first, blind=blind(first, self.wanted.rule_out))
        if second is None:
            words = f"looked {first.word} {first.reason}, and could not be measured again"
            unknown = replace(first, outcome="cannot tell", word="cannot tell", reason=words)
            return Judged(unknown, first, blind=True)
        return Judged(second, first, blind=blind(second, self.wanted.rule_out))

    def _since(self) -> None:
        """Ask the trends, and the nights between the baseline and this one, since when a figure is worse."""
        assert self.folder is not None
        assert self.baseline is not None
        history, margin = self.places.history, self.wanted.margin
        found = since.trends([one.verdict for one in self.judged], history, margin)
        tonight = Since(self.started, str(self.folder.path.absolute()), self.folder.record().commit, 1, "verdicts")
        for number, one in enumerate(self.judged):
            v = one.verdict
            change = since.for_the_worse(found.get((v.metric, v.right)))
            if one.worse:
                first = since.first(v, change, self.baseline, history, margin, tonight)
                self.judged[number] = replace(one, since=first)
            elif change is not None and change.nights_after <= _RECENT and v.outcome != "better":
                self.notes.append(
                    f"The trend says that {v.metric} of {v.right.model} {v.right.variant} on {v.right.device} has been "
                    f"worse by {100 * abs(change.ratio - 1):.1f} % since {change.night.started[:10]} "
                    f"({change.nights_after} nights), less than one night can tell."
                )

    def _look_at_phones(self) -> None:
        """Where everything on a phone became slower and no artifact is another one, it is not the networks."""
        timed = [one for one in self.judged if one.verdict.metric == "latency"]
        for device in dict.fromkeys(one.verdict.right.device for one in timed):
            mine = [one for one in timed if one.verdict.right.device == device]
            same = not any("another artifact" in one.verdict.tags for one in mine)
            if len(mine) > 1 and same and all(one.worse for one in mine):
                self.notes.append(
                    f"Everything on {device} is slower, and no artifact is another one: look at the phone (heat, "
                    "charger, a system update) before the networks."
                )

    def end(self) -> None:
        """Move the tag of a good night, and prune."""
        results, history, _ = self.places
        assert self.folder is not None or not self._kept
        if self._kept and self.folder and self.wanted.baseline == LAST_GOOD and not self._doubts():
            (key,) = archive.keys(str(self.folder.path), history, results)
            old = [one for one, tags in history.tags().items() if LAST_GOOD in tags and one != key]
            history.tag(key, LAST_GOOD)
            for one in old:
                history.tag(one, LAST_GOOD, remove=True)
            self.tagged = True
        if self.wanted.keep_raw is not None:
            self._prune(self.wanted.keep_raw)

    def _doubts(self) -> bool:
        """Whether this night is not fit to be the next one's baseline."""
        if any(one.suspected and not one.worse for one in self.judged):
            self.notes.append(
                f"{LAST_GOOD} stays where it was: a figure looked worse at first, and later nights would be compared "
                "with that."
            )
            return True
        return bool(self.incomplete) or any(one.worse or one.blind for one in self.judged)

    def _prune(self, newest: int) -> None:
        results, history, _ = self.places
        spared = set(pc.unique(self.baseline.table["key"]).to_pylist()) if self.baseline else set()
        try:
            plan = self.asked.plan.name
            for one in archive.prunable(history, results, plan=plan, newest=newest, spared=spared):
                prune.prune(Path(one.folder), now())
                self.pruned.append(one.name)
        except BenchError as error:  # the night itself is as good as it was
            self.notes.append(f"Raw data of old nights were not removed: {error.what}")


def blind(v: Verdict, rule_out: float) -> bool:
    """Whether a verdict leaves room for a change to the worse that a night has to rule out."""
    if v.outcome != "cannot tell" or v.not_worse or not v.counts:
        return False
    kind = METRICS[v.metric]
    if v.bounds is not None:
        more, less = v.bounds[1] > 1 + rule_out, v.bounds[0] < 1 / (1 + rule_out)
        return {"lower": more, "higher": less, "equal": more or less}[kind.better]
    if v.interval is not None:
        worst = v.interval.low if kind.better != "lower" else -v.interval.high
        return worst < -RULE_OUT_MARGINS * v.margin
    return True


def unreadable(error: OSError) -> BenchError:
    """A disk that is full, or a folder that may not be written: a broken night, not a traceback."""
    return BenchError(f"{error.filename or 'a file'}: {reason(error)}", "Look at the disk and its permissions.")


def _name(side: Side) -> str:
    """The run that a baseline was on that night, whatever it was called."""
    runs = [Path(folder).name for folder in pc.unique(side.table["folder"]).to_pylist()]
    found = ", ".join(runs[:3]) + f" and {len(runs) - 3} more" * (len(runs) > 3)
    return found if side.name in runs else f"{found} ({Path(side.name).name})"


def _of(v: Verdict) -> tuple[object, ...]:
    return v.metric, v.right


def _folders(results: Path) -> list[Path]:
    return [file.parent for file in results.glob("*/run.json")]


def _new(results: Path, before: set[Path], name: str) -> RunFolder | None:
    """The folder of a run of that name that has been made since."""
    made = sorted(one for one in _folders(results) if one not in before and f"-{name}" in one.name)
    return RunFolder(made[-1]) if made else None
