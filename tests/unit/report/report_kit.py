"""Stored runs (SYNTHETIC, tests/golden) as a report reads them and as other kinds of runs; and a checker of pages."""

import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analyse import analyse
from bench.findings import Findings
from bench.layered import LayerRecord
from bench.records import Answers, Measurement, RunRecord
from bench.report import Context, Section, content, html
from bench.report.table import Table
from bench.results.folder import RunFolder

GOLDEN = Path(__file__).parents[2] / "golden"
PHONE = "emulator-5554"


@dataclass(frozen=True, eq=False)
class Stored:
    run: RunRecord
    measurements: tuple[Measurement, ...]
    frame: pd.DataFrame
    answers: Mapping[str, Answers]
    layers: Mapping[str, Sequence[LayerRecord]] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str, into: Path) -> "Stored":
        """A golden run, from a copy: reading brings tables up to date."""
        folder = RunFolder(Path(shutil.copytree(GOLDEN / name, into / name)))
        frame = folder.consolidate()
        return cls(folder.record(), folder.measurements(), frame, folder.answers(), folder.layers(frame))

    @cached_property
    def findings(self) -> Findings:
        return analyse(self.frame, self.run, self.answers, self.layers)

    def but(self, **changes: Any) -> "Stored":
        return replace(self, **changes)

    def keep(self, wanted: pd.Series) -> "Stored":
        orders = set(self.frame[wanted].order)
        kept = tuple(m for m in self.measurements if m.trial.order in orders)
        return self.but(frame=self.frame[wanted], measurements=kept)

    def fail(self, reason: str) -> "Stored":
        frame = self.frame.drop_duplicates("trial").assign(
            status="failed", reason=reason, metric="", value=float("nan")
        )
        failed = tuple(m.model_copy(update={"status": "failed", "reason": reason}) for m in self.measurements)
        return self.but(frame=frame, measurements=failed)

    def page(self, folder: Path) -> str:
        return html.write(folder, self.run, self.measurements, self.findings).read_text(encoding="utf-8")

    def sections(self) -> dict[str, Section]:
        context = Context.of(self.run, self.measurements, self.findings)
        return {section.id: section for section in content(context)}

    def tables(self, section: str) -> tuple[Table, ...]:
        return self.sections()[section].tables

    def table(self, section: str, title: str) -> Table:
        """The one of that title, the network's word of warning aside."""
        (found,) = (t for t in self.tables(section) if re.sub(r" \(.*?\)", "", t.title) == title)
        return found


FETCHED = frozenset({"href", "src", "xlink:href", "srcset", "poster", "data", "action", "background"})
"""Attributes that make a browser fetch or go to something."""


class Checker(HTMLParser):
    """Every element closed, no id twice, nothing fetched from elsewhere, every link to an id that exists, headings in
    order, every table named with its headings marked as such, every picture with words; no script but ours."""

    EMPTY = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.headings: list[int] = []
        self.count: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.feed(page)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))
        assert {link.removeprefix("#") for link in self.links} <= set(self.ids)
        assert self.headings[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(self.headings)), self.headings
        assert self.count["table"] == self.count["caption"]
        assert self.count["script"] == 1
        assert (self.count["main"], self.count["h1"]) == (1, 1)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.count[tag] += 1
        self.attributes.append((tag, given))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in self.EMPTY:
            self.open.append(tag)
        assert tag != "th" or given["scope"] in ("col", "row")
        assert tag != "img" or given["alt"]
        assert given.get("role") != "img" or given["aria-label"]
        assert not any(key.startswith("on") for key in given), f"{tag} runs a script of its own"
        if "id" in given:
            self.ids.append(given["id"])
        for key in FETCHED & given.keys():
            assert given[key].startswith(("#", "data:image/")), f"{tag} would fetch {given[key]}"
            self.links += [given[key]] if given[key].startswith("#") else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))
