"""What became of each layer, in words."""

from __future__ import annotations

from collections.abc import Mapping

from bench.compress.tucker.ranks import Ranks
from bench.compress.tucker.sites import DENSE, Found, Site


def listing(found: Found, ranks: Mapping[str, Ranks]) -> dict[str, str]:
    """By the name of its weight, e.g. `1×1 20→7, 5×5 7→13, 1×1 13→50`."""
    return {site.name: _words(site, ranks.get(path, DENSE)) for path, site in found.sites.items()}


def _words(site: Site, ranks: Ranks) -> str:
    out, into = site.shape[:2]
    kernel = "×".join(map(str, site.shape[2:]))
    if ranks == DENSE:
        return f"{kernel + ' ' if kernel else ''}{into}→{out}, dense: factors would be larger or slower"
    if site.matrix:
        return f"{into}→{ranks.out}, {ranks.out}→{out}"
    core = f"{kernel} {ranks.into or into}→{ranks.out or out}"
    before = f"1×1 {into}→{ranks.into}, " if ranks.into else ""
    return f"{before}{core}" + (f", 1×1 {ranks.out}→{out}" if ranks.out else "")
