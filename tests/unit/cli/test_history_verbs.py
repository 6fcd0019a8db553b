"""`bench results`, `bench trend`, `bench plan` and `bench calibrate --show` on a folder of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.results.history import History
from tests.unit.cli.command_kit import Command, command
from tests.unit.results.test_history import rows

__all__ = ["command"]


@pytest.fixture
def nights(command: Command) -> Command:
    """Twenty nights of a phone, slower by a tenth from the twelfth on; the folders are gone."""
    history = History(command.results / "history")
    for n in range(20):
        value = (1.1 if n >= 12 else 1.0) * 1e7 * (1 + 0.001 * (n % 3))
        history.add(rows(f"n{n:02}", when=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n), value=value))
    return command


class TestResults:
    def test_a_run_is_added_listed_shown_tagged_and_found_by_its_tag(self, command: Command) -> None:
        folder = command.synthetic()
        (listed,) = command("results", "list", "--json").answer
        assert (listed["name"], listed["kept"]) == ("night", False)
        assert command("results", "add", folder).status == 0
        assert command("results", "tag", "night", "good").status == 0
        (listed,) = command("results", "list", "--json").answer
        assert (listed["kept"], listed["tags"], listed["virtual"]) == (True, ["good"], True)
        shown = command("results", "show", "good:fr-auto@emulator-5554")
        assert shown.status == 0
        assert "212 ms" in shown.stdout
        assert "desktop" not in shown.stdout
        assert command("results", "tag", "good", "good", "--remove").status == 0
        assert command("results", "list", "--tag", "good").stdout == ""

    def test_the_newest_run_is_one_of_the_history(self, command: Command) -> None:
        command.synthetic()
        done = command("results", "show", "last")
        assert done.status == 4
        assert "has 0 runs" in done.stderr
        assert "bench results add" in done.stderr

    def test_what_was_changed_is_said_and_is_json_on_request(self, command: Command) -> None:
        folder = command.synthetic()
        (added,) = command("results", "add", folder, "--json").answer
        assert added["kept"]
        tagged = command("results", "tag", "night", "good", "--json")
        assert "night: good" in tagged.stderr
        assert tagged.answer[0]["tags"] == ["good"]
        assert "No run has the tag bad." in command("results", "list", "--tag", "bad").stderr
        (deleted,) = command("results", "delete", "night", "--yes", "--json").answer
        assert deleted["name"] == "night"
        assert not folder.exists()

    def test_nothing_is_deleted_without_a_yes(self, command: Command) -> None:
        folder = command.synthetic()
        done = command("results", "delete", "night")
        assert done.status == 2
        assert "--yes" in done.stderr
        assert (folder / "run.json").is_file()

    def test_a_folder_may_go_and_its_figures_stay(self, command: Command) -> None:
        folder = command.synthetic()
        command("results", "add", folder)
        assert command("results", "delete", "night", "--folders-only", "--yes").status == 0
        assert not folder.exists()
        (listed,) = command("results", "list", "--json").answer
        assert (listed["kept"], listed["bytes"]) == (True, None)
        assert command("results", "delete", "night", "--yes").status == 0
        assert command("results", "list", "--json").answer == []

    def test_old_runs_are_deleted_unless_they_are_tagged(self, nights: Command) -> None:
        nights("results", "tag", "n00", "kept")
        assert nights("results", "delete", "--older-than", "1d", "--yes").status == 0
        assert [one["name"] for one in nights("results", "list", "--json").answer] == ["n00"]

    def test_a_damaged_folder_is_listed_and_other_runs_too(self, nights: Command) -> None:
        broken = nights.results / "broken"
        broken.mkdir()
        (broken / "run.json").write_text("{")
        listed = {one["name"]: one for one in nights("results", "list", "--json").answer}
        assert len(listed) == 21
        assert "not the record of a run" in listed["broken"]["damaged"]

    @pytest.mark.parametrize(
        ("arguments", "status", "words"),
        [
            (("tag", "nowhere", "good"), 4, "unknown run"),
            (("tag", "n00", "../x"), 2, "not a tag"),
            (("show", "n99"), 4, "Did you mean n"),
            (("delete",), 2, "no run was named"),
            (("delete", "--older-than", "soon"), 2, "90d"),
            (("delete", "n99", "--yes"), 4, "unknown run"),
        ],
    )
    def test_mistakes_have_words(self, nights: Command, arguments: tuple[str, ...], status: int, words: str) -> None:
        done = nights("results", *arguments)
        assert done.status == status
        assert words in done.stderr


class TestTrend:
    def test_it_says_which_night(self, nights: Command, tmp_path: Path) -> None:
        plot = tmp_path / "trend.svg"
        done = nights("trend", "--plot", plot)
        assert done.status == 0
        assert "slower by 10.0 % since 2026-01-13 (run n12)" in done.stdout
        text = plot.read_text()
        assert text.startswith("<?xml")
        assert "+10.0 % since 2026-01-13" in text
        (answer,) = nights("trend", "--json").answer
        (change,) = answer["changes"]
        assert (change["at"], change["word"], len(answer["nights"])) == (12, "slower", 20)

    def test_a_picture_for_pages_is_png(self, nights: Command, tmp_path: Path) -> None:
        nights("trend", "--plot", tmp_path / "t.png")
        assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--metric", "speed"), "latency"), (("--since", "May"), "2026-11"), (("--plot", "t.pdf"), "trend.svg"),
            (("--device", "p9"), "nothing of the kind"),
        ],
    )  # fmt: skip
    def test_mistakes_have_words(self, nights: Command, arguments: tuple[str, ...], words: str) -> None:
        done = nights("trend", *arguments)
        assert done.status == 2
        assert words in done.stderr


def test_a_plan_says_what_its_launches_find_on_known_devices(nights: Command) -> None:
    done = nights("plan", "--suite", "quick", "--launches", "20", "--json")
    (power,) = done.answer["power"]
    assert (power["device"], power["launches"]) == ("p1", 20)
    assert 0 <= power["within"]["value"] <= power["finds"] < 0.05


def test_a_plan_for_unknown_devices_says_that_it_does_not_know(command: Command) -> None:
    done = command("plan", "--suite", "quick")
    assert "bench calibrate" in done.stdout
    assert done.status == 0


def test_what_is_known_of_noise_is_shown(nights: Command) -> None:
    (known,) = nights("calibrate", "--show", "--json").answer
    assert known["noise"]["run_freedom"] == 19
    assert known["between"]["measured"]
    assert "floor from run to run" in nights("calibrate", "--show").stdout
