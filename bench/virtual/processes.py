"""The phone's processes: started for shells, reaped whoever started them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _children(pid: int) -> list[int]:
    """PIDs of a process's children, by all its threads. Raises OSError."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


class Processes:
    """Starts programs, each in a session of its own, and tells how they ended.

    Orphans become this process's children, as the first one of its PID namespace or by request: every child is reaped
    here, not only those that were started here.
    """

    def __init__(self, shell: bytes, environment: Mapping[str, str], folder: str) -> None:
        self._shell = shell
        self._environment = environment
        self._folder = folder
        try:
            self._own_mark = Path("/proc/self/oom_score_adj").read_bytes()
            self._mark: int | None = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:  # not Linux
            self._mark = None
        self._running: dict[int, tuple[subprocess.Popen[bytes], asyncio.Future[int]]] = {}

    def attach(self) -> None:
        """Begin to reap. Call inside the running event loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def start(
        self, arguments: list[bytes], descriptors: tuple[int, int, int], terminal: str | None
    ) -> tuple[int, asyncio.Future[int]]:
        """Run the shell with `arguments`; returns its PID and, later, its exit status (128 + signal when killed).

        `terminal` is the value of TERM when the descriptors are a PTY, which then becomes the controlling one.
        Raises OSError.
        """
        environment = {**self._environment, "TERM": terminal or "dumb"}
        stdin, stdout, stderr = descriptors
        with self._first_to_die():
            process = subprocess.Popen(
                [self._shell, *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=_take_terminal if terminal else None,
            )
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._running[process.pid] = process, ended
        return process.pid, ended

    @contextlib.contextmanager
    def _first_to_die(self) -> Iterator[None]:
        """When the phone runs out of memory its programs die, never the daemon that would have to tell of it. A child
        inherits the mark from its first moment; a mark that came later would miss what the shell had started."""
        if self._mark is None:
            yield
            return
        os.pwrite(self._mark, b"1000", 0)
        try:
            yield
        finally:
            os.pwrite(self._mark, self._own_mark, 0)

    def hang_up(self, pid: int) -> None:
        """SIGHUP to a shell alone, as Android's daemon does: what it started may live on."""
        if pid in self._running:
            os.kill(pid, signal.SIGHUP)

    def pids(self) -> Iterator[int]:
        """Every process of the phone: what this process started, and what that started. Only the shells themselves
        where the kernel does not list children."""
        waiting = list(self._running)
        seen: set[int] = set()
        with contextlib.suppress(OSError):
            waiting += _children(os.getpid())
        while waiting:
            pid = waiting.pop()
            if pid not in seen:
                seen.add(pid)
                yield pid
                with contextlib.suppress(OSError):
                    waiting += _children(pid)

    def kill_all(self) -> None:
        """End every process of the phone at once."""
        for pid in list(self.pids()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            known = self._running.pop(pid, None)
            if known:
                process, ended = known
                code = os.waitstatus_to_exitcode(status)
                process.returncode = code
                if not ended.done():
                    ended.set_result(code if code >= 0 else 128 - code)
