"""What this machine's own CPU can do, for code that runs nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def features(cpuinfo: str | None = None) -> frozenset[str]:
    """The features that all cores have, in Linux's names; empty where the system does not list them.

    `cpuinfo` is the text of /proc/cpuinfo, read when left out.
    """
    if cpuinfo is None:
        cpuinfo = _CPUINFO.read_text(errors="replace") if _CPUINFO.is_file() else ""
    cores = [frozenset(listed.split()) for listed in re.findall(r"(?mi)^(?:flags|features)\s*:(.*)$", cpuinfo)]
    return frozenset.intersection(*cores) if cores else frozenset()
