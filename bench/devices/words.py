"""Words of a device, a server or a file, made fit to be stored and shown."""

from __future__ import annotations

import re

MOST = 200
"""Characters of one word or sentence from outside that are kept."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")
"""Terminal control sequences: CSI, the strings (OSC, DCS, SOS, PM, APC) with their text, and two-character escapes."""


def clean(text: str, most: int = MOST) -> str:
    """One line of at most `most` characters in which nothing controls a terminal or reorders what stands around it.

    Escape sequences are dropped with their parameters; other control characters, line ends, direction marks and lone
    surrogates become blanks; blanks in a row become one.
    """
    # A sequence is never longer than what is read, so the bound comes first: a device may send megabytes.
    text = _ESCAPES.sub("", text[: 16 * most])
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
