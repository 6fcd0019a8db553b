"""A file brought to a phone as the smallest of: itself, itself packed, or what became of it since the file there.

Whatever ends it half-way, the file that the phone had is there whole, or the new one is: what comes is written beside
it, its digest is read on the phone, and the last step is one rename.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import zstandard

from bench.cache import Cache
from bench.compress import packages
from bench.devices import facts, hashing, update
from bench.devices.deployment import Payload, deploy, found
from bench.devices.hashing import Hasher
from bench.devices.transport import Transport, free_bytes, transfer_s
from bench.devices.words import clean
from bench.errors import CorruptData, DeviceRefused, DiskFull, RunnerFailed, TransportBroken, UsageError
from bench.files import digest, read_bounded, reason
from bench.records import Progress
from bench.runtimes import runtime

MODELS = "models"
"""In bench's folder on the phone."""
_KEPT = "pushed"
_LEVEL, _WINDOW_LOG = 19, 27
_BLOCKS = 64 << 10
"""Bytes that a file system may take beyond those of the files."""
_DRAFTS = (".part", ".update")
"""Endings of what lies beside a file while it is made."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", re.ASCII)

Form = Literal["whole", "packed", "difference"]


class Offer(NamedTuple):
    """A way in which the file could come, and how many bytes that are."""

    form: Form
    bytes: int


@dataclass(frozen=True)
class Pushed:
    """What was done. `offers` are all that were compared; `form` is None where the phone had the file already. `sent`
    are the bytes of the file or its update; `runner` those of the native runner, where it had to come first. `zstd` is
    the file by zstd at level 19, and `zstd_from_old` the same with the old file as its dictionary (as `--patch-from`):
    what a phone with a decoder of zstd would get, for comparison. `old` is the digest of the file that was there."""

    device: str
    path: str
    sha256: str
    bytes: int
    old: str | None
    form: Form | None
    sent: int
    runner: int
    offers: tuple[Offer, ...]
    zstd: int
    zstd_from_old: int | None
    notes: tuple[str, ...] = ()


def push(transport: Transport, file: Path, name: str, old: Path | None, cache: Cache, progress: Progress) -> Pushed:
    """Bring `file` to the phone as `name`. What is there now can serve only where its content is known here: that of
    the file `old`, or of one that an earlier call brought.

    Raises UsageError (a file that is none, a name that is none), CorruptData (a damaged package), DiskFull,
    DeviceRefused, RunnerFailed, TransportBroken (it arrived damaged), WrongAbi and what the build of the runner raises.
    """
    if not _NAME.fullmatch(name) or name.endswith(_DRAFTS):
        raise UsageError(
            f"{clean(name)!r} cannot be a file's name on a phone",
            f"Name it by --name, with letters, digits and . _ + - alone, and not {' or '.join(_DRAFTS)} at the end.",
        )
    new = _read(file)
    _refuse_damaged(file, name, new)
    sha256 = digest(file)
    target = f"{transport.folder}/{MODELS}/{name}"
    transport.run(["mkdir", "-p", f"{transport.folder}/{MODELS}"], deadline_s=30)
    transport.run(
        ["rm", "-f", *(target + end for end in _DRAFTS)], deadline_s=30
    )  # of a call that was killed: they take room
    runner = _Runner(transport, cache, progress)
    hasher = runner.hasher()
    there = _digest_there(transport, hasher, target)
    notes: list[str] = []
    if there is not None and there == hasher.of(file):
        _keep(cache, file, sha256)
        whole = (Offer("whole", len(new)),)
        return Pushed(transport.serial, target, sha256, len(new), sha256, None, 0, runner.sent, whole, _zstd(new), None)
    before = _before(there, hasher, old, cache, notes)
    progress(0.3, "packs it")
    packed = update.smallest(new)
    apart = update.smallest(new, before) if before else None
    offers = [Offer("whole", len(new)), Offer("packed", len(packed))]
    offers += [Offer("difference", len(apart))] if apart is not None else []
    # A runner that is not there yet would have to come first, which is more than most updates save.
    own = runner.due() if min(offers, key=lambda offer: offer.bytes).form != "whole" else 0
    best = min(offers, key=lambda offer: offer.bytes + (own if offer.form != "whole" else 0))
    if own and best.form == "whole":
        notes.append(f"An update needs the native runner there, {own:,} bytes, which any `bench run` brings.")
    best = _fitting(transport, best, offers[0], own, notes)
    progress(0.6, f"brings {best.bytes:,} bytes")
    if best.form == "whole":
        _bring(transport, file, target, hasher.of(file), hasher)
    else:
        content = apart if best.form == "difference" and apart is not None else packed
        _update(transport, content, target, runner, there if best.form == "difference" else None)
        if _digest_there(transport, hasher, target) != hasher.of(file):
            raise TransportBroken(f"{name} is not what it should be on {transport.serial}", "Push it again.")
    _keep(cache, file, sha256)
    progress(1.0, "ready")
    from_old = _zstd(new, before) if before else None
    known = hashlib.sha256(before).hexdigest() if before else there if hasher.tool.algorithm == "sha256" else None
    return Pushed(
        transport.serial, target, sha256, len(new), known, best.form, best.bytes, runner.sent, tuple(offers),
        _zstd(new), from_old, tuple(notes),
    )  # fmt: skip


class _Hasher(NamedTuple):
    """How the phone hashes, and what it must say of a file here."""

    tool: Hasher

    def of(self, file: Path) -> str:
        return digest(file, self.tool.algorithm)


class _Runner:
    """The native runner on the phone, brought there when it is first needed."""

    def __init__(self, transport: Transport, cache: Cache, progress: Progress) -> None:
        self._transport, self._cache, self._progress = transport, cache, progress
        self._path: str | None = None
        self.sent = 0

    @cached_property
    def _payload(self) -> Payload:
        device = facts.phone(self._transport.serial, facts.probe(self._transport))
        at_hand = device.virtual is True and not device.translated
        program = runtime("ncnn").program(device.abis, at_hand, self._cache, self._progress)
        file = program.files[0]
        return Payload(file.path, file.sha256, file.bytes, executable=True)

    def due(self) -> int:
        """Bytes that have to come before it can be used."""
        missing = found(self._transport, [self._payload])
        return self._payload.bytes if missing.missing or missing.changed else 0

    def path(self) -> str:
        if self._path is None:
            self.sent = deploy(self._transport, [self._payload])
            self._path = self._payload.remote(self._transport.folder)
        return self._path

    def hasher(self) -> _Hasher:
        found = hashing.find(self._transport) or hashing.find(self._transport, [self.path()])
        if found is None:
            raise DeviceRefused(f"nothing on {self._transport.serial} hashes files", "Look at: bench doctor.")
        return _Hasher(found)


def _read(file: Path) -> bytes:
    try:
        content = read_bounded(file, update.MOST)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {reason(error)}", "Name a package, e.g. by bench compress.") from None
    if not content:
        raise UsageError(f"{file} is empty", "Name a package, e.g. by bench compress.")
    return content


def _digest_there(transport: Transport, hasher: _Hasher, target: str) -> str | None:
    return hasher.tool.digests(transport, [target]).get(target)


def _before(there: str | None, hasher: _Hasher, old: Path | None, cache: Cache, notes: list[str]) -> bytes | None:
    """The content of the file that the phone has, where it is known here."""
    if there is None:
        if old is not None:
            notes.append(f"The phone has no such file yet, so {old} is of no use.")
        return None
    if old is not None:
        content = _read(old)
        if hasher.of(old) == there:
            return content
        notes.append(f"The phone has another file than {old}: what became of that one would not help it.")
    kept = cache.root / _KEPT
    for path in sorted(kept.glob("*/file")) if kept.is_dir() else ():
        if hasher.of(path) == there:
            return path.read_bytes()
    notes.append("The phone has a file that is not known here (--from OLD names it), so all of the new one comes.")
    return None


def _keep(cache: Cache, file: Path, sha256: str) -> None:
    """Keep what a phone has now: the next update is made from it."""

    def make(folder: Path) -> None:
        (folder / "file").write_bytes(file.read_bytes())

    cache.build(_KEPT, sha256[:24], make)


def _refuse_damaged(file: Path, name: str, content: bytes) -> None:
    """What is there works, perhaps; no package that cannot be read takes its place."""
    for suffix in dict.fromkeys((Path(name).suffix, file.suffix)):
        try:
            packages.check(suffix, content)
        except CorruptData as error:
            raise CorruptData(
                f"{file} is not a whole {suffix} package: {error.what}",
                "Nothing was sent, and what the phone has is as it was. Make the package again, or copy it again.",
            ) from None


def _fitting(transport: Transport, best: Offer, whole: Offer, own: int, notes: list[str]) -> Offer:
    """The offer for which the phone has room: the new file is made beside the old one, and an update lies beside both;
    the file as it is where that alone fits. Raises DiskFull."""
    free = free_bytes(transport)
    least = whole.bytes + _BLOCKS
    # `deploy` wants twice the runner's room.
    needed = least if best.form == "whole" else max(least + best.bytes + own, 2 * own)
    if free is None or free >= needed:
        return best
    if free >= least:
        notes.append(f"An update needs {needed:,} bytes of room there, and {free:,} are free: the file comes as it is.")
        return whole
    raise DiskFull(
        f"{transport.serial} has {free:,} bytes free at {transport.folder}; {least:,} are needed, for the new file "
        "beside what is there",
        f"Free some space there, or run `bench clean --device {transport.serial}`.",
    )


def _bring(transport: Transport, file: Path, target: str, wanted: str, hasher: _Hasher) -> None:
    draft = f"{target}.part"
    transport.push(file, draft, deadline_s=transfer_s(file.stat().st_size))
    if _digest_there(transport, hasher, draft) != wanted:
        transport.run(["rm", "-f", draft], deadline_s=30)
        raise TransportBroken(f"{file.name} arrived damaged on {transport.serial}", "Look at the cable.")
    _done(transport, ["mv", "-f", draft, target])


def _update(transport: Transport, content: bytes, target: str, runner: _Runner, there: str | None) -> None:
    program, remote = runner.path(), f"{target}.update"
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "update")
        local.write_bytes(content)
        transport.push(local, remote, deadline_s=transfer_s(len(content)))
    done = transport.run([program, "--update", remote, target if there else "-", target], deadline_s=600)
    transport.run(["rm", "-f", remote], deadline_s=30)
    if done.status:
        raise RunnerFailed(
            f"{transport.serial} could not use the update: {clean(done.stderr or done.stdout)}",
            "The file that it had is as it was; push again.",
        )


def _done(transport: Transport, argv: list[str]) -> None:
    done = transport.run(argv, deadline_s=30)
    if done.status:
        raise DeviceRefused(
            f"{transport.serial} cannot {argv[0]} {argv[-1]}: {clean(done.stderr or done.stdout)}",
            "`bench doctor` checks whether the folder is writable.",
        )


def _zstd(content: bytes, old: bytes | None = None) -> int:
    """Bytes by zstd, with the old content as its dictionary where one is given."""
    known = zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if old else None
    how = zstandard.ZstdCompressionParameters.from_level(_LEVEL, window_log=_WINDOW_LOG)
    return len(zstandard.ZstdCompressor(compression_params=how, dict_data=known).compress(content))
