"""`bench explain`: how each layer of a network in a `.frq` package runs, and why."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import networks
from bench.errors import UsageError
from bench.prepare.variant import one_thread
from bench.records import Progress

if TYPE_CHECKING:
    from bench.export.explanation import Explained


def explained(
    path: Path, model: str | None, input_size: tuple[int, int] | None, progress: Progress
) -> tuple[Explained, ...]:
    """How each layer of the network in a package runs in the form of least cost, and why, at a height and width.

    `model` names the network that the package was made of where it is not one of bench's. Raises UsageError,
    UnknownName, CorruptData (the package), ToolMissing, ExportRefused.
    """
    from bench.compress.frequency.method import METHOD
    from bench.export import frequency
    from bench.export.explanation import explain

    found = networks.resolve(model or str(path), weights=path if model else None, input_size=input_size)
    given = found.package_for(None)
    if given is None:
        raise UsageError(f"{path} is not a .frq package", "Name a file that `bench compress` wrote.")
    shape = found.shape
    if len(shape) != 3:
        raise UsageError(
            f"{found.name} does not take an image, and costs are computed for images only", "Measure it instead."
        )
    progress(0.1, "export")
    with tempfile.TemporaryDirectory() as folder, one_thread():
        module = METHOD.compressed(found, given.read_bytes())
        frequency.export_fr(found.name, module, found.inputs, Path(folder))
        progress(0.9, "compare costs")
        return explain(frequency.read(Path(folder)), found.inputs)
