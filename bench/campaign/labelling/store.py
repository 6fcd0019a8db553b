"""The pictures of a folder that have no class yet, and what is done with them: each step is one rename on disk, so that
whatever ends the process leaves every picture in exactly one place."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from bench.data.readers.classes import is_class_name
from bench.data.readers.pictures import pictures
from bench.errors import DeviceBusy, HostFull, UsageError
from bench.files import digest, is_full, reason

ASIDE = ".aside"
"""Where pictures go that are of no class: hidden, so that no reader takes it for one."""
MOST_CLASSES = 2_000
_SHOWN = 12


class Guess(NamedTuple):
    """A network's own: a class, and the probability (0..1) that it gives it."""

    name: str
    confidence: float


class Step(NamedTuple):
    """What was done with a picture: a class, or ASIDE; `name` is the file's name there, and `made` whether the folder
    was made for it."""

    picture: str
    place: str
    name: str
    made: bool


@dataclass(frozen=True)
class Now:
    """What a person sees: the picture at hand (None at the end), how many are `left`, and how many each class has."""

    picture: str | None
    guess: Guess | None
    left: int
    done: int
    counts: Mapping[str, int]
    last: Step | None


class Labels:
    """The labelling of one folder. `classes` are those that may be chosen; with `more`, others may be added.

    Pictures without a class lie directly in the folder; those with a guess come first, the least confident before the
    others, then the rest by the time of the file. All methods may be called by several threads.
    """

    def __init__(
        self, folder: Path, classes: Sequence[str], *, more: bool, guesses: Mapping[str, Guess] | None = None
    ) -> None:
        self.folder, self.more = folder, more
        self.classes = list(classes)
        self._guesses = dict(guesses or {})
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        self._counts = {name: sum(1 for _ in pictures(folder / name)) for name in classes if (folder / name).is_dir()}
        names = {path.name: path.stat().st_mtime for path in pictures(folder)}
        certain = 2.0  # above any probability
        self._queue = sorted(
            names,
            key=lambda name: (
                self._guesses[name].confidence if name in self._guesses else certain, names[name], name,
            ),
        )  # fmt: skip

    def now(self) -> Now:
        with self._lock:
            return self._now()

    def _now(self) -> Now:
        picture = self._queue[0] if self._queue else None
        guess = self._guesses.get(picture) if picture else None
        last = self._steps[-1] if self._steps else None
        return Now(picture, guess, len(self._queue), len(self._steps), dict(self._counts), last)

    def has(self, picture: str) -> bool:
        """Whether a picture of that name is left."""
        with self._lock:
            return picture in self._queue

    def next(self) -> str | None:
        """The picture after the one at hand."""
        with self._lock:
            return self._queue[1] if len(self._queue) > 1 else None

    def place(self, picture: str, where: str) -> Now:
        """Put the picture at hand, or any that is left, into the folder of a class (or ASIDE).

        Raises UsageError for a picture that is not left, for a class that may not be, and where the system refuses.
        """
        with self._lock:
            if picture not in self._queue:
                raise UsageError("this picture has been dealt with already", "Look at the next one.")
            if where != ASIDE and where not in self.classes:
                self._add(where)
            target, source = self.folder / where, self.folder / picture
            made = not target.exists()
            try:
                with _said(target):
                    source.lstat()
                    target.mkdir(exist_ok=True)
                    name = _free(source, target)
                    source.rename(target / name)
            except UsageError:
                if _is_gone(source):
                    self._queue.remove(picture)
                    raise _gone(source) from None
                raise
            self._queue.remove(picture)
            self._steps.append(Step(picture, where, name, made))
            if where != ASIDE:
                self._counts[where] = self._counts.get(where, 0) + 1
            return self._now()

    def skip(self, picture: str) -> Now:
        """Put a picture off to the end."""
        with self._lock:
            if picture in self._queue:
                self._queue.remove(picture)
                self._queue.append(picture)
            return self._now()

    def undo(self) -> Now:
        """Take the last step back: its picture is at hand again. Raises UsageError where the system refuses."""
        with self._lock:
            if not self._steps:
                return self._now()
            step = self._steps[-1]
            there, back = self.folder / step.place / step.name, self.folder / step.picture
            if back.exists():
                raise UsageError(f"{step.picture} is in the folder again", "Look at the folder.")
            if _is_gone(there):
                self._forget(step)
                raise _gone(there)
            with _said(there):
                there.rename(back)
                if step.made:
                    with suppress(OSError):  # others may be in it
                        there.parent.rmdir()
            self._forget(step)
            self._queue.insert(0, step.picture)
            return self._now()

    def _forget(self, step: Step) -> None:
        self._steps.remove(step)
        if step.place != ASIDE:
            self._counts[step.place] -= 1

    def _add(self, name: str) -> None:
        if not self.more:
            raise UsageError(f"{name[:80]!r} is not one of the classes", "Choose one of those that are shown.")
        if not is_class_name(name):
            raise UsageError(f"{name[:80]!r} cannot be the name of a class", "Take another: it names a folder.")
        if len(self.classes) >= MOST_CLASSES:
            raise UsageError(f"there are {MOST_CLASSES:,} classes already", "Choose one of those.")
        self.classes.append(name)


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """A folder for one labelling at a time. Raises UsageError, DeviceBusy."""
    lock = folder / ".labelling.lock"
    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise DeviceBusy(f"another bench labels {folder}", "Use its page, or end it.") from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {reason(error)}", "Name another folder.") from None
    try:
        yield
    finally:
        held.release()
        with suppress(OSError):
            lock.unlink()


def found(folder: Path) -> tuple[str, ...]:
    """The classes that a folder has already. Raises UsageError for names that a list of classes lacks."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and is_class_name(path.name)))


def checked(folder: Path, classes: Sequence[str], source: str) -> tuple[str, ...]:
    """The classes of `source`, fit to be folders, with which those that the folder has already agree. Raises
    UsageError, with the names that do not."""
    if bad := [name for name in classes if not is_class_name(name)]:
        raise UsageError(f"{source} has classes whose names cannot be folders: {_few(bad)}", "Name them otherwise.")
    if len(set(classes)) != len(classes) or not 1 <= len(classes) <= MOST_CLASSES:
        raise UsageError(
            f"{source} has {len(classes):,} classes, {len(set(classes)):,} of them different",
            f"Name 1 to {MOST_CLASSES:,}, each once.",
        )
    if strange := [name for name in found(folder) if name not in classes]:
        raise UsageError(
            f"{folder} has class folders that {source} does not have: {_few(strange)}",
            "Rename or move them, or name other --classes.",
        )
    return tuple(classes)


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name[:60]) for name in names[:_SHOWN]) + more


def _free(picture: Path, target: Path) -> str:
    """A name for the picture that nothing in `target` has: its own, or one with its digest."""
    if not (target / picture.name).exists():
        return picture.name
    stem = f"{picture.stem}-{digest(picture)[:12]}"
    names = (f"{stem}{number}{picture.suffix}" for number in ("", *(f"-{count}" for count in range(1, 10_000))))
    return next(name for name in names if not (target / name).exists())


def _is_gone(picture: Path) -> bool:
    """Whether it is not there, which a folder that may not be looked into does not say."""
    try:
        picture.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _gone(picture: Path) -> UsageError:
    return UsageError(
        f"{picture.name} is no longer in {picture.parent}: it was deleted or moved meanwhile", "Look at the next one."
    )


@contextmanager
def _said(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise HostFull.at(place) from None
        raise UsageError(
            f"{place}: {reason(error)}", "Look at the folder's permissions; the picture is where it was."
        ) from None
