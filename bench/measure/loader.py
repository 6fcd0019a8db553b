"""What glibc's loader says where it cannot use a library that was brought with a program.

It goes on without it, and looks for another one of that name: so what it says counts even where the program then ran.
"""

from __future__ import annotations

import re

FIX = "Measure with ncnn (--runtime ncnn), whose program needs neither a loader nor libraries."

_REFUSED = re.compile(r"ERROR: ld\.so: object '[^']*' from --preload cannot be preloaded \((.{1,200}?)\): ignored")
_MEANINGS = (
    ("page-aligned", "the device's memory pages are larger than those that it was linked for"),
    ("failed to map segment", "its folder or SELinux forbids to execute it, or the device's pages are too large"),
    ("ELF class", "it is for another processor"),
    ("cannot open shared object file", "it is not there any more, or may not be read"),
    ("file too short", "it was cut off"),
)  # fmt: skip
_KERNEL = "FATAL: kernel too old"


def refusal(stderr: str) -> str:
    """Why the loader could not bring a program together; empty where it says nothing of that kind."""
    if found := _REFUSED.search(stderr):
        meaning = next((words for part, words in _MEANINGS if part in found[1]), "")
        return f"a library of the runtime cannot be loaded: {f'{meaning} ({found[1]})' if meaning else found[1]}"
    if _KERNEL in stderr:
        return "the device's kernel is older than the C library (glibc) that was brought needs"
    return ""
