"""One network converted for one runtime and run here, in a process of its own: a converter may crash or hang.

`python -m bench.campaign.cell FOLDER` reads FOLDER/asked.json, writes what it is doing to FOLDER/stage, and FOLDER/
cell.json at the end. `bench.campaign.converting` starts it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import networks, runtimes
from bench.cache import Cache, content_key, sha256_file
from bench.conversion import DENIES, Cell, Stage, Trouble
from bench.errors import BenchError, UsageError
from bench.files import replace
from bench.measure import station, trial
from bench.networks import content
from bench.networks.network import Network
from bench.records import Artifact, ArtifactFile, Tensor
from bench.runtimes.runtime import Shown

if TYPE_CHECKING:
    from bench.export.answers import Answers
    from bench.runtimes.runtime import Runtime

PROVED = 2
"""Samples that the proof sees."""
FRESH = 2
"""Samples that it does not."""
SEARCHED = ("wrong numbers", "exporter crashed", "exporter refused", "does not run")
"""Kinds of trouble of which the operator is looked for, where nobody names it."""
_SEED = 7
Arrays = tuple[NDArray[np.generic], ...]


@dataclass(frozen=True)
class Asked:
    """A network as `bench.networks.resolve` takes it. `label` names it; `runnable` says whether the runtime's program
    is here."""

    label: str
    reference: str
    runtime: str
    arguments: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    inputs: str | None = None
    input_size: tuple[int, int] | None = None
    runnable: bool = True

    def network(self) -> Network:
        """Raises what `resolve` raises."""
        return networks.resolve(
            self.reference,
            arguments=self.arguments,
            weights=Path(self.weights) if self.weights else None,
            inputs=networks.parse_inputs(self.inputs) if self.inputs else None,
            input_size=self.input_size,
        )


def main(folder: Path) -> None:
    """Do what FOLDER/asked.json asks. Whatever goes wrong becomes the trouble of the cell."""
    told = json.loads((folder / "asked.json").read_bytes())
    asked = Asked(**told | {"input_size": tuple(told["input_size"]) if told["input_size"] else None})
    work = _Work(asked, folder)
    try:
        work.do()
    except Exception as error:  # of any kind: converters raise what they like
        work.failed(error)
    work.write()


class _Work:
    def __init__(self, asked: Asked, folder: Path) -> None:
        self.asked = asked
        self.folder = folder
        self.cell = Cell(network=asked.label, runtime=asked.runtime)
        self.stage: Stage = "build"
        self.network: Network | None = None

    def write(self) -> None:
        replace(self.folder / "cell.json", self.cell.model_dump_json().encode())

    def learnt(self, **known: Any) -> None:
        self.cell = self.cell.model_copy(update=known)

    def at(self, stage: Stage) -> None:
        self.stage = stage
        replace(self.folder / "stage", stage.encode())

    def failed(self, error: Exception) -> None:
        """What it was, first without the lines of an operator, since looking for them may fail as well."""
        from bench.export.diagnosis import diagnosed

        not_so = {DENIES[self.stage]: False} if self.stage in DENIES else {}
        self.learnt(trouble=diagnosed(error, self.stage), **not_so)
        self.write()
        trouble = diagnosed(error, self.stage, self._lines)
        self.learnt(trouble=trouble)
        if trouble.kind in SEARCHED and not trouble.places:
            self.write()
            with suppress(Exception):  # what cannot be looked into keeps its words
                self.learnt(trouble=self._located(trouble))

    def _located(self, trouble: Trouble) -> Trouble:
        """The trouble with the operator that it begins with, where one is found."""
        from bench.export import diagnosis
        from bench.export.prefix import culprit

        network, runtime = self.network, runtimes.runtime(self.asked.runtime)
        if network is None or network.graph is not None:
            return trouble
        seen, _ = shown(network)

        def fails(part: Any) -> bool:
            tried = _Work(self.asked, self.folder / "part")
            tried.folder.mkdir()
            try:
                tried.do_with(runtime, replaced(network, build=lambda: part), seen, seen)
            except Exception as error:
                return diagnosis.diagnosed(error, tried.stage).kind == trouble.kind
            finally:
                shutil.rmtree(tried.folder)
            return False

        with one_thread():
            found = culprit(network.build(), network.inputs, fails)
        if found is None:
            return trouble
        fix = diagnosis.advice(found.name) or trouble.fix
        return trouble.model_copy(
            update={"operator": found.name, "places": (found.line,) if found.line else (), "fix": fix}
        )

    def _lines(self, operator: str) -> Sequence[str]:
        from bench.export import layout

        with suppress(Exception):  # what it refuses has no lines
            assert self.network is not None
            return layout.lines_of(layout.recorded(self.network.build(), self.network.inputs), operator)
        return ()

    def do(self) -> None:
        self.at("build")
        runtime = runtimes.runtime(self.asked.runtime)
        network = self.network = self.asked.network()
        self.learnt(key=key_of(network))
        seen, fresh = shown(network)
        with one_thread():
            self.do_with(runtime, network, seen, fresh)

    def do_with(self, runtime: Runtime, network: Network, seen: Arrays, fresh: Arrays) -> None:
        """Convert it, run it, and compare its answers to both. Raises whatever goes wrong, at `stage`."""
        self.at("answer")
        expected, wanted = _answers(network, runtime, seen), _answers(network, runtime, fresh)
        self.at("convert")
        out = self.folder / "files"
        out.mkdir()
        files, outputs = _converted(runtime, network, seen, expected, out)
        deployed = sum(file.bytes for file in files if file.role in runtime.deployed)
        self.learnt(converts=True, bytes=deployed)
        if not self.asked.runnable or "desktop" not in runtime.places:
            return
        self.at("start")
        artifact = Artifact(
            model=self.asked.label, variant="baseline", runtime=runtime.name, ordinary=True, files=files,
            deployed=runtime.deployed, inputs=network.inputs, outputs=outputs, task="other",
        )  # fmt: skip
        here = station.desktop((runtime.name,), Cache(), lambda part, words: None)
        try:
            self.at("run")
            found, later = (self._ran(here, artifact, each) for each in (seen, fresh))
        finally:
            station.leave(here)
        self.learnt(runs=True)
        if expected is None or wanted is None:
            return  # a ready graph that no other program understands
        self.at("compare")
        self._compare(runtime, expected, found)
        self._compare(runtime, wanted, later)
        self.learnt(equal=True)

    def _compare(self, runtime: Runtime, wanted: Answers, found: tuple[NDArray[np.float32], ...]) -> None:
        from bench.export import proof

        if [one.size for one in found] == [one.size for one in wanted.values]:
            self.learnt(apart=apart(found, wanted.values), samples=len(found[0]))
        proof.compare(wanted, found, runtime.title)

    def _ran(self, here: station.Station, artifact: Artifact, samples: Arrays) -> tuple[NDArray[np.float32], ...]:
        from bench.data import packed

        path = self.folder / "samples.bin"
        packed.write(path, samples)
        file = ArtifactFile(role="samples", path=path, sha256=sha256_file(path), bytes=path.stat().st_size)
        return trial.answered(here, artifact, file, len(samples[0]))


def one_thread() -> Any:
    from bench.prepare.variant import one_thread

    return one_thread()


def key_of(network: Network) -> str:
    """Changes with the network and its inputs."""
    return content_key(network.name, repr(network.inputs), *network.sources)


def shown(network: Network) -> tuple[Arrays, Arrays]:
    """Samples for the proof, and others. Of the network's own kind where there are enough, else random ones."""
    from bench import data

    count = PROVED + FRESH
    found = data.samples(network.inputs, kind=network.data, preprocess=network.preprocess, count=count, seed=_SEED)
    if len(found) < count:
        found = data.samples(network.inputs, preprocess=network.preprocess, count=count, seed=_SEED)
    return tuple(each[:PROVED] for each in found.inputs), tuple(each[PROVED:count] for each in found.inputs)


def apart(found: Sequence[NDArray[np.floating[Any]]], wanted: Sequence[NDArray[np.floating[Any]]]) -> float:
    """The largest difference as a part of the largest |value| of its output, the worst of all outputs."""
    pairs = zip(found, wanted, strict=True)
    worst = [
        float(np.abs(a.reshape(b.shape).astype(np.float64) - b).max() / max(float(np.abs(b).max()), 1e-30))
        for a, b in pairs
    ]
    return max((min(one, 1e30) if one == one else 1e30 for one in worst), default=0.0)


def _answers(network: Network, runtime: Runtime, samples: Arrays) -> Answers | None:
    """What the eager network answers; an ONNX file by ONNX's own evaluator. None for a graph of one runtime."""
    from bench.export import eager, given

    if network.graph is None:
        return eager.answers(network.build(), samples)
    return given.onnx_answers(network.graph, samples) if content.kind(network.graph) == "onnx" else None


def _converted(
    runtime: Runtime, network: Network, samples: Arrays, expected: Answers | None, folder: Path
) -> tuple[tuple[ArtifactFile, ...], tuple[Tensor, ...]]:
    """The files, their paths whole, and the outputs."""
    if network.graph is not None:
        kind = content.kind(network.graph)
        if kind not in runtime.graphs:
            raise UsageError(
                f"{network.graph.name} is a ready graph ({kind}), of which {runtime.title} takes none",
                f"Name the PyTorch network that it was made of{', or use another runtime' if runtime.graphs else ''}.",
            )
        files, names = runtime.export_given(network.graph, network.inputs, folder)
        outputs = expected.outputs if expected else tuple(Tensor(name=name, shape=(0,)) for name in names)
    else:
        assert expected is not None
        files = runtime.export(network.build(), network.inputs, Shown(samples, expected), folder)
        outputs = expected.outputs
    return tuple(file.model_copy(update={"path": folder / file.path}) for file in files), outputs


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except BenchError as error:  # its own folder is gone or full
        sys.exit(f"{error}")
