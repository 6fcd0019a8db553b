"""One launch: a fresh process on some machine that is given a job file and prints JSON lines."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.devices.transport import Completed, Transport


def work_path(transport: Transport, name: str) -> str:
    """Where a launch may write a file of that name on its machine."""
    return f"{transport.folder}/work/{name}"


def launch(
    transport: Transport, program: Sequence[str], job: str, *, name: str, deadline_s: float,
    on_line: Callable[[str], None] | None = None,
) -> Completed:  # fmt: skip
    """Give `program` the job and wait for its end; each line that it prints is handed to `on_line` when it comes. What
    it leaves in the work folder stays until the run is over.

    Raises DeadlineExceeded, DeviceOffline, TransportBroken, DiskFull.
    """
    remote = work_path(transport, f"{name}.job")
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "job"
        local.write_text(job, encoding="utf-8")
        transport.push(local, remote, deadline_s=60)
    return transport.run([*program, remote], deadline_s=deadline_s, on_line=on_line)
