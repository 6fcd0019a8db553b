"""Which corrupted samples a network is shown beside its own, as a plan asks for them and as a run stores them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from bench.errors import UnknownName, UsageError

SEVERITIES = 5
ALL = "all"


class CorruptedRecord(BaseModel):
    """One set of samples: `name` of the corruption, empty for the samples as they are; the severities that each sample
    was corrupted with; the hash of the packed file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    text: str = ""
    severities: tuple[int, ...] = (0,)
    sha256: str = ""


class DriftRecord(BaseModel):
    """The part of a network's samples that its drift is measured on.

    `samples` are their places among the network's samples. `sets` are in the order of the launches of the pass: the
    first is the part as it is. In a set, all samples of one severity come before those of the next.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: tuple[int, ...]
    seed: int
    sets: tuple[CorruptedRecord, ...]


def asked(words: Sequence[str], known: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The severities of each corruption that is asked for, by its name: `noise` (every severity), `noise:3`, or `all`.

    Raises UnknownName, and UsageError for a severity that there is not.
    """
    found: dict[str, set[int]] = {}
    for word in words:
        name, colon, severity = word.strip().partition(":")
        if colon and not re.fullmatch(f"[1-{SEVERITIES}]", severity):
            raise UsageError(
                f"drift {word[:40]!r} has no severity from 1 to {SEVERITIES} behind its colon",
                f"Write e.g. {name[:20] or 'noise'}:3, or the name alone for every severity.",
            )
        if name != ALL and name not in known:
            raise UnknownName.of("corruption", name, (*known, ALL))
        for one in known if name == ALL else (name,):
            found.setdefault(one, set()).update((int(severity),) if colon else range(1, SEVERITIES + 1))
    return {name: tuple(sorted(found[name])) for name in known if name in found}


def words(found: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The shortest words that ask for just that."""
    every = tuple(range(1, SEVERITIES + 1))
    return tuple(
        word
        for name, severities in found.items()
        for word in ((name,) if severities == every else tuple(f"{name}:{one}" for one in severities))
    )
