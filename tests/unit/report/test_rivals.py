"""The table, the sentences and the plot of a run of many methods (SYNTHETIC, tests/rivals.py)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.analyse import analyse
from bench.report import Context, Section, content, contested, rivals
from bench.report.plots import labelling, pareto
from bench.report.plots.pareto import COLOURS, SHAPES, marks
from bench.report.table import Table
from bench.results.folder import RunFolder
from tests.rivals import FEW, One, many, store


def context(folder: RunFolder, **more: Any) -> Context:
    run = folder.record()
    return Context.of(run, folder.measurements(), analyse(folder.consolidate(), run, folder.answers()), **more)


def section(found: Context, name: str) -> Section:
    (one,) = (s for s in content(found) if s.id == name)
    return one


def column(table: Table, name: str) -> dict[str, str]:
    at = table.header.index(name)
    return {row[0].text: str(row[at]) for row in table.cells}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return context(store(tmp_path_factory.mktemp("few"), "few", FEW, launches=3, count=400))


def test_a_row_says_what_a_variant_is_what_it_costs_and_how_it_was_made(few: Context) -> None:
    (table,) = section(few, "rivals").tables
    assert column(table, "Family")["fr:2kB"] == "fr (target 2kB)"
    assert column(table, "Bytes pushed")["fr:16kB"] == "16.0 kB"
    assert column(table, "Downloaded")["fr:2kB"] == "1,851 B"
    assert column(table, "Made with")["prune:2kB"] == "30 epochs (1,797 labelled pictures)"
    assert column(table, "Time")["fr:2kB"] == "101 s"
    assert column(table, "Made with")["half"] == "not stored"
    assert any("equal effort cannot be checked" in note for note in table.notes)
    assert column(table, "Accuracy")["no network"].endswith("%")
    assert any(note == "[1] virtual: measured on this machine's processor, not on a phone" for note in table.notes)


def test_a_size_that_misses_its_target_by_more_than_two_percent_is_tagged(few: Context, tmp_path: Path) -> None:
    (table,) = section(few, "rivals").tables
    assert column(table, "Bytes pushed")["prune:2kB"] == "1,965 B"
    ones = (
        FEW[0], One("a:16kB", 20.0, 17_000, 2.0, 0.97), One("b:90kB", 20.0, 200_000, 2.0, 0.97),
        One("c:20x", 20.0, 200_000, 2.0, 0.97), FEW[1],
    )  # fmt: skip
    (other,) = section(context(store(tmp_path, "r", ones, launches=3, count=100)), "rivals").tables
    found = column(other, "Bytes pushed")
    assert found["a:16kB"] == "17.0 kB (6 % over target)"
    assert found["b:90kB"] == "200 kB (2.2× its target)"
    assert found["c:20x"] == "200 kB", "a ratio is the method's own, and not of files"
    assert found["fr:16kB"] == "16.0 kB"


def test_unequal_effort_is_said_and_equal_effort_is_not(few: Context, tmp_path: Path) -> None:
    assert section(few, "rivals").notices == ()
    ones = (FEW[0], FEW[1], FEW[3]._replace(epochs=3), FEW[4]._replace(labels=False), FEW[5]._replace(epochs=0))
    (notice,) = section(context(store(tmp_path, "r", ones, launches=3, count=100)), "rivals").notices
    assert notice.startswith("Effort was not equal")
    assert "30 epochs, 1,797 labelled pictures (fr:16kB)" in notice
    assert "3 epochs, 1,797 labelled pictures (prune:16kB)" in notice
    assert "30 epochs, 1,797 unlabelled pictures (prune:2kB)" in notice
    assert "half" not in notice


def test_sentences_name_who_is_in_front_and_who_never_is(few: Context) -> None:
    (contest,) = few.findings.contests
    sentences = list(contested.fronts(contest, few))
    assert len(sentences) == 3  # what is downloaded has the very front of what is pushed
    (by_bytes,) = (s for s in sentences if "bytes deployed" in s)
    assert "in front fr (1,990 B, 96.50 % to 16.0 kB, 98.00 %)" in by_bytes
    levels = list(contested.levels(contest, few))
    assert len(levels) == 2
    assert "of 2 at about 1,978 B: fr:2kB has the best accuracy (96.50 %)" in levels[0]
    assert "prune:2kB is the fastest" in levels[0]


@pytest.mark.parametrize("sort", ["latency", "bytes", "downloaded", "memory", "accuracy"])
def test_rows_come_in_the_order_that_is_asked_for(few: Context, sort: str) -> None:
    asked = replace(few, sort=sort)
    (contest,) = asked.findings.contests
    metric = contest.score if sort == "accuracy" else rivals.SORTED_BY[sort]
    values = [row.value(metric) for row in rivals.rows(contest, asked)]
    assert values == sorted(values, reverse=sort == "accuracy")  # type: ignore[type-var]
    (table,) = section(asked, "rivals").tables
    assert [row[0].text for row in table.cells][-1] == "no network"


def test_a_run_of_one_variant_against_the_ordinary_network_has_no_table_of_rivals(tmp_path: Path) -> None:
    found = context(store(tmp_path, "r", FEW[:2], launches=3, count=100))
    assert not {"rivals", "pareto"} & {s.id for s in content(found)}
    assert [row["variant"] for row in rivals.plain(found)][:2] == ["baseline", "fr:16kB"]


def test_what_a_run_did_not_store_is_not_made_up(tmp_path: Path) -> None:
    """As runs before there was a way to say how a package was made, or its bytes by zstd."""
    ones = tuple(one._replace(epochs=None) for one in FEW)
    (table,) = section(context(store(tmp_path, "r", ones, launches=3, count=100, packed=False)), "rivals").tables
    assert "Downloaded" not in table.header
    assert column(table, "Family")["prune:2kB"] == "prune (target 2kB)"
    assert set(column(table, "Made with").values()) == {"–", "not stored"}


def test_a_plot_of_forty_names_the_front_and_the_ordinary_network_alone(tmp_path: Path) -> None:
    found = context(store(tmp_path, "r", many(), launches=3, count=400), pictures=True)
    (picture,) = pareto.draw(found)
    (contest,) = found.findings.contests
    in_front = {s.variant for cost in pareto.COSTS for s in contest.front(cost)}
    assert 3 < len(in_front) < len(many())
    for subject in contest.subjects:
        written = f">{subject.variant}<" in picture.svg
        assert written == (subject.variant in {*in_front, "baseline"})
    for words in ("on the front", "beaten beyond chance", "behind by the medians"):
        assert words in picture.svg
    assert "(virtual)" in picture.title
    assert "perhaps beaten by" in picture.alt
    assert all(subject.variant in picture.alt for subject in contest.subjects)


def test_families_differ_in_colour_and_in_shape() -> None:
    names = [f"method-{n}" for n in range(len(COLOURS) * len(SHAPES))]
    found = marks(("ordinary", *names))
    assert len(set(found.values())) == len(names) + 1
    first = [found[name] for name in names[:7]]
    assert len({m.colour for m in first}) == len({m.shape for m in first}) == 7


def test_names_cover_neither_each_other_nor_a_point() -> None:
    from matplotlib.figure import Figure

    axes = Figure(figsize=(7, 3)).add_subplot()
    axes.set_xlim(0, 12)
    axes.set_ylim(0, 12)
    spots = [labelling.Spot(f"variant:{n}kB", float(n), float(n % 4) + 4, bold=n % 2 == 0) for n in range(1, 12)]
    labelling.label(axes, spots, [(s.x, s.y) for s in spots], [])
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    shrunk = [(b.x0 + 1, b.y0 + 2, b.x1 - 1, b.y1 - 2) for b in boxes]
    assert len(shrunk) == 11
    assert not any(labelling.overlap(a, b) for n, a in enumerate(shrunk) for b in shrunk[:n])
