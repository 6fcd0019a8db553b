"""How a machine hashes its files. Every Android has a different set of tools: `sha256sum` came with version 8."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from bench.devices.transport import Transport

_PATHS_AT_ONCE = 24
"""Old adb daemons take commands of at most 4 KiB."""


class Hasher(NamedTuple):
    """A command on the machine that takes paths and prints lines `HEX  PATH`."""

    command: tuple[str, ...]
    algorithm: Literal["sha256", "sha1", "md5"]

    def digests(self, transport: Transport, paths: Iterable[str], *, deadline_s: float = 120.0) -> dict[str, str]:
        """Digests in lower-case hexadecimal by path; what is not there, or cannot be read, is left out."""
        left, found = list(paths), {}
        while left:
            now, left = left[:_PATHS_AT_ONCE], left[_PATHS_AT_ONCE:]
            done = transport.run([*self.command, *now], deadline_s=deadline_s)
            for line in done.stdout.splitlines():
                if match := re.fullmatch(r"([0-9a-fA-F]{32,64})\s+\*?(.+)", line.strip()):
                    found[match[2]] = match[1].lower()
        return found

    def works(self, transport: Transport) -> bool:
        """Whether the machine has it, and it computes what it should."""
        nothing = hashlib.new(self.algorithm, usedforsecurity=False).hexdigest()
        return self.digests(transport, ["/dev/null"], deadline_s=30).get("/dev/null") == nothing


def find(transport: Transport, programs: Sequence[str] = ()) -> Hasher | None:
    """The best way that the machine offers, or None. `programs` are paths there of native runners, which hash when
    they are called with --sha256."""
    tools = [
        Hasher((*prefix, f"{algorithm}sum"), algorithm)
        for algorithm in ("sha256", "sha1", "md5")
        for prefix in ((), ("toybox",), ("busybox",))
    ]
    tools += [Hasher((program, "--sha256"), "sha256") for program in programs]
    return next((tool for tool in tools if tool.works(transport)), None)
