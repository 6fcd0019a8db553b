"""What others at work beside it do to a network: the same subject alone and contended, each in launches of its own.

Compared are the means of launches, not their medians: a scheduler gives the cores away in slices of milliseconds, so
most inferences of a fast network are not disturbed at all and the others wait for a whole slice. A median does not see
them; users do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from bench.analyse.noise import Place, called_beyond
from bench.analyse.statistics import ratio
from bench.endurance import Contention, Lead, Turn
from bench.findings import Noise, Summary
from bench.plan import of_run
from bench.records import RunRecord

METRIC = "contended"
Pair = tuple[Summary, Summary]
"""A subject alone and beside others."""
Means = dict[int, float]
"""The mean of each launch, by its number."""


def contention(
    summaries: Sequence[Summary], run: RunRecord, noises: Mapping[Place, Noise]
) -> tuple[tuple[Contention, ...], tuple[Turn, ...], tuple[Lead, ...]]:
    """The ratio contended ÷ alone of each subject that has both; the variants that change places, the first faster
    alone and the second contended; and which are ahead of which, alone and contended, of those that are usable.

    Launches alone and contended are not paired: they ran in passes of their own. A ratio is called where its interval
    excludes 1 and it is beyond the noise floor; a change of places where both orders are. Raises CorruptData for a plan
    that is not understood.
    """
    latency = {s.subject: s for s in summaries if s.metric == "latency" and s.statistics}
    both = [(latency[s.subject], s) for s in summaries if s.metric == METRIC and s.statistics and s.subject in latency]
    found = tuple(_of_subject(*pair, run, noises) for pair in both)
    judged = [pair for pair in both if all(s.usable and not s.translated for s in pair)]
    return found, tuple(_turns(judged, noises)), tuple(_leads(judged, noises))


def _of_subject(alone: Summary, beside: Summary, run: RunRecord, noises: Mapping[Place, Noise]) -> Contention:
    assert alone.statistics is not None
    assert beside.statistics is not None
    protocol = of_run(run).protocol_for(beside.subject.model)
    ours, theirs = _means(alone), _means(beside)
    value, interval, _ = ratio(theirs, ours, same_machine=False)
    doubts = next((s.verdict for s in (alone, beside) if not s.usable), "")
    return Contention(
        subject=beside.subject, alone=float(np.median(list(ours.values()))),
        contended=float(np.median(list(theirs.values()))),
        medians=(_median(alone), _median(beside)), ratio=value,
        bounds=(interval.low, interval.high) if interval else None, launches=(len(ours), len(theirs)),
        copies=protocol.beside, load=protocol.load,
        called=not doubts and (_above(beside, alone, noises) or _above(alone, beside, noises)),
        virtual=beside.virtual, translated=beside.translated, doubts=doubts,
    )  # fmt: skip


def _means(summary: Summary) -> Means:
    assert summary.statistics is not None
    return {launch.launch: launch.mean for launch in summary.statistics.launches}


def _median(summary: Summary) -> float:
    assert summary.statistics is not None
    return float(np.median([launch.median for launch in summary.statistics.launches]))


def _above(over: Summary, under: Summary, noises: Mapping[Place, Noise]) -> bool:
    """Whether the one takes longer than the other, beyond what noise explains."""
    a, b = _means(over), _means(under)
    value, interval, _ = ratio(a, b, same_machine=over.metric == under.metric)
    places = {Place(s.subject.device, s.subject.runtime, s.metric) for s in (over, under)}
    noise = called_beyond(noises, places, a, b)
    return interval is not None and interval.low > 1 and value > 1 + noise.value


def _rivals(both: Sequence[Pair]) -> Iterator[tuple[Pair, Pair]]:
    for one, two in combinations(both, 2):
        if two[0].subject.model_copy(update={"variant": one[0].subject.variant}) == one[0].subject:
            yield one, two


def _turns(both: Sequence[Pair], noises: Mapping[Place, Noise]) -> Iterator[Turn]:
    for one, two in _rivals(both):
        early, late = sorted((one, two), key=lambda pair: float(np.median(list(_means(pair[0]).values()))))
        gain, loss = (ratio(_means(x), _means(y)).value for x, y in ((late[0], early[0]), (early[1], late[1])))
        if gain > 1 and loss > 1:
            called = _above(late[0], early[0], noises) and _above(early[1], late[1], noises)
            yield Turn(early[0].subject, late[0].subject, gain, loss, called)


def _leads(both: Sequence[Pair], noises: Mapping[Place, Noise]) -> Iterator[Lead]:
    whens: tuple[Literal["alone", "contended"], ...] = ("alone", "contended")
    for pairs in _rivals(both):
        for ahead, behind in (pairs, pairs[::-1]):
            for when, fast, slow in zip(whens, ahead, behind, strict=True):
                if _above(slow, fast, noises):
                    yield Lead(when, fast.subject, slow.subject)
