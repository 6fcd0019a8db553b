"""`bench explain`: how each layer of a network in a `.frq` package runs, and why."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench import networks
from bench.cache import Cache
from bench.errors import UsageError
from bench.prepare.samples import samples
from bench.prepare.variant import one_thread
from bench.records import Progress
from bench.width import AUTO, Width, is_whole

if TYPE_CHECKING:
    from bench.export.explanation import Explained


class Explanation(NamedTuple):
    """Every layer with a weight, and what was asked for and done about the width, where one was asked for."""

    layers: tuple[Explained, ...]
    width: str | None


def explained(
    path: Path, model: str | None, input_size: tuple[int, int] | None, progress: Progress, width: Width | None = None
) -> Explanation:
    """How each layer of the network in a package runs in the form of least cost, and why, at a size of its input in
    pixels, and computed at a width; for `auto` that is found on the network's own samples. The width of a package in
    several capacities is one of these, without one the largest.

    `model` names the network that the package was made of where it is not one of bench's. Raises UsageError,
    UnknownName, CorruptData (the package), ToolMissing, ExportRefused.
    """
    from bench.compress.frequency import package, widths
    from bench.compress.frequency.method import METHOD
    from bench.compress.frequency.nested import METHOD as NESTED
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
    content, capacity = given.read_bytes(), None
    if package.read(content).capacities > 1:
        (content, capacity), width = NESTED.by_itself(content, width), None
    progress(0.1, "export")
    with tempfile.TemporaryDirectory() as folder, one_thread():
        module = METHOD.compressed(found, content)
        frequency.export_fr(found.name, module, found.inputs, Path(folder))
        progress(0.9, "compare costs")
        exported = frequency.read(Path(folder))
        if width is None or is_whole(width):
            return Explanation(explain(exported, found.inputs), capacity)
        question = widths.Question(exported, found.inputs, "cheapest")
        if width == AUTO:
            made = widths.automatic(question, module, samples(found, None, Cache()).read())
        else:
            made = widths.chosen(question, width)
        return Explanation(explain(exported, found.inputs, made.rewritten), made.told)
