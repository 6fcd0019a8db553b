"""Strings that would like to be commands: on a phone's shell, in a job file, on a page, in a table, on a terminal."""

from __future__ import annotations

import contextlib
import csv
import shutil
import socket
import string
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.analyse import analyse
from bench.cli import terminal
from bench.devices import facts
from bench.devices.adb import FOLDER, AdbServer, AdbTransport
from bench.errors import UsageError
from bench.measure.job import Files, Job
from bench.plan import Protocol
from bench.records import RunRecord, Subject, Trial
from bench.report import Context, content, html, verdicts
from bench.report.values import summary_csv
from bench.results.folder import RunFolder
from bench.virtual.phone import VirtualPhone
from tests.e2e.conftest import Adb
from tests.faults.kit import ANSWER, END, Bed, run

GOLDEN = Path(__file__).parents[1] / "golden" / "synthetic-run-2"
ATTACK = "=1+$(touch pwned)`id`;'\"|&\n<script>alert(1)</script>\u202e\x1b]0;x\x07\x1b[31m\\{{7*7}}%s${IFS}*~#../../"
NAME = "=1<script>alert(1)</script>\"'|\u202e\x1b[31m"
"""As long as a name may be on a plot."""
HOSTILE = st.text(
    st.one_of(st.sampled_from("'\"`$();|&<>\\\n\r\t*?~#!{}[]=+-@,% \x1b\x07\x7f\u202e\u2028\x85é"),
              st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
    max_size=60,
)  # fmt: skip
ON_A_PHONE = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# A phone


@ON_A_PHONE
@given(HOSTILE, HOSTILE)
@example(ATTACK, "-n")
def test_arguments_are_no_commands(transport: AdbTransport, first: str, second: str) -> None:
    done = transport.run(["printf", "%s|%s|", "x" + first, second], deadline_s=20)
    assert done.stdout.rstrip("\n") == f"x{first}|{second}|".rstrip("\n")
    assert done.status == 0


@ON_A_PHONE
@given(st.text(st.sampled_from("'\"`$();|&<>\\*?~#!{}[]=+-@,% é"), min_size=1, max_size=30))
def test_files_have_the_names_that_they_were_given(transport: AdbTransport, virtual_phone: object, name: str) -> None:
    remote = f"{FOLDER}/hostile-{name}"
    local = Path(__file__)
    transport.run(["mkdir", "-p", FOLDER], deadline_s=20)
    transport.push(local, remote, deadline_s=20)
    try:
        assert transport.run(["cat", remote], deadline_s=20).stdout == local.read_text()
    finally:
        transport.run(["rm", "-f", remote], deadline_s=20)


def test_what_a_device_sends_is_never_unpickled(transport: AdbTransport, tmp_path: Path) -> None:
    """The answers of a launch are a pickle that would make a file."""
    mark = tmp_path / "unpickled"
    octal = "".join(f"\\{byte:03o}" for byte in b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR.")
    swap = f"printf '{octal}' > \"$out\"\n"
    bed = Bed.on(transport, tmp_path / "bed", ANSWER + swap + END)
    (ended,) = run(bed.lane(bed.trials(1, "accuracy")))
    assert ended.status == "failed"
    assert not mark.exists()


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "ro.product.model",
                "ro.product.manufacturer",
                "ro.soc.model",
                "ro.hardware",
                "ro.product.cpu.abilist",
                "ro.build.version.release",
            ]
        ),
        HOSTILE,
    ),
    HOSTILE,
)
def test_properties_and_serials_become_words(props: dict[str, str], serial: str) -> None:
    said = "".join(f"[{name}]: [{value}]\n" for name, value in props.items())
    device = facts.phone(serial, {"getprop": said})
    for word in (device.serial, device.name, device.os, *device.abis, *device.facts.values()):
        assert word.isprintable(), word
        assert len(word) <= 200


# Files for a phone


@settings(max_examples=200, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
@example("a,b", "/g", "fp32")
def test_a_job_says_what_it_was_told_or_is_not_written(name: str, path: str, other: str) -> None:
    job = Job("memory", Files(path, other or "-", "/s", "/a"), (name, "in1"), ("out0",), "runtime", "stock")
    try:
        text = job.text(Protocol())
    except UsageError:
        return
    found = dict(line.split(" = ", 1) for line in text.rstrip("\n").split("\n"))
    assert found["graph"] == path
    assert found["weights"] == (other or "-")
    assert found["inputs"].split(",") == [name, "in1"]
    assert found["mode"] == "memory"


@settings(max_examples=200, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
@example(ATTACK, "../../../etc/passwd", "-rf")
def test_files_of_a_trial_have_plain_names(model: str, variant: str, device: str) -> None:
    trial = Trial(subject=Subject(model=model, variant=variant, device=device, runtime="ncnn"), pass_="latency")
    assert set(trial.file_stem) <= set(string.ascii_letters + string.digits + "._-")
    assert trial.file_stem.startswith("latency-")
    assert len(trial.file_stem) < 100


# What people read


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """JSON with these words replaced wherever they are a whole string."""
    if isinstance(value, dict):
        return {names.get(key, key): renamed(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


class Outline(HTMLParser):
    """The elements of a page with the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[tuple[str, tuple[str, ...]]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, tuple(name for name, _ in attrs)))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Context, Path, Any]]:
    """A stored run as it is, and with an attack in the place of every name that somebody else gave."""
    found = {}
    for kind, word, name in (("plain", "plain", "plain"), ("hostile", ATTACK, NAME)):
        folder = RunFolder(Path(shutil.copytree(GOLDEN, tmp_path_factory.mktemp(kind) / "run")))
        record, frame = folder.record(), folder.consolidate()
        names = {one: f"{name}{one}" for one in ("lenet5", "emulator-5554", "baseline")}
        told = record.model_dump(mode="json")
        # A plan is checked when it is read, and holds no such label.
        run_ = RunRecord.model_validate(renamed(told, names) | {"plan": told["plan"]})
        run_ = run_.model_copy(update={"notes": (word,), "name": word, "commit": word})
        measured = tuple(
            type(one)
            .model_validate(renamed(one.model_dump(mode="json"), names))
            .model_copy(update={"reason": one.reason and word})
            for one in folder.measurements()
        )
        ids = {old.trial.id: new.trial.id for old, new in zip(folder.measurements(), measured, strict=True)}
        answers = {ids[key]: value for key, value in folder.answers().items()}
        frame = frame.replace(dict.fromkeys(("model", "variant", "device"), names))
        frame["trial"] = frame["trial"].map(ids)
        findings = analyse(frame, run_, answers)
        page = html.write(folder.path, run_, measured, findings)
        found[kind] = (Context.of(run_, measured, findings), page, findings)
    return found


def test_a_page_gets_no_element_and_no_attribute_by_a_name(reported: dict[str, tuple[Context, Path, Any]]) -> None:
    plain, hostile = (reported[kind][1].read_text(encoding="utf-8") for kind in ("plain", "hostile"))
    assert Outline(hostile).elements == Outline(plain).elements
    assert "<script>alert(1)" not in hostile
    assert not set(hostile) & set("\x1b\x07\u202e")


def test_no_cell_of_a_table_is_a_formula(reported: dict[str, tuple[Context, Path, Any]]) -> None:
    text = summary_csv(reported["hostile"][2])
    rows = list(csv.reader(text.splitlines(keepends=True)))
    assert any("alert(1)" in cell for row in rows for cell in row)
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "@", "\t", "\r"))
        assert not cell.startswith("-") or float(cell) <= 0


def test_a_terminal_is_not_commanded(
    reported: dict[str, tuple[Context, Path, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    context, _, _ = reported["hostile"]
    terminal.sections(content(context))
    shown = capfd.readouterr().out
    assert "pwned" in shown
    assert not set(shown) & set("\x1b\x07\u202e\x85\u2028")


@settings(max_examples=100, deadline=None)
@given(HOSTILE)
@example("a|b](javascript:alert(1))<img src=x onerror=y>")
def test_markdown_has_as_many_columns_whatever_the_names_are(word: str) -> None:
    lines = verdicts.markdown([], word, word).splitlines()
    assert all("<" not in line.replace("\\<", "") for line in lines if word in line)
    assert len(lines) == len(verdicts.markdown([], "a", "b").splitlines())


# The virtual phone's own port


def test_a_thousand_connections_do_not_end_the_daemon(device: Adb, virtual_phone: VirtualPhone) -> None:
    open_ones = [socket.socket() for _ in range(1000)]
    try:
        for conn in open_ones:
            conn.setblocking(False)
            conn.connect_ex(("127.0.0.1", virtual_phone.port))
        assert device.shell("echo alive") == "alive\n"
        for conn in open_ones:
            with contextlib.suppress(OSError):
                conn.send(b"CNXN and then nothing that makes sense")
        assert device.shell("echo alive") == "alive\n"
    finally:
        for conn in open_ones:
            conn.close()
    assert device.shell("echo alive") == "alive\n"


def test_a_link_on_a_phone_leads_nowhere_but_into_the_phone(
    device: Adb, folder: str, adb: Adb, virtual_phone: VirtualPhone, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"secret of the host")
    transport = AdbServer(*adb.address).choose(virtual_phone.serial)
    device.shell(f"ln -s {tmp_path} {folder}/out; ln -s ../../../../../../../..{tmp_path} {folder}/up")
    for path in (f"{folder}/out/secret", f"{folder}/up/secret", f"/proc/1/root{tmp_path}/secret", f"{tmp_path}/secret"):
        assert transport.run(["cat", path], deadline_s=20).status != 0
        assert device.run("pull", path, str(tmp_path / "stolen")).returncode != 0
    for path in (f"{folder}/out/x", f"{folder}/up/x"):
        assert device.run("push", str(tmp_path / "secret"), path).returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
