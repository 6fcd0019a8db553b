"""From what a run stored and what `analyse` found to sections, and from these to a page, a terminal, a CSV and JSON.

Sections are an open set. A new one is a function of `Context` in a module of `bench.report.sections` and a name here;
an installed package adds its own by an entry point of the group `fr_bench.sections`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.errors import ToolMissing
from bench.registry import Registry
from bench.report.section import Context, Member, Section

__all__ = ["SECTIONS", "Context", "Section", "content"]

_OWN = (
    "notices", "answer", "score", "pareto", "rivals", "runtimes", "samples", "results", "cascade", "comparisons",
    "ratios", "goals", "plots", "confidence", "distributions", "drift", "sustained", "contention", "energy", "layers",
    "capacities", "largest", "startup", "trace", "places", "application", "troubles", "conversion", "schedule",
    "learning", "warnings", "measured", "reproduce",
)  # fmt: skip
SECTIONS: Registry[Member] = Registry(
    "report section", "fr_bench.sections", {name: f"bench.report.sections.{name}:section" for name in _OWN}
)


def content(context: Context) -> tuple[Section, ...]:
    """The sections that have something to show, in the order of a page: bench's own, then installed packages'."""
    return tuple(_found(context))


def _found(context: Context) -> Iterator[Section]:
    for name in SECTIONS.names():
        try:
            section = SECTIONS[name](context)
        except Exception as error:  # of any kind: it is the code of another package
            if name in _OWN:
                raise
            why = error.what if isinstance(error, ToolMissing) else f"{type(error).__name__}: {error}"
            section = Section(name, name, notices=(f"This section is missing: {why}",))
        if section:
            yield section
