"""Samples as the network was shown them."""

from __future__ import annotations

from bench.report.section import Context, Section


def section(context: Context) -> Section | None:
    return None
