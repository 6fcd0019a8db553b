"""JUnit XML, in the dialect that Jenkins (its schema junit-10), GitLab and GitHub's reporters read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from bench.text import visible

State = Literal["passed", "failure", "error", "skipped"]
MOST = 20_000
"""Characters of one message: servers refuse files of many megabytes."""


@dataclass(frozen=True)
class Case:
    """A test. `classname` has parts with dots between, by which servers group; `type` and `words` say why it did not
    pass, or what a test that passed has found."""

    classname: str
    name: str
    state: State
    type: str = ""
    words: str = ""


@dataclass(frozen=True)
class Suite:
    """`started` is ISO 8601, `wall_s` its duration in seconds."""

    name: str
    started: str
    wall_s: float
    cases: tuple[Case, ...]


def document(suite: Suite) -> str:
    """The file: one suite, in ASCII, so that no reader can mistake its encoding."""
    counts = {state: sum(case.state == state for case in suite.cases) for state in ("failure", "error", "skipped")}
    numbers = {
        "tests": str(len(suite.cases)), "failures": str(counts["failure"]), "errors": str(counts["error"])
    }  # fmt: skip
    seconds = f"{max(suite.wall_s, 0.0) + 0.0:.3f}"
    root = ElementTree.Element("testsuites", {"name": "bench", "time": seconds, **numbers})
    one = ElementTree.SubElement(
        root, "testsuite",
        {"name": _text(suite.name), **numbers, "skipped": str(counts["skipped"]), "time": seconds,
         "timestamp": _text(suite.started[:19])},
    )  # fmt: skip
    for case in suite.cases:
        test = ElementTree.SubElement(one, "testcase", {"name": _text(case.name), "classname": _text(case.classname)})
        if case.state == "passed":
            if case.words:
                ElementTree.SubElement(test, "system-out").text = _text(case.words)
        else:
            first = case.words.partition("\n")[0]
            found = ElementTree.SubElement(test, case.state, {"type": _text(case.type), "message": _text(first)})
            found.text = _text(case.words)
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="ascii", xml_declaration=True)
    return content.decode("ascii") + "\n"


def part(name: str) -> str:
    """A name as a part of a class name: servers split these at dots."""
    return name.replace(".", "_")


def _text(words: str) -> str:
    """What XML may hold: characters that it forbids (controls, surrogates) are shown as escapes."""
    return visible(words[:MOST], lines=True)
