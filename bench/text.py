"""Words from outside (devices, files, plans) made fit to be shown: none of them controls a terminal or a page.

What a device says is cleaned and bounded when it is read (`bench.devices.words`); this is the door through which all
words leave, whatever their origin and age.
"""

from __future__ import annotations

import codecs
import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that are not drawn but act: controls, directions of writing, line separators; and those
without a meaning."""

_ASCII = str.maketrans(
    {
        "×": "x", "÷": "/", "·": "*", "–": "-", "—": "-", "−": "-", "‑": "-", "µ": "u", "μ": "u", "±": "+/-", "≥": ">=",
        "≤": "<=", "Δ": "delta", "→": "->", "›": ">", "…": "...", "✓": "ok", "✗": "x", "“": '"', "”": '"', "‘": "'",
        "’": "'", "•": "*", "━": "-", "─": "-", "\N{NO-BREAK SPACE}": " ",
    }
)  # fmt: skip


def visible(text: str, *, lines: bool = False) -> str:
    """`text` with each character that acts instead of being seen as an escape (`\\x1b`); `lines` keeps line ends."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _UNSEEN and not (lines and c == "\n") else c for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks, in ASCII: a sign that means the same, a letter without its accent, or an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = []
    for character in error.object[error.start : error.end]:
        spelled = character.translate(_ASCII)
        plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
        found.append(plain or _escaped(character))
    return "".join(found), error.end


SPELLED = "bench.spelled"
"""The name of an error handler for `str.encode` and streams under which no output fails, whatever its encoding."""
codecs.register_error(SPELLED, _spelled)
