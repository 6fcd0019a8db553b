"""Pictures from a folder on a phone: bounded, checked by content, never over what is there, and told one by one.

What the phone says of its files is believed in nothing: a file's name never becomes one here, its size is a limit of
what is read, and whether it is a picture is decided by decoding it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock, Timeout

from bench.campaign import listing
from bench.campaign.listing import File, shown
from bench.data.readers import arrived
from bench.devices.transport import Transport, transfer_s
from bench.devices.words import clean
from bench.errors import CorruptData, DeviceBusy, HostFull, TransportBroken, UsageError
from bench.files import digest, is_full, reason
from bench.records import Progress

INDEX = "collected.jsonl"
"""In the folder: a line of JSON for each file of a phone that was looked at."""
MOST, EACH, TOTAL = 1_000, 25 << 20, 1 << 30
"""Pictures, bytes of one and of all, that one call brings where nobody says otherwise."""
_INDEX_BYTES = 1 << 28


class Limits(NamedTuple):
    """Of one call: pictures, bytes of a picture, bytes of all."""

    most: int = MOST
    each: int = EACH
    total: int = TOTAL


@dataclass(frozen=True)
class Seen:
    """A file of a phone that was looked at. `path` (clean words), `size` in bytes and `time`, seconds since 1970, are
    as the phone says. `kept` is its name here, empty where it was left out for the reason `why`; `bytes` are
    those that came. `odd` is the digest of the path where `path` does not say it as it is, else empty."""

    device: str
    path: str
    size: int
    time: int
    sha256: str
    bytes: int
    kept: str = ""
    why: str = ""
    odd: str = ""


@dataclass(frozen=True)
class Left:
    """A file that did not become a picture here, and why; one for which there was no room may come by another call."""

    path: str
    why: str
    kind: Literal["limit", "content", "duplicate", "unreadable"]


@dataclass(frozen=True)
class Collected:
    """What came of a call: `new` pictures, `known` files that an earlier call had looked at, and those `left` out."""

    device: str
    source: str
    folder: str
    new: tuple[Seen, ...]
    known: int
    left: tuple[Left, ...]

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.new)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "bytes": self.bytes}


def collect(transport: Transport, source: str, folder: Path, limits: Limits, progress: Progress) -> Collected:
    """Bring the pictures of the phone's folder `source` to `folder`, the newest first; a call that was interrupted goes
    on where it was.

    Pictures are named after their content, and those that are anywhere in `folder`, e.g. in a class folder, do not come
    again. Raises UsageError (a folder that is none, or cannot be written), DeviceRefused, DeviceBusy (another call is
    at work there), HostFull, and what the transport raises.
    """
    _check(source)
    with _owned(folder):
        for stale in folder.glob(".*.pulling"):  # of a call that was killed
            stale.unlink(missing_ok=True)
        index = folder / INDEX
        earlier = read_index(index)
        before = {(one.device, one.path, one.odd, one.size, one.time) for one in earlier}
        hashes = _hashes(folder, earlier)
        files, passed = listing.files(transport, source, progress)
        left = [Left(shown(one.path), one.why, "limit" if one.limit else "unreadable") for one in passed]
        new: list[Seen] = []
        known, brought = 0, 0
        for at, file in enumerate(files):
            progress(at / len(files), f"{len(new):,} pictures, {at:,} of {len(files):,} files")
            if (transport.serial, shown(file.path), _odd(file.path), file.size, file.time) in before:
                known += 1
                continue
            if why := _beyond(file, limits, len(new), brought):
                left.append(Left(shown(file.path), why, "limit" if file.size else "content"))
                continue
            seen, kind = _bring(transport, file, folder, limits, hashes)
            if seen is None:
                left.append(Left(shown(file.path), kind, "unreadable"))
                continue
            brought += seen.bytes
            with index.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(seen)) + "\n")
            if seen.kept:
                new.append(seen)
                hashes.add(seen.sha256)
            else:
                left.append(Left(shown(file.path), seen.why, "duplicate" if kind == "duplicate" else "content"))
        progress(1.0, f"{len(new):,} pictures")
    return Collected(transport.serial, shown(source), str(folder), tuple(new), known, tuple(left))


def _odd(path: str) -> str:
    return "" if shown(path) == path else hashlib.sha256(os.fsencode(path)).hexdigest()


def read_index(path: Path) -> tuple[Seen, ...]:
    """What was looked at before; a last line that was cut off, or any that is damaged, counts as never written."""
    if not path.is_file():
        return ()
    found = []
    with path.open("rb") as lines:
        if os.fstat(lines.fileno()).st_size > _INDEX_BYTES:
            raise CorruptData(f"{path} has more than {_INDEX_BYTES:,} bytes", "Delete it: files are looked at again.")
        for line in lines:
            with suppress(ValueError, TypeError):
                values = json.loads(line)
                one = Seen(**values)
                if all(isinstance(values[key], kind) for key, kind in _KINDS.items()):
                    found.append(one)
    return tuple(found)


_KINDS = {"device": str, "path": str, "size": int, "time": int, "sha256": str, "kept": str, "odd": str}


def _check(source: str) -> None:
    if not source.startswith("/") or "\0" in source or len(os.fsencode(source)) > listing.PATH_BYTES // 2:
        raise UsageError(
            f"{shown(source)!r} is not a folder's path on a phone", "Write it from the root, e.g. /sdcard/field."
        )


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing, for one call at a time."""
    lock = folder / ".collecting.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock, timeout=0)
        held.acquire()
    except Timeout:
        raise DeviceBusy(f"another bench collects into {folder}", "Wait until it is done.") from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {reason(error)}", "Name another folder.") from None
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise HostFull.at(folder) from None
        raise UsageError(f"{folder} cannot be written: {reason(error)}", "Name another folder.") from None
    finally:
        held.release()
        with suppress(OSError):
            lock.unlink()


def _hashes(folder: Path, seen: Sequence[Seen]) -> set[str]:
    """Of every file below the folder. One that the index knows by its name, which tells its content, is not read."""
    found = {one.sha256 for one in seen if one.kept}
    told = {one.kept.partition(".")[0] for one in seen if one.kept}
    for path in folder.rglob("*"):
        if path.is_symlink() or path.name.startswith(".") or not path.is_file():
            continue
        if arrived.digest_in(path.name) not in told:
            found.add(digest(path))
    return found


def _beyond(file: File, limits: Limits, pictures: int, brought: int) -> str:
    if pictures >= limits.most:
        return f"beyond {limits.most:,} pictures (--most)"
    if file.size > limits.each:
        return f"it has more than {limits.each:,} bytes (--each)"
    if brought + file.size > limits.total:
        return f"beyond {limits.total:,} bytes in all (--total)"
    if file.size == 0:
        return "it is empty"
    return ""


def _bring(transport: Transport, file: File, folder: Path, limits: Limits, hashes: set[str]) -> tuple[Seen | None, str]:
    """One file, and what became of it: None where it could not be read, with why."""
    draft = folder / f".{os.getpid()}.pulling"
    made = partial(Seen, transport.serial, shown(file.path), file.size, file.time, odd=_odd(file.path))
    try:
        try:
            # What it says of its size may be old; more than that is no picture of a moment ago, and never more than
            # is allowed.
            transport.pull(file.path, draft, deadline_s=transfer_s(limits.each), most=limits.each)
        except CorruptData:
            return None, f"it has more than {limits.each:,} bytes (--each)"
        except TransportBroken as error:
            if not error.what.startswith("cannot read"):
                raise
            why = error.what.removeprefix(f"cannot read {file.path} on {transport.serial}: ")
            return None, f"the phone does not give it: {clean(why)}"
        size, sha256 = draft.stat().st_size, digest(draft)
        if sha256 in hashes:
            return made(sha256=sha256, bytes=size, why="the same picture is here already"), "duplicate"
        try:
            ending = arrived.ending(draft)
        except CorruptData as error:
            return made(sha256=sha256, bytes=size, why=error.what), "content"
        name = arrived.named(sha256, ending)
        os.utime(draft, (file.time, file.time))  # when it was taken: bursts are told by it
        draft.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
        target = folder / name
        if target.exists() or target.is_symlink():  # of another content under this one's name: it stays
            return None, "its name is taken here by another file"
        draft.rename(target)
        return made(sha256=sha256, bytes=size, kept=name), ""
    finally:
        draft.unlink(missing_ok=True)
