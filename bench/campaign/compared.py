"""Two sides of a comparison, named by people, to verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bench.analyse import noise, verdicts
from bench.analyse.noise import Place
from bench.analyse.series import Series
from bench.campaign import past
from bench.campaign.past import Side
from bench.devices.host import DESKTOP
from bench.errors import UsageError
from bench.findings import Noise, Verdict
from bench.records import METRICS
from bench.results.history import History

REMEMBERED_DAYS = 366
"""How old launches may be that the noise of a device is estimated from."""


def compared(
    before: str,
    after: str | None,
    history: History,
    results: Path,
    margin: float,
    filters: Mapping[str, Sequence[str]],
) -> list[Verdict]:
    """The verdicts on `after` against `before`, as `past.side` reads both; without `after` those on the other variants
    of `before` against its ordinary one, or against the one that it names.

    `filters` have, by column of the history, the values that are wanted; none stand for all. This host is left out
    unless it is named, where a phone was measured beside it.
    Raises UnknownName, CorruptData, and UsageError where the two have nothing in common.
    """
    left = past.side(before, history, results)
    right = past.side(after, history, results) if after is not None else past.whole(left, history, results)
    return between(left, right, history, margin, filters, itself=after is None)


def between(
    left: Side, right: Side, history: History, margin: float, filters: Mapping[str, Sequence[str]], *, itself: bool
) -> list[Verdict]:
    """The verdicts on the right side against the left, or where both are of one run (`itself`) on the right side's
    other variants. Raises as `compared` does."""
    any_variant = itself or left.variant is not None or right.variant is not None
    wider = {**filters, "variant": ()} if any_variant else filters
    old, new = left.series(**wider), right.series(**filters)
    if not (filters.get("device") or left.device or right.device) and any(s.subject.device != DESKTOP for s in new):
        old, new = ([s for s in side if s.subject.device != DESKTOP] for side in (old, new))
    if itself:
        old = [s for s in old if s.ordinary or left.variant is not None]
        reference = {s.subject.variant for s in old}
        new = [s for s in new if s.subject.variant not in reference]
    found = list(verdicts.pairs(old, new, any_variant=any_variant))
    matched = [(a, b) for a, b in found if b is not None]
    missing = [a for a, b in found if b is None and not itself]
    if not matched:
        others = "its other variants" if itself else right.name
        raise UsageError(
            f"{left.name} and {others} have no figure of the same network in the same place",
            "Look at what they measured (`bench results show RUN`), and at the filters.",
        )
    known = noises(history, {s.subject.device for pair in matched for s in pair}, (left.table, right.table))
    judged = [verdicts.verdict(a, b, known, past.answers_of, margin) for a, b in _sorted(matched)]
    return judged + [verdicts.gone(one) for one in missing]


def noises(history: History, devices: Iterable[str], tables: Sequence[pa.Table] = ()) -> dict[Place, Noise]:
    """The noise of devices from the history of a year, and from tables of launches that it does not have yet."""
    since = f"{datetime.now(UTC) - timedelta(days=REMEMBERED_DAYS):%Y-%m}"
    kept = history.launches(noise.COLUMNS, since=since, device=sorted(devices))
    keys = set(pc.unique(kept["key"]).to_pylist())
    parts = [kept.select(noise.COLUMNS)]
    for table in tables:
        mine = set(pc.unique(table["key"]).to_pylist())
        new = table.filter(pc.is_in(table["key"], pa.array(sorted(mine - keys), pa.string())))
        parts.append(new.select(noise.COLUMNS))
        keys |= mine
    return noise.noises(pa.concat_tables(parts).to_pandas())


def _sorted(matched: Sequence[tuple[Series, Series]]) -> list[tuple[Series, Series]]:
    """By network and variant as they were measured, and figures in the order of METRICS."""
    metrics = list(METRICS)
    models = list(dict.fromkeys(b.subject.model for _, b in matched))
    return sorted(matched, key=lambda pair: (models.index(pair[1].subject.model), metrics.index(pair[1].metric)))
