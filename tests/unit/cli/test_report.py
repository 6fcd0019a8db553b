"""`bench report` of one run and of several."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from bench.records import RunRecord
from bench.results.folder import RunFolder
from tests.rivals import FEW, store
from tests.unit.cli.command_kit import GOLDEN, Command, command

__all__ = ["command"]


def phones(results: Path) -> Path:
    """A copy of the stored run of schema 3 (synthetic test data): a virtual phone and a real one."""
    return Path(shutil.copytree(GOLDEN / "synthetic-run-3", results / "phones"))


def changed(folder: Path, **update: object) -> None:
    record: RunRecord = RunFolder(folder).record()
    RunFolder(folder).write_record(record.model_copy(update=update))


def test_one_run_by_its_name(command: Command) -> None:
    folder = command.synthetic("night")
    done = command("report", "night", "--quiet")
    assert done.status == 0, done.stderr
    assert done.stdout.strip() == f"Report: {folder / 'report.html'}"
    assert (folder / "plots" / "latency.svg").is_file()


def test_several_runs_on_one_page(command: Command, tmp_path: Path) -> None:
    command.synthetic("night")
    phones(command.results)
    page = tmp_path / "pages" / "both.html"
    done = command("report", "night", "phones", "--out", page)
    assert done.status == 0, done.stderr
    assert "fr-auto unet is 4.02–4.12× faster everywhere." in done.stdout
    text = page.read_text(encoding="utf-8")
    assert "emulator-5554 (virtual)" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "a virtual phone against a real one" in text
    assert {f.name for f in page.parent.iterdir()} == {
        "both.html", "both.csv", "both.parquet", "both.md", "both-plots",
    }  # fmt: skip
    rows = list(csv.DictReader((page.parent / "both.csv").read_text().splitlines()[1:]))
    assert {row["run"] for row in rows} == {"night", "phones"}
    assert {row["apart"] for row in rows if row["device"] == "emulator-5554"} == {""}


def test_other_samples_are_not_comparable(command: Command) -> None:
    command.synthetic("night")
    other = command.synthetic("later")
    samples = RunFolder(other).record().samples
    changed(other, samples=samples | {"lenet5": samples["lenet5"].model_copy(update={"source": "other digits"})})
    figures = command("report", "night", "later", "--json").answer["figures"]
    apart = {row["metric"] for row in figures if row["apart"] == "other samples"}
    assert apart == {"top1"}
    assert {row["model"] for row in figures if row["apart"]} == {"lenet5"}


def test_a_part_of_a_run_has_a_page_of_its_own(command: Command) -> None:
    phones(command.results)
    figures = command("report", "phones@SYN5R1AL", "--json").answer["figures"]
    assert {row["device"] for row in figures} == {"SYN5R1AL"}
    assert len(list(command.results.glob("report-*.html"))) == 1


def test_a_variant_that_one_run_lacks_is_a_row_that_says_so(command: Command) -> None:
    command.synthetic("night")
    less = command.synthetic("less")
    trials = (less / "trials.jsonl").read_text().splitlines()
    kept = [line for line in trials if json.loads(line)["trial"]["subject"]["variant"] != "half"]
    (less / "trials.jsonl").write_text("".join(f"{line}\n" for line in kept))
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(less / "measurements.parquet")
    pq.write_table(table.filter(pc.not_equal(table["variant"], "half")), less / "measurements.parquet")
    (row,) = (
        line
        for line in command("report", "night", "less").stdout.splitlines()
        if line.startswith("half") and "less" in line
    )
    assert "failed or not asked for" in row


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nowhere"], 4, "unknown run"),
        (["night", "nowhere"], 4, "unknown run"),
        (["night", "night", "--out", "page.txt"], 2, "is not the name of a page"),
    ],
)
def test_mistakes_are_told(command: Command, arguments: list[str], status: int, words: str) -> None:
    command.synthetic("night")
    done = command("report", *arguments)
    assert done.status == status
    assert words in done.stderr


def test_words_from_a_device_are_shown_as_text(command: Command, tmp_path: Path) -> None:
    folder = phones(command.results)
    devices = tuple(
        d.model_copy(update={"name": "<script>alert(1)</script> \x1b[31m"}) for d in RunFolder(folder).record().devices
    )
    changed(folder, devices=devices)
    page = tmp_path / "page.html"
    done = command("report", "phones", "--out", page)
    assert done.status == 0, done.stderr
    text = page.read_text(encoding="utf-8") + page.with_suffix(".md").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "\x1b" not in text + done.stdout


def test_samples_of_a_run_that_also_stored_how_far_its_inputs_are_off_are_the_same(command: Command) -> None:
    command.synthetic("night")
    other = command.synthetic("later")
    samples = RunFolder(other).record().samples
    more = {label: one.model_copy(update={"unaltered": {"squared_error": (0.1,)}}) for label, one in samples.items()}
    changed(other, samples=more)
    figures = command("report", "night", "later", "--json").answer["figures"]
    assert {row["apart"] for row in figures} == {""}


def test_variants_are_sorted_as_asked_on_the_page_and_in_their_own_file(command: Command) -> None:
    folder = store(command.results, "few", FEW[:4], launches=3, count=100).path
    assert command("report", folder.name, "--sort", "latency", "--quiet").status == 0
    rows = list(csv.DictReader((folder / "variants.csv").read_text().splitlines()[1:]))
    names = [row["variant"] for row in rows]
    assert names == ["prune:16kB", "fr:2kB", "fr:16kB", "baseline", "(the most frequent class each time)"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    table = page[page.index('id="rivals"') :]
    shown = [table.index(f">{name}<") for name in names[:-1]]
    assert shown == sorted(shown)
    assert command("report", folder.name, "--sort", "beauty").status == 2


def test_the_variants_of_a_run_are_in_its_json(command: Command) -> None:
    folder = store(command.results, "few", FEW, launches=3, count=300).path
    rows = command("report", folder.name, "--json").answer["variants"]
    (fr,) = (row for row in rows if row["variant"] == "fr:2kB")
    assert (fr["family"], fr["target"], fr["epochs"], fr["labels"], fr["virtual"]) == ("fr", "2kB", 30, True, True)
    assert fr["deployed"] == 1_990
    assert fr["off_target"] == pytest.approx(-0.005)
    assert fr["downloaded"] == round(0.93 * 1_990)
    (half,) = (row for row in rows if row["variant"] == "half")
    assert (half["family"], half["epochs"]) == ("half", None)
