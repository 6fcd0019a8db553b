"""A report as Markdown, for a wiki, an issue or a pull request."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from bench.report.section import Section
from bench.report.table import Table
from bench.text import visible


def document(title: str, sections: Sequence[Section], plots: str) -> str:
    """What a page says, with its plots as PNG files of the folder `plots`, a relative path. Commands are in blocks of
    code, everything else is escaped."""
    lines = [f"# {escaped(title)}"]
    for section in sections:
        if section.title:
            lines.append(f"## {escaped(section.title)}")
        lines += [f"> {escaped(notice)}" for notice in section.notices]
        lines += [escaped(sentence) for sentence in section.sentences]
        if section.details:
            lines.append("\n".join(f"- {escaped(sentence)}" for sentence in section.details))
        if section.note:
            lines.append(escaped(section.note))
        lines += [_code(command) for command in section.commands]
        for one in section.tables:
            lines += _table(one)
        for picture in section.pictures:
            lines += [f"### {escaped(picture.title)}", f"![{escaped(picture.alt)}]({plots}/{picture.name}.png)"]
        for folded in section.folded:
            lines.append(f"<details>\n<summary>{html.escape(visible(folded.table.title))}</summary>")
            lines += [*filter(None, (escaped(folded.advice),)), *_content(folded.table), "</details>"]
    return "\n\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """A table of which the first `words` columns hold words, the others figures."""
    lines = [_row(header), "|" + "---|" * words + "---:|" * (len(header) - words)]
    return "\n".join((*lines, *(_row(row) for row in rows)))


def escaped(text: str) -> str:
    """Words that Markdown takes for words, on one line."""
    shown = visible(text).replace("\\", "\\\\").replace("&", "&amp;")
    for sign in "|`*_<>[]#~":
        shown = shown.replace(sign, f"\\{sign}")
    return shown


def _table(one: Table) -> Iterator[str]:
    yield f"### {escaped(one.title)}"
    yield from _content(one)


def _content(one: Table) -> Iterator[str]:
    yield table(one.header, one.rows, one.words) if one.cells else "Nothing was stored."
    if one.notes:
        yield "\n".join(f"- {escaped(note)}" for note in one.notes)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"


def _code(command: str) -> str:
    return f"```sh\n{visible(command)}\n```"
