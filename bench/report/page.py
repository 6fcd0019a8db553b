"""A page: one file that fetches nothing, with its style and its script inside."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.caveats import ADVICE
from bench.report.section import Section
from bench.text import visible

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|points|dB|[kMGT]?B|[nµm]?s|[kMG]?Hz|[mµ]?J|°C)(?!\w))")
_KINDS = {known.label: kind for kind, known in ADVICE.items()}


@dataclass(frozen=True)
class Page:
    """What a page says: its title, a sentence below it, facts as name and value, and its sections."""

    title: str
    description: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    generator: str
    footer: str


def render(page: Page) -> str:
    """The page as HTML."""
    style, script = (resources.files("bench.report").joinpath(name).read_text("utf-8") for name in _INLINED)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    anchors = {folded.id for section in page.sections for folded in section.folded}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(page=page, style=style, script=script, policy=policy, anchors=anchors)
    )


_INLINED = ("page.css", "page.js")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bench.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters["ours"] = _ours
    environment.filters["kind"] = _kind
    return environment


def _ours(text: str) -> Markup:
    """Our own SVG, its text escaped by matplotlib but for characters that act instead of being seen; our style and
    script."""
    return Markup(visible(text, lines=True))  # noqa: S704


def _finalized(value: object) -> object:
    """Every word that the template puts into the page passes here. A number stays on one line with its unit."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", visible(value))


def _kind(note: str) -> str:
    """The kind of caveat that a note of a table (`[2] noisy: …`) explains; empty for another note."""
    return _KINDS.get(note.partition("] ")[2], "")
