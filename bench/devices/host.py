"""This host as a machine that runs trials."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from bench.devices.transport import OUTPUT_MAX, PULL_MAX, Completed
from bench.errors import CorruptData, DeadlineExceeded, DeviceRefused, HostFull, RunnerFailed, TransportBroken
from bench.files import is_full, ordinary

DESKTOP = "desktop"
_PIECE = 1 << 20
"""Characters of a line that are read at once; a longer line comes in pieces."""


class HostTransport:
    """Runs commands as child processes. `root` is the folder that stands for the phone's bench folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._at_work: set[int] = set()
        """Leaders of process groups."""
        root.mkdir(parents=True, exist_ok=True)

    @property
    def serial(self) -> str:
        return DESKTOP

    @property
    def folder(self) -> str:
        return str(self._root)

    def run(self, argv: Sequence[str], *, deadline_s: float, on_line: Callable[[str], None] | None = None) -> Completed:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            return Completed(126 if isinstance(error, PermissionError) else 127, "", f"{argv[0]}: {error.strerror}\n")
        self._at_work.add(process.pid)
        late = threading.Event()

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        watchdog = threading.Timer(deadline_s, end)
        watchdog.start()
        stderr: list[str] = []
        assert process.stdout
        assert process.stderr
        reader = threading.Thread(target=_keep_most, args=(process.stderr, stderr))
        reader.start()
        try:
            lines = []
            room = OUTPUT_MAX
            while line := process.stdout.readline(_PIECE):
                room -= len(line)
                if room < 0:
                    raise RunnerFailed(
                        f"{Path(argv[0]).name} printed more than {OUTPUT_MAX >> 20} MiB on this host and was stopped"
                    )
                lines.append(line)
                if on_line:
                    on_line(line.rstrip("\n"))
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            self._at_work.discard(process.pid)
            watchdog.cancel()
            reader.join()
            process.stdout.close()
            process.stderr.close()
        if late.is_set():
            raise DeadlineExceeded(
                f"{Path(argv[0]).name} did not end within {deadline_s:g} s on this host and was killed",
                "Raise protocol.deadline_seconds in the plan, or choose a smaller input.",
            )
        return Completed(status if status >= 0 else 128 - status, "".join(lines), "".join(stderr))

    def push(self, local: Path, remote: str, *, deadline_s: float) -> None:
        try:
            shutil.copyfile(local, remote)
        except OSError as error:
            if is_full(error):
                raise HostFull.at(remote) from error
            raise DeviceRefused(
                f"cannot copy {local.name} to {remote}: {error.strerror}", "Look at that folder."
            ) from error

    def pull(self, remote: str, local: Path, *, deadline_s: float, most: int = PULL_MAX) -> None:
        try:
            if ordinary(Path(remote)).st_size > most:
                raise CorruptData(f"{remote} has more than the {most:,} bytes that are due")
            shutil.copyfile(remote, local)
        except OSError as error:
            raise TransportBroken(f"cannot copy {remote} to {local}: {error.strerror}") from error

    def revive(self) -> None:
        pass

    def end(self) -> None:
        """Kill all commands that run, with what they started."""
        for leader in tuple(self._at_work):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(leader, signal.SIGKILL)


def _keep_most(stream: TextIO, kept: list[str]) -> None:
    """Read to the end, so that the writer never waits; what is beyond OUTPUT_MAX is dropped."""
    room = OUTPUT_MAX
    while text := stream.read(_PIECE):
        if room > 0:
            kept.append(text[:room])
        room -= len(text)
