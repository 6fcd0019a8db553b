"""`make coverage`: small networks of every kind of operator, and classifiers of 25 families, through export and runner.

Prints a line for each and the sums, and writes all of it to results/coverage/<date>.json. Exits with 1 below the bars:
80 % of the small networks and 22 of 25 classifiers correct, none wrong, no traceback.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from bench.cache import Cache
from bench.measure import station
from benchmarks.coverage import classifiers, of_functions, of_layers
from benchmarks.coverage.cases import Case
from benchmarks.coverage.judge import Verdict, judge

SETS: dict[str, tuple[tuple[Case, ...], float]] = {
    "small networks": ((*of_layers.CASES, *of_functions.CASES), 0.80),
    "classifiers": (classifiers.CASES, 22 / 25),
}
"""What is tried, and which share must be correct of what a graph can hold."""


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="make coverage", description=__doc__)
    parser.add_argument("--only", choices=("small", "classifiers"))
    parser.add_argument("names", nargs="*", help="of networks; all of them by default")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of other people's networks
    torch.set_num_threads(1)
    here = station.desktop(("ncnn",), Cache(), lambda share, words: None)
    found: dict[str, list[Verdict]] = {}
    try:
        for title, (cases, _) in SETS.items():
            if not title.startswith(asked.only or ""):
                continue
            chosen = [case for case in cases if not asked.names or case.name in asked.names]
            found[title] = [_said(judge(case, here)) for case in chosen]
    finally:
        station.leave(here)
    good = [_summed(title, verdicts, SETS[title][1]) for title, verdicts in found.items() if verdicts]
    path = Path("results", "coverage", f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {title: [dataclasses.asdict(verdict) for verdict in verdicts] for title, verdicts in found.items()}
    path.write_text(json.dumps(written, indent=1), encoding="utf-8")
    print(path)
    return 0 if all(good) else 1


def _said(verdict: Verdict) -> Verdict:
    error = f"{verdict.error:.1e}" if verdict.error is not None else ""
    words = verdict.words if verdict.outcome == "traceback" else " | ".join(verdict.words.splitlines())[:200]
    print(f"{verdict.name:32} {verdict.outcome:10} {error:8} {verdict.seconds:6.1f} s  {words}", flush=True)
    return verdict


def _summed(title: str, verdicts: Sequence[Verdict], share: float) -> bool:
    """Print the sums of one set; returns whether its bar is reached."""
    static = {case.name for case in SETS[title][0] if case.static}
    counts = Counter(verdict.outcome for verdict in verdicts)
    possible = [verdict for verdict in verdicts if verdict.name in static]
    correct = sum(verdict.outcome == "correct" for verdict in possible)
    rightly = sum(verdict.outcome == "refused" for verdict in verdicts if verdict.name not in static)
    print(
        f"\n{title}: {correct} of {len(possible)} accepted and correct, {rightly} of {len(verdicts) - len(possible)} "
        f"that no graph can hold refused, {counts['wrong']} wrong, {counts['traceback']} tracebacks\n"
    )
    return correct >= share * len(possible) and not counts["wrong"] and not counts["traceback"]


if __name__ == "__main__":
    sys.exit(main())
