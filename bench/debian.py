"""Debian's packages without installing them: fetched by apt, which checks Debian's signature, and unpacked in a folder.

Nothing of this computer's own packages is touched, and no rights are needed.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.errors import ToolMissing
from bench.files import digest

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ADDRESS = "http://deb.debian.org/debian"
"""Debian's own address; what comes from there counts by its signature, not by the way that it came."""


class Packages:
    """A place of apt's own in `folder`, for one architecture. `suite` is Debian's; an empty one stands for the sources
    that this computer itself has. All that is asked has to be done within `deadline_s`.

    Everything here raises ToolMissing; `purpose` begins its sentence, `instead` is the other way out.
    """

    def __init__(
        self, folder: Path, purpose: str, architecture: str, suite: str = "", deadline_s: float = 300,
        instead: str = "do without",
    ) -> None:  # fmt: skip
        self._folder = folder
        self._purpose = purpose
        self._instead = instead
        self._end = time.monotonic() + deadline_s
        for tool in ("apt-get", "apt-cache", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise ToolMissing(
                    f"{purpose} comes from Debian's packages, and this computer has no {tool}",
                    f"Use a Debian or Ubuntu, or {instead}.",
                )
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        settings = {
            "APT::Architecture": architecture, "APT::Architectures": architecture, "APT::Sandbox::User": "root",
            "Dir::State::lists": folder / "lists", "Dir::Cache": folder / "cache", "Dir::State::status": "/dev/null",
            "Acquire::Retries": 2, "Acquire::http::Timeout": 20, "Acquire::Languages": "none",
        }  # fmt: skip
        if suite:
            if not _KEYRING.exists():
                raise ToolMissing(
                    f"{purpose} comes from Debian's packages, and the keys that signed them are not here",
                    "Install them: apt-get install debian-archive-keyring",
                )
            sources = folder / "sources.list"
            suites = (f"{suite} main", f"{suite}-updates main")
            sources.write_text("".join(f"deb [signed-by={_KEYRING}] {_ADDRESS} {one}\n" for one in suites))
            settings |= {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "/dev/null"}
        self._options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        self._run(["apt-get", "-q", *self._options, "update"])

    def behind(self, name: str) -> str:
        """The package that a package without content stands for, e.g. the present kernel."""
        said = self._run(["apt-cache", *self._options, "depends", name])
        found = [row.split()[-1] for row in said.splitlines() if row.strip().startswith("Depends: ")]
        if not found:
            raise ToolMissing(f"{self._purpose}: Debian's {name} stands for nothing", "Report this.")
        return found[0]

    def unpack(self, names: Sequence[str], into: Path) -> str:
        """Fetch these packages and unpack them; returns their file names with the begin of their SHA-256."""
        self._run(["apt-get", "-q", *self._options, "download", *names])
        found = sorted(self._folder.glob("*.deb"))
        for package in found:
            self._run(["dpkg-deb", "-x", str(package), str(into)])
        return ", ".join(f"{package.name} {digest(package)[:12]}" for package in found).replace("%3a", ":")

    def _run(self, command: list[str]) -> str:
        left = self._end - time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=self._folder, capture_output=True, text=True, errors="replace", timeout=max(left, 0.1),
                check=False,
            )  # fmt: skip
            words = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            if done.returncode == 0:
                return done.stdout
        except subprocess.TimeoutExpired:
            words = "no end in time"
        raise ToolMissing(
            f"{self._purpose} cannot be had from Debian's packages: {command[0]} says {words[:200]}",
            f"Check the network and run the same command again, or {self._instead}.",
        )
