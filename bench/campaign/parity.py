"""The first stage that differs between a desktop and a device: the story of `bench parity`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.analyse import ladder
from bench.analyse.ladder import Rung
from bench.analyse.modules import Modules
from bench.cache import Cache, sha256_file
from bench.campaign.asked import Asked
from bench.campaign.measuring import Watcher
from bench.campaign.phones import LOCKS
from bench.devices import hold
from bench.devices.transport import Transport
from bench.errors import CorruptData, RunnerFailed, UsageError
from bench.layered import LayerTime
from bench.measure import layers, station, trial
from bench.measure.stages import Stages, stages
from bench.measure.station import Station
from bench.prepare.looked import Looked, looked
from bench.preprocess import Preprocess
from bench.records import Artifact, ArtifactFile

_NO_NAME = "-"
"""What bench's exporters call every layer; its output has a name."""
_NOT_COMPUTED = ("Input", "Split")
"""Types of layers of ncnn that hand on what they get."""
_BAD_SAMPLES, _UNSUPPORTED = 6, 8
"""Exit statuses of the runner (contract.h): for a damaged picture, and for what it does not do."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is compared: one picture, one network in one form, and what stands on the device instead, where that is
    somebody else's (`app_files`, `app_preprocess`)."""

    asked: Asked
    picture: Path
    app_files: Path | None = None
    app_preprocess: Preprocess | None = None


@dataclass(frozen=True)
class Parity:
    """The ladder of a device (`rungs`) and that of the export (`modules`: eager modules against the exported graph on
    the desktop). `cause` says of the first rung that differs what it is due to, as far as that can be told."""

    model: str
    variant: str
    runtime: str
    device: str
    virtual: bool
    picture: str
    rungs: tuple[Rung, ...]
    modules: tuple[Rung, ...] = ()
    cause: str = ""
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Rung | None:
        """The first that differs: of the device's ladder, else of the export's."""
        for rungs in (self.rungs, self.modules):
            at = ladder.first(rungs)
            if at is not None:
                return rungs[at]
        return None

    @property
    def open(self) -> tuple[Rung, ...]:
        """What was asked for and could not be compared, of both ladders."""
        return ladder.opened((*self.rungs, *self.modules))

    @property
    def equal(self) -> bool:
        """Whether all that was asked for was compared, and none of it differs."""
        return self.first is None and not self.open


@dataclass(eq=False)
class Scene:
    """All that a comparison needs, in place: both machines with their files, what the desktop computes. `theirs` is
    the artifact on the device, which is `ours` unless somebody else's files were given."""

    here: Station
    there: Station
    looked: Looked
    ours: Artifact
    theirs: Artifact
    picture: ArtifactFile
    preprocess: Preprocess
    """That of the device."""
    notes: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether both run the same program on the same processor, so that nothing may differ at all."""
        device = self.there.device
        same = self._program(self.here) == self._program(self.there)
        return same and device.virtual and not device.translated

    def _program(self, machine: Station) -> tuple[str, ...]:
        return tuple(file.sha256 for file in machine.programs[self.ours.runtime].files)


def parity(subject: Subject, phone: Transport, cache: Cache, watcher: Watcher) -> Parity:
    """Compare a picture's way through a network on this host and on `phone`.

    Raises UsageError for a network that does not take one picture, CorruptData for a picture that this host cannot
    decode, and what a run raises until its first trial.
    """
    with set_up(subject, phone, cache, watcher) as scene:
        watcher.stage("compare")
        return compared(scene)


@contextlib.contextmanager
def set_up(subject: Subject, phone: Transport, cache: Cache, watcher: Watcher) -> Iterator[Scene]:
    """The scene, everything built and brought; left tidy at the end."""
    asked = subject.asked
    case = asked.plan.cases[0]
    variant = (case.variants or ())[0]
    name = asked.plan.runtimes_for(variant)[0]
    with hold.held(cache.root / LOCKS, [phone.serial]), contextlib.ExitStack() as leaving:
        seen = station.seen(phone, (name,))
        here = station.desktop((name,), cache, watcher.stage("build the native runner for this host"))
        leaving.callback(station.leave, here)
        there = station.phone(seen, (name,), cache, watcher.stage(f"build the native runner for {phone.serial}"))
        leaving.callback(station.leave, there)
        found = looked(asked, cache, name, partial(trial.answered, here), watcher.stage)
        theirs = _of_app(found.artifact, subject.app_files) if subject.app_files else found.artifact
        picture = _file(subject.picture, "picture")
        scene = Scene(here, there, found, found.artifact, theirs, picture, subject.app_preprocess or found.preprocess)
        _bring(scene, watcher)
        yield scene


def compared(scene: Scene) -> Parity:
    """Both machines asked, and what they computed compared. Raises RunnerFailed and what the transport raises."""
    try:
        return _compared(scene)
    except RunnerFailed as error:
        error.what = _with_names(scene, error.what)
        if scene.theirs is not scene.ours and not error.fix:
            error.fix = (
                "Look at the files of --app-files: they must belong together, and to this network, and be whole."
            )
        raise


def _compared(scene: Scene) -> Parity:
    damaged = station.damaged(scene.there, [scene.picture, *scene.theirs.needed])
    rungs: list[Rung] = [_file_rung("picture", scene.picture, scene.picture, damaged)]
    theirs_by_role = {one.role: one for one in scene.theirs.needed}
    rungs += [_file_rung(one.role, theirs_by_role[one.role], one, damaged) for one in scene.ours.needed]
    seen = _pictured(scene, rungs)
    modules = Modules(scene.looked.parts)
    layer_rungs, cause = _layers(scene, modules, damaged)
    rungs += layer_rungs
    if seen is not None:
        rungs += _answers(scene, seen, rungs)
    else:
        names = (name for tensor in scene.ours.outputs for name in (_own(tensor.name), _to_end(tensor.name)))
        rungs += [ladder.unreached("answer", name) for name in names]
    at = ladder.first(rungs)
    if at is not None and rungs[at].stage != "layer":
        cause = cause if rungs[at].stage == "file" else ""
    answers_differ = any(rung.differs for rung in rungs if rung.stage == "answer")
    return Parity(
        scene.ours.model, scene.ours.variant, scene.ours.runtime, scene.there.device.serial,
        scene.there.device.virtual, str(scene.picture.path), tuple(rungs),
        modules.rungs(answers_differ=answers_differ) if modules.best else (), cause, tuple(scene.notes),
    )  # fmt: skip


def _pictured(scene: Scene, rungs: list[Rung]) -> Stages | None:
    """The rungs from the picture to the input, those behind it open where the device made nothing of the picture; then
    None."""
    desktop = scene.looked
    try:
        seen = stages(scene.there, scene.theirs, scene.picture, scene.preprocess)
    except RunnerFailed as error:
        if error.left not in (_BAD_SAMPLES, _UNSUPPORTED):
            raise
        refused = error.left == _UNSUPPORTED
        rungs.append(
            Rung("pixels", "decoded", None if refused else True, remark=_with_names(scene, error.what), open=refused)
        )
        rungs.append(ladder.unreached("resized", desktop.preprocess.text))
        rungs.append(ladder.unreached("input", "normalised"))
        return None
    rungs[0] = ladder.file("picture", seen.sha256, scene.picture.sha256)
    shape = scene.ours.inputs[0].shape
    rungs.append(ladder.pixels(seen.pixels, desktop.pixels, lossy=desktop.lossy))
    rungs.append(ladder.resized(seen.resized, seen.pixels, desktop.preprocess, shape))
    rungs.append(ladder.normalised(seen.input, seen.resized, desktop.preprocess))
    return seen


def _layers(scene: Scene, modules: Modules, damaged: frozenset[str]) -> tuple[list[Rung], str]:
    """A rung for each output of each layer, both machines given the desktop's input; and what the first that differs is
    due to. The desktop's are shown to `modules` as well."""
    samples = scene.looked.samples
    foreign = scene.theirs is not scene.ours
    named = Modules(scene.looked.parts) if foreign else modules
    rungs: list[Rung] = []
    blobs: list[str] = []
    cause = ""
    try:
        wanted = layers.answered(scene.here, scene.ours, samples)
        found = layers.answered(scene.there, scene.theirs, samples)
        theirs = layers.answered(scene.here, scene.theirs, samples) if foreign else None
        ours: dict[str, NDArray[np.float32]] = {}
        given: set[str] = set()
        for layer, values in wanted:
            for blob, value in zip(layer.outputs, values, strict=True):
                ours[blob.name] = value
                given |= {blob.name} if layer.type in _NOT_COMPUTED else set()
                named.look(blob.name, value)
        unknown: list[str] = []
        for layer, values in found:
            again = _by_name(next(theirs, None)) if theirs is not None else _by_name((layer, values))
            for blob, value in zip(layer.outputs, values, strict=True):
                here = again.get(blob.name)
                if foreign and here is not None:
                    modules.look(blob.name, here)
                if layer.type in _NOT_COMPUTED:
                    ours.pop(blob.name, None)
                    continue
                if blob.name not in ours:
                    unknown.append(blob.name)
                    continue
                name = blob.name if layer.name == _NO_NAME else layer.name
                rung = ladder.layer(name, layer.type, value, ours.pop(blob.name), exact=scene.exact)
                if rung.differs and not cause:
                    cause = _cause(scene, value, here, layer.name, damaged)
                rungs.append(rung)
                blobs.append(blob.name)
        rungs += _unpaired(unknown, [name for name in ours if name not in given])
    except RunnerFailed as error:
        if error.left != _UNSUPPORTED:
            raise
        rungs.append(
            ladder.unreached("layer", "the layers behind" if rungs else "every layer", _with_names(scene, error.what))
        )
    names = named.names()
    called = [names.get(blob, "") for blob in blobs] + [""] * (len(rungs) - len(blobs))
    return [replace(rung, module=name) for rung, name in zip(rungs, called, strict=True)], cause


def _with_names(scene: Scene, what: str) -> str:
    """What a runner said, with the names that files have here for those that they have where it runs."""
    for machine in (scene.there, scene.here):
        for one in (scene.picture, scene.looked.samples, *scene.theirs.needed, *scene.ours.needed):
            if where := machine.where.get(one.sha256):
                what = what.replace(where, str(one.path))
    return what


def _by_name(layer: tuple[LayerTime, tuple[NDArray[np.float32], ...]] | None) -> dict[str, NDArray[np.float32]]:
    """The values of a layer's outputs by their names."""
    return {blob.name: value for blob, value in zip(layer[0].outputs, layer[1], strict=True)} if layer else {}


def _unpaired(theirs: Sequence[str], ours: Sequence[str]) -> Iterator[Rung]:
    """The outputs of layers that one side alone has."""
    for names, where, other in ((theirs, "the device", "this computer"), (ours, "this computer", "the device")):
        if names:
            title = f"{len(names):,} output{'s' * (len(names) > 1)} on {where} alone"
            yield ladder.unreached("layer", title, f"the graph on {other} has none of such a name")


def _cause(
    scene: Scene, value: NDArray[Any], again: NDArray[Any] | None, layer: str, damaged: frozenset[str]
) -> str:  # fmt: skip
    if scene.theirs is not scene.ours:
        if again is None:
            return ""
        same = not ladder.layer(layer, "", value, again, exact=scene.exact).differs
        return (
            "the files given: this computer computes the same from them"
            if same
            else "the device: from the same files this computer computes something else"
        )
    if damaged & {one.sha256 for one in scene.ours.needed}:
        return "a file on the device that is not what was brought there"
    return "how the device computes: its files are those that were brought there"


def _answers(scene: Scene, seen: Stages, rungs: Sequence[Rung]) -> list[Rung]:
    """What the device answers to its own input, against what this host does; and end to end, against torch."""
    made = []
    from bench.data import packed

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "samples.bin")
        packed.write(path, [seen.input[None]])
        again = trial.answered(scene.here, scene.ours, _file(path, "samples"), 1)
    for tensor, found, wanted in zip(scene.ours.outputs, seen.answers, again, strict=True):
        made.append(ladder.answer(_own(tensor.name), found, wanted[0], exact=scene.exact))
    excused = any(rung.stage == "pixels" and rung.delta and not rung.differs for rung in rungs)
    for number, (tensor, found) in enumerate(zip(scene.ours.outputs, seen.answers, strict=True)):
        wanted = scene.looked.expected.values[number]
        doubts = scene.looked.expected.doubts
        limit = ladder.answer_limit(wanted, doubts[number] if doubts else None)
        rung = ladder.compared("answer", _to_end(tensor.name), found, wanted[0], limit)
        if scene.ours.task == "classification" and found.ndim == 1 and found.size > 1:
            ours, theirs = int(wanted[0].argmax()), int(found.argmax())
            words = f"class {ours} on both" if ours == theirs else f"class {theirs}, and not {ours}"
            rung = replace(rung, remark=words)
        if rung.differs and excused:
            told = "of pixels that were decoded a little otherwise"
            # What the device's own input gives is held to this computer's above; here it is shown.
            rung = replace(rung, differs=None, remark=f"{rung.remark}; {told}" if rung.remark else told)
        made.append(rung)
    return made


def _own(output: str) -> str:
    return f"{output} to its own input"


def _to_end(output: str) -> str:
    return f"{output} end to end, against torch"


def _file_rung(role: str, there: ArtifactFile, here: ArtifactFile, damaged: frozenset[str]) -> Rung:
    if there.sha256 in damaged:
        return Rung("file", role, True, remark="is not on the device as it was brought there")
    rung = ladder.file(role, there.sha256, here.sha256)
    # Somebody's own file is meant to be another; whether it computes the same is for the layers to say.
    return replace(rung, differs=None) if rung.differs else rung


def _bring(scene: Scene, watcher: Watcher) -> None:
    watcher.stage("deploy")
    files = [scene.picture, scene.looked.samples, *scene.theirs.needed]
    station.bring(scene.there, files, watcher.note)
    station.bring(scene.here, [*files, *scene.ours.needed], watcher.note)


def _of_app(ours: Artifact, folder: Path) -> Artifact:
    """The artifact with the files of a folder: of the same names, else the only ones of the same kind. Raises
    UsageError."""
    found = {}
    for one in ours.needed:
        same = folder / one.path.name
        kin = sorted(file for file in folder.glob(f"*{one.path.suffix}") if file.is_file()) if folder.is_dir() else []
        path = same if same.is_file() else kin[0] if len(kin) == 1 else None
        if path is None:
            raise UsageError(
                f"{folder} has no {one.path.name}, and not exactly one file *{one.path.suffix}",
                "Put the network's files as your app has them there.",
            )
        found[one.role] = _file(path, one.role)
    return ours.model_copy(update={"files": tuple(found.get(one.role, one) for one in ours.files)})


def _file(path: Path, role: str) -> ArtifactFile:
    try:
        return ArtifactFile(role=role, path=path.absolute(), sha256=sha256_file(path), bytes=path.stat().st_size)
    except OSError as error:
        raise CorruptData(f"{path} cannot be read: {error.strerror}", "Name another file.") from error
