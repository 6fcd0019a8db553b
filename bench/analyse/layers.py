"""Layers over launches: shares of time with their intervals, and beside them what multiply-adds and bytes predict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize

from bench.analyse.statistics import median_interval
from bench.findings import Summary
from bench.layered import LayerRecord, LayerShare, Profile
from bench.records import RunRecord, Subject

Values = NDArray[np.float64]


def profiles(
    frame: pd.DataFrame, run: RunRecord, summaries: Sequence[Summary], layers: Mapping[str, Sequence[LayerRecord]]
) -> tuple[Profile, ...]:
    """Of every subject with a profile pass, in the order of the summaries; `layers` are by the trial's id."""
    rows = frame[frame["pass"] == "profile"].drop_duplicates("trial")
    return tuple(
        _profile(subject, rows[_is_of(rows, subject)], summaries, layers)
        for subject in dict.fromkeys(one.subject for one in summaries)
        if _is_of(rows, subject).any()
    )


def _is_of(rows: pd.DataFrame, subject: Subject) -> NDArray[np.bool_]:
    wanted = np.ones(len(rows), dtype=bool)
    for name in Subject.model_fields:
        wanted &= (rows[name] == getattr(subject, name)).to_numpy()
    return wanted


def _profile(
    subject: Subject, rows: pd.DataFrame, summaries: Sequence[Summary], layers: Mapping[str, Sequence[LayerRecord]]
) -> Profile:
    virtual, translated = bool(rows["virtual"].any()), bool(rows["translated"].any())
    good = rows[rows["status"] == "ok"] if (rows["status"] == "ok").any() else rows[rows["status"] != "failed"]
    known = [layers[trial] for trial in good["trial"] if trial in layers]
    if not known:
        reasons = [str(reason) for reason in rows["reason"] if reason]
        why = reasons[0] if reasons else "its layers are gone from the run"
        return Profile(subject, (), 0, 0.0, None, "", None, virtual, translated, refused=why)
    # All launches of a subject run the same files; should one differ, those like the first are what is shown.
    alike = [one for one in known if [layer.type for layer in one] == [layer.type for layer in known[0]]]
    times = np.array([[layer.ns for layer in one] for one in alike], dtype=np.float64)
    totals = times.sum(axis=1)
    shares = times / np.maximum(totals, 1.0)[:, None]
    ns = np.median(times, axis=0)
    rates, predicted = _predicted(alike[0], ns)
    median = np.median(shares, axis=0)
    whole, of = _whole(subject, summaries)
    found = tuple(
        LayerShare(
            label, layer.type, float(ns[i]), float(median[i]), _interval(shares[:, i]),
            None if predicted is None or np.isnan(predicted[i]) else float(predicted[i]),
            layer.macs, layer.moved, layer.shape, layer.deferred,
        )
        for i, (layer, label) in enumerate(zip(alike[0], _labels(alike[0]), strict=True))
    )  # fmt: skip
    return Profile(subject, found, len(alike), float(np.median(totals)), whole, of, rates, virtual, translated)


def _interval(shares: Values) -> tuple[float, float] | None:
    found = median_interval(shares)
    return (found.low, found.high) if found else None


def _whole(subject: Subject, summaries: Sequence[Summary]) -> tuple[float | None, str]:
    """What the sum of layers is held against: ordinary inferences of the same launches, where the runtime can do both;
    else the latency pass."""
    known = {one.metric: one.statistics for one in summaries if one.subject == subject and one.statistics}
    for metric, words in (
        ("plain", "ordinary inferences between those, in the same launches"),
        ("latency", "the launches of the latency pass"),
    ):
        if (found := known.get(metric)) is not None:
            return found.median, words
    return None, ""


def _predicted(layers: Sequence[LayerRecord], ns: Values) -> tuple[tuple[float, float] | None, Values | None]:
    """The two rates, and each layer's share by them: its time is taken for a × macs + b × moved, with those a, b ≥ 0
    that come nearest to the measured times of this subject (least squares); NaN where a layer's work is not known."""
    work = np.array([[_or_nan(layer.macs), _or_nan(layer.moved)] for layer in layers])
    known = ~np.isnan(work).any(axis=1)
    if known.sum() < 2 or not work[known].any():
        return None, None
    scale = work[known].max(axis=0)
    scale[scale == 0] = 1.0
    (a, b), _ = optimize.nnls(work[known] / scale, ns[known])
    rates = (float(a / scale[0]), float(b / scale[1]))
    times = work @ np.array(rates)
    total = times[known].sum()
    if total <= 0:
        return None, None
    # What is known is predicted to take what it took together.
    shares: Values = times / total * (ns[known].sum() / max(ns.sum(), 1.0))
    return rates, shares


def _or_nan(value: int | None) -> float:
    return float("nan") if value is None else float(value)


def _labels(layers: Sequence[LayerRecord]) -> Iterator[str]:
    """A name for each layer that is unique in its network: its module, else the runtime's own name, else its type and
    the module that it follows."""
    names: list[str] = []
    latest = ""
    for layer in layers:
        own = layer.module or (layer.name if layer.name.strip("-") else "")
        latest = layer.module or latest
        names.append(own or (f"{layer.type} after {latest}" if latest else layer.type))
    again = Counter(names)
    count: Counter[str] = Counter()
    for name in names:
        count[name] += 1
        yield name if again[name] == 1 else f"{name} ({count[name]})"
