"""The classifiers of 25 families that come with the extra `coverage` (`bench.networks.families`)."""

from __future__ import annotations

from bench.networks.families import FAMILIES
from benchmarks.coverage.cases import Case

CASES: tuple[Case, ...] = tuple(Case(family.name, family.make, (family.shape,)) for family in FAMILIES)
