"""Whether a file's content is whole: what its name's ending says that it is, read as far as that goes without its
network. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from bench.errors import BenchError, CorruptData

_AGAIN = "Make the package again; the file was damaged or not written by this version."


def check(suffix: str, content: bytes) -> bool:
    """Whether a package with a name of that ending, e.g. `.nested`, can be read without its network; False: nobody
    here knows. Raises CorruptData, saying what, where the content is not such a package, or is damaged."""
    reader = _READERS.get(suffix.lower())
    if reader is None:
        return False
    reader(content)
    return True


def _by(module: str) -> Callable[[bytes], Any]:
    return lambda content: import_module(module).read(content)


def _frequency(magic: bytes) -> Callable[[bytes], Any]:
    def read(content: bytes) -> None:
        from bench.compress.frequency import package

        package.read(content)
        if content[:4] != magic:
            raise CorruptData(f"this is a package of format {content[:4].decode()}, not {magic.decode()}", _AGAIN)

    return read


def _safetensors(content: bytes) -> None:
    import safetensors

    try:
        safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise CorruptData(f"this is not a safetensors file, or is damaged: {error}", _AGAIN) from None


def _chain(content: bytes) -> None:
    from bench.compress.chain import package

    for link in package.read(content):
        _part(link.method, link.package)


def _cascade(content: bytes) -> None:
    from bench.compress.cascade import package

    made = package.read(content)
    _part(made.method, made.small)
    _safetensors(made.robust)


def _part(method: str, content: bytes) -> None:
    """A package within another; of a method that is not installed here, it stays unread."""
    from bench.compress import method as named

    try:
        suffix = named(method).suffix
    except CorruptData:
        raise
    except BenchError:
        return
    check(suffix, content)


_READERS: Mapping[str, Callable[[bytes], Any]] = MappingProxyType(
    {
        ".frq": _by("bench.compress.frequency.package"),
        ".frq8": _frequency(b"FRQ3"),
        ".frqn": _frequency(b"FRQ4"),
        ".nested": _by("bench.compress.nested.package"),
        ".elm": _by("bench.compress.elm.package"),
        ".chain": _chain,
        ".cascade": _cascade,
        ".safetensors": _safetensors,
    }
)
