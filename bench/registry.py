"""Open sets: members that come with bench, by name, and those of installed packages, found by their entry points."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cached_property
from importlib import metadata
from typing import Any, Generic, TypeVar, cast

from bench.errors import ToolMissing, UnknownName

Member = TypeVar("Member")


class Registry(Generic[Member]):
    """The members of one open set, each imported when it is first asked for.

    `own` says where each member of bench's own is, `package.module:attribute`; entry points of `group` are
    written the same way.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str]) -> None:
        self._kind = kind
        self._group = group
        self._own = own
        self._found: dict[str, Member] = {}

    @cached_property
    def _places(self) -> dict[str, str]:
        installed = {point.name: point.value for point in metadata.entry_points(group=self._group)}
        return installed | dict(self._own)

    def names(self) -> tuple[str, ...]:
        """All of them, bench's own first."""
        return tuple(dict.fromkeys((*self._own, *sorted(self._places))))

    def __getitem__(self, name: str) -> Member:
        """The member of that name. Raises UnknownName, and ToolMissing for one that cannot be loaded."""
        if name in self._found:
            return self._found[name]
        if name not in self._places:
            raise UnknownName.of(self._kind, name, self._places)
        module, _, attribute = self._places[name].partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in filter(None, attribute.split(".")):
                found = getattr(found, part)
        except Exception as error:  # of any kind: it is the code of another package
            if name in self._own:
                raise
            raise ToolMissing(
                f"the {self._kind} {name!r} of an installed package cannot be loaded: {type(error).__name__}: {error}",
                f"Fix or remove the package that provides {self._places[name]}.",
            ) from error
        self._found[name] = cast(Member, found)
        return self._found[name]
