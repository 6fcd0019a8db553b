"""The matrix of networks and runtimes: each cell in a process of its own, with a deadline."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

import bench
from bench import runtimes
from bench.cache import Cache
from bench.campaign.cell import Asked
from bench.conversion import DENIES, STAGES, Cell, Stage, Trouble
from bench.errors import BenchError, ToolMissing
from bench.measure import station
from bench.records import Progress
from bench.results.conversions import Conversions

DEADLINE_S = 900.0
_MOST_WORDS = 4096


def exporting() -> tuple[str, ...]:
    """Names of the runtimes that load and compute on CPUs; those of installed packages that do not load are left out.
    On a GPU the files are the same as on the CPU, so one is tried where it is named."""
    found = []
    for name in runtimes.RUNTIMES.names():
        with contextlib.suppress(ToolMissing):
            if not runtimes.on_gpu(name):
                found.append(name)
    return tuple(found)


def matrix(
    networks: Sequence[Asked], names: Sequence[str], kept: Conversions | None, say: Callable[[str], Progress],
    deadline_s: float = DEADLINE_S, on_cell: Callable[[Cell], None] = lambda cell: None,
) -> tuple[Cell, ...]:  # fmt: skip
    """Each of the networks for each of the runtimes, whatever their `runtime` says, in that order. What is found is
    kept at once. `say` begins a stage.

    Raises UnknownName for a runtime, and UsageError where nothing can be kept.
    """
    lacking = dict(_lacking(names, say))
    cells = []
    for number, network in enumerate(networks):
        for name in names:
            asked = dataclasses.replace(network, runtime=name, runnable=name not in lacking)
            progress = say(f"convert {asked.label} for {name} ({number + 1} of {len(networks)})")
            cell = _told(converted(asked, deadline_s), lacking.get(name))
            progress(1.0, cell.trouble.kind if cell.trouble else "equal")
            if kept is not None:
                kept.add([cell])
            on_cell(cell)
            cells.append(cell)
    return tuple(cells)


def converted(asked: Asked, deadline_s: float) -> Cell:
    """One cell, whatever becomes of the process that works on it."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-cell-") as name:
        folder = Path(name)
        (folder / "asked.json").write_text(json.dumps(dataclasses.asdict(asked)), encoding="utf-8")
        before = _starved()
        status, late = _ended(folder, deadline_s)
        cell = _read(folder, asked)
        if cell is None or (late and cell.trouble is None and not cell.equal):
            after = _starved()
            starved = after > before if after is not None and before is not None else None
            cell = _unfinished(asked, folder, status, deadline_s if late else None, starved)
    return cell.model_copy(
        update={
            "seconds": round(time.monotonic() - begun, 2),
            "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "bench": bench.__version__,
        }
    )


def _ended(folder: Path, deadline_s: float) -> tuple[int, bool]:
    """The status that the worker left with, and whether its deadline had come. Nothing that it started goes on."""
    command = [sys.executable, "-m", "bench.campaign.cell", str(folder)]
    with (folder / "said").open("wb") as said:
        worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
            env=os.environ | {"TMPDIR": str(folder)},
        )  # fmt: skip
        try:
            return worker.wait(deadline_s), False
        except subprocess.TimeoutExpired:
            return 0, True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            shutil.rmtree(Cache().root / "host" / str(worker.pid), ignore_errors=True)


def _read(folder: Path, asked: Asked) -> Cell | None:
    try:
        return Cell.model_validate_json((folder / "cell.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _starved() -> int | None:
    """How many processes the system has ended because memory ended, by the kernel's count; None where it keeps none."""
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(encoding="ascii"), re.MULTILINE)
    except (OSError, ValueError):
        return None
    return int(found[1]) if found else None


def _unfinished(asked: Asked, folder: Path, status: int, deadline_s: float | None, starved: bool | None) -> Cell:
    from bench.export.diagnosis import of_ending

    words = ""
    with contextlib.suppress(OSError):
        words = (folder / "stage").read_text(encoding="utf-8")
    stage: Stage = next((one for one in STAGES if one == words), "build")
    said = (folder / "said").read_bytes()[-_MOST_WORDS:].decode(errors="replace")
    past = {name: STAGES.index(stage) > STAGES.index(end) for name, end in (("converts", "convert"), ("runs", "run"))}
    state = {name: True for name, done in past.items() if done}
    state |= {DENIES[stage]: False} if stage in DENIES else {}
    trouble = of_ending(stage, status, said, deadline_s, starved=starved)
    return Cell(network=asked.label, runtime=asked.runtime, trouble=trouble, **state)


def _lacking(names: Iterable[str], say: Callable[[str], Progress]) -> Iterator[tuple[str, BenchError]]:
    """The runtimes whose program is not to be had here, with the reason; the others' programs are made ready."""
    for name in names:
        if "desktop" not in runtimes.runtime(name).places:
            continue
        try:
            station.leave(station.desktop((name,), Cache(), say(f"{runtimes.runtime(name).title} for this computer")))
        except BenchError as error:
            yield name, error


def _told(cell: Cell, lacking: BenchError | None) -> Cell:
    """A cell that is good as far as it could be looked at says why that was not all."""
    if lacking is None or cell.trouble is not None:
        return cell
    from bench.export.diagnosis import diagnosed

    trouble: Trouble = diagnosed(lacking, "start")
    kind = trouble.kind if trouble.kind in ("not installed", "not here") else "not here"
    return cell.model_copy(update={"trouble": trouble.model_copy(update={"kind": kind})})
