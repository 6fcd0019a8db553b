"""What a report says of variants that are not in a run, and the page of networks and runtimes."""

from __future__ import annotations

from pathlib import Path

from bench.conversion import Cell, Trouble
from bench.report import conversion
from tests.unit.report.report_kit import Checker, Stored

CELLS = (
    Cell(network="a", runtime="ncnn", converts=True, runs=True, equal=True, apart=3e-7, samples=2, bytes=10),
    Cell(network="a", runtime="other", converts=True, runs=True, equal=True, apart=0.0, samples=2, bytes=20),
    Cell(
        network="b<script>", runtime="ncnn", converts=False,
        trouble=Trouble(
            kind="unsupported operator", stage="convert", said="no <b>topk</b>\nhere", operator="topk",
            places=("net.py:3: x.topk(2)",), fix="Do it after the network.",
        ),
    ),
)  # fmt: skip


def test_a_run_says_which_variants_it_has_not_and_why(stored: Stored) -> None:
    why = "lenet5, half: ncnn cannot do torch.topk\n  net.py:16: best = x.topk(4)"
    run = stored.run.model_copy(
        update={"absent": {"lenet5/half": why, "lenet5/prune": "lenet5 is not trained, and ranking is noise"}}
    )
    section = stored.but(run=run).sections()["conversion"]
    first, second = section.tables[0].rows
    assert first[:3] == ("lenet5/half", "unsupported operator (topk)", "net.py:16: best = x.topk(4)")
    assert first[3] == "lenet5, half: ncnn cannot do torch.topk"
    assert "after the network" in first[4]
    assert second[:2] == ("lenet5/prune", "not possible")


def test_a_run_that_has_all_its_variants_says_nothing(stored: Stored) -> None:
    assert "conversion" not in stored.sections()


def test_the_matrix_has_a_row_for_each_network_and_a_column_for_each_runtime() -> None:
    table = conversion.matrix(CELLS)
    assert table.header == ("Network", "ncnn", "other")
    assert table.rows == (
        ("a", "equal (3e-07)", "equal (0)"),
        ("b<script>", "unsupported operator (topk)", "–"),
    )
    assert conversion.sentences(CELLS)[0].startswith("ncnn: 1 of 2 convert")


def test_what_a_network_has_in_several_runtimes_is_told_once() -> None:
    both = [CELLS[2], CELLS[2].model_copy(update={"runtime": "other"})]
    (row,) = conversion.troubles(both).rows
    assert row[:2] == ("b<script> (ncnn, other)", "unsupported operator (topk)")
    assert conversion.details(both) == [
        "b<script> in ncnn, other: unsupported operator, topk",
        "  said: no <b>topk</b>",
        "        here",
        "  at net.py:3: x.topk(2)",
        "  → Do it after the network.",
    ]


def test_the_page_fetches_nothing_and_runs_no_words_of_a_network(tmp_path: Path) -> None:
    path = tmp_path / "matrix.html"
    conversion.write(path, CELLS)
    page = Checker(path.read_text())
    assert "Do it after the network." in page.text
    assert "b<script>" in page.text
    assert "<script>b" not in path.read_text()
    assert "b<script>" not in path.read_text()
