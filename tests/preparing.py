"""What tests share that prepare networks: the real runners of this host, and a case by its flags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench import plan, prepare
from bench.cache import Cache
from bench.campaign import asked
from bench.campaign.changes import Changes, changed
from bench.measure import station, trial
from bench.prepare import Prepared
from bench.prepare.case import RunHere
from bench.records import Progress


def stage(title: str) -> Progress:
    """Nobody watches."""
    return lambda fraction, words: None


@contextmanager
def this_host() -> Iterator[RunHere]:
    """Runs artifacts by the programs of this host, which are built where the user's cache lacks them."""
    here = station.desktop(("torch", "ncnn"), Cache(), stage(""))
    yield partial(trial.answered, here)
    station.leave(here)


def prepared(changes: Changes, cache: Cache, run_here: RunHere) -> Prepared:
    """The one case of a plan with these flags."""
    wanted = asked.checked(changed(plan.suite("quick"), changes))
    (case,) = wanted.plan.cases
    return prepare.case(case, wanted.networks[case.label], wanted.runtimes_of(case), cache, run_here, stage)
