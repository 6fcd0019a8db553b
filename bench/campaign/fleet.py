"""Several past runs, named as `bench compare` takes them, to figures beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bench.analyse.fleet import SHOWN, Run, fleet
from bench.analyse.series import series
from bench.campaign import past
from bench.campaign.compared import noises
from bench.devices.host import DESKTOP
from bench.errors import UsageError
from bench.fleet import Standing
from bench.results.folder import RunFolder
from bench.results.history import History


def single(reference: str, history: History, results: Path) -> RunFolder | None:
    """The folder of the one run that a reference stands for; None where it stands for several, for a part of one, or
    for one whose folder is gone. Raises UnknownName, CorruptData."""
    for path in (Path(reference), results / reference):
        if (path / "run.json").is_file() or (reference and path.is_dir()):
            return RunFolder(path)
    side = past.side(reference, history, results, SHOWN)
    folders = pc.unique(side.table["folder"]).to_pylist()
    if side.variant is not None or side.device is not None or len(folders) != 1:
        return None
    folder = Path(folders[0])
    return RunFolder(folder) if (folder / "run.json").is_file() else None


def gathered(references: Sequence[str], history: History, results: Path) -> tuple[Standing, ...]:
    """What these references stand for, beside each other. This host is left out of a run that has a phone, unless it is
    named. Raises UnknownName, CorruptData, and UsageError where nothing was measured."""
    sides = [past.side(reference, history, results, SHOWN) for reference in references]
    runs = [run for side in sides for run in _runs(side)]
    devices = {one.subject.device for run in runs for one in run.series}
    found = fleet(runs, noises(history, devices, [side.table for side in sides]))
    if not found:
        raise UsageError("these runs measured nothing that could stand side by side", "Look at each: bench report RUN.")
    return found


def _runs(side: past.Side) -> Iterator[Run]:
    """The runs of a reference, the oldest first; what the reference is limited to has been chosen."""
    for key in pc.unique(side.table["key"]).to_pylist():
        table = side.table.filter(pc.equal(side.table["key"], key))
        row = table.slice(0, 1).to_pylist()[0]
        started = row["started"].isoformat(timespec="seconds")
        yield Run(Path(row["folder"]).name, started, row["commit"], list(series(_phones(table).to_pylist())))


def _phones(table: pa.Table) -> pa.Table:
    phones = table.filter(pc.not_equal(table["device"], DESKTOP))
    return phones if phones.num_rows else table
