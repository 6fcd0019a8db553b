"""`bench label`: the page in a real browser, what its server refuses, and what is left on disk."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.e2e.browser_kit import Browser, browser, program
from tests.e2e.command import bench, command

KEYS = ("left", "right", "stop")


@pytest.fixture
def field(tmp_path: Path) -> Path:
    folder = tmp_path / "field"
    folder.mkdir()
    for number in range(5):
        shown = np.random.default_rng(number).integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(shown).save(folder / f"{number}.png")
        os.utime(folder / f"{number}.png", (1_700_000_000 + number,) * 2)
    (tmp_path / "classes.txt").write_text("\n".join(KEYS))
    return folder


@contextmanager
def labelling(*arguments: str | Path, env: dict[str, str]) -> Iterator[str]:
    """The address of a page that is served meanwhile; the command must end well by Ctrl-C."""
    with subprocess.Popen(
        command("label", *arguments, "--json"), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        told = ""
        while not told.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            told += line
        try:
            yield json.loads(told)["url"]
        finally:
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(timeout=60) == 0, said
            assert "Traceback" not in said


@pytest.fixture
def environment() -> dict[str, str]:
    return dict(os.environ)


class Client:
    """Speaks to the server as the page does, or not quite."""

    def __init__(self, url: str) -> None:
        self.place = urlsplit(url)
        status, page = self.get("")
        assert status == 200
        self.token = re.search(r'"token": "([\w-]+)"', page)[1]  # type: ignore[index]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection(self.place.netloc, timeout=30)) as connection:
            connection.request(method, path if path.startswith("/") else self.place.path + path, body, named)
            with connection.getresponse() as answer:
                return answer.status, answer.read().decode(errors="replace")

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        return self.ask("GET", path, **headers)

    def post(self, what: str, values: Any, **headers: str) -> tuple[int, Any]:
        own = {"Content_Type": "application/json", "X_Bench_Token": self.token} | headers
        status, text = self.ask("POST", what, json.dumps(values).encode(), **own)
        return status, json.loads(text)


def test_what_the_page_sends_puts_pictures_into_class_folders(field: Path, environment: dict[str, str]) -> None:
    with labelling(field, "--classes", field.parent / "classes.txt", env=environment) as url:
        page = Client(url)
        assert json.loads(page.get("state")[1])["picture"] == "0.png"
        assert page.get("picture/0.png")[0] == 200
        assert page.post("label", {"picture": "0.png", "class": "stop"})[1]["counts"] == {"stop": 1}
        assert page.post("skip", {"picture": "1.png"})[1]["picture"] == "2.png"
        assert page.post("aside", {"picture": "2.png"})[1]["left"] == 3
        assert page.post("undo", {})[1]["picture"] == "2.png"
        status, said = page.post("label", {"picture": "3.png", "class": "../../out"})
        assert (status, said["left"]) == (409, 4)
        assert page.post("label", {"picture": "0.png", "class": "left"})[0] == 409
    assert (field / "stop" / "0.png").is_file()
    assert sorted(path.name for path in field.glob("*.png")) == ["1.png", "2.png", "3.png", "4.png"]
    assert not (field.parent.parent / "out").exists()


def test_a_picture_that_is_gone_meanwhile_is_said_to_be_and_the_next_one_comes(
    field: Path, environment: dict[str, str]
) -> None:
    with labelling(field, "--classes", field.parent / "classes.txt", env=environment) as url:
        page = Client(url)
        (field / "0.png").unlink()
        status, said = page.post("label", {"picture": "0.png", "class": "stop"})
        assert (status, said["left"], said["picture"]) == (409, 4, "1.png")
        assert "0.png is no longer in" in said["error"]
        assert "permissions" not in said["error"]
        assert not (field / "stop").exists()
        page.post("label", {"picture": "1.png", "class": "left"})
        page.post("label", {"picture": "2.png", "class": "stop"})
        (field / "stop" / "2.png").unlink()
        status, said = page.post("undo", {})
        assert (status, said["counts"]["stop"]) == (409, 0)
        assert "2.png is no longer in" in said["error"]
        assert page.post("undo", {})[1]["picture"] == "1.png"


def test_nobody_but_the_page_is_answered(field: Path, environment: dict[str, str]) -> None:
    with labelling(field, env=environment) as url:
        page = Client(url)
        label = {"picture": "0.png", "class": "stop"}
        assert page.get("state", Host="evil.example")[0] == 421
        assert page.get("state", Host=f"evil.example:{page.place.port}")[0] == 421
        assert page.get("/state")[0] == 404
        assert page.get("/")[0] == 404
        assert page.get("picture/..%2f..%2fetc%2fpasswd")[0] == 404
        assert page.post("label", label, X_Bench_Token="guess")[0] == 403
        assert page.post("label", label, Origin="http://evil.example")[0] == 403
        assert page.post("label", label, Origin="null")[0] == 403
        assert page.post("label", label, Content_Type="text/plain")[0] == 415
        assert page.post("label", label | {"more": "x" * 5_000})[0] == 413
        assert page.post("label", [1])[0] == 400
        assert page.post("format", label)[0] == 400
        own = {"Content_Type": "application/json", "X_Bench_Token": page.token}
        assert page.ask("POST", "label", b"[" * 4_000, **own)[0] == 400
        assert page.ask("DELETE", "label")[0] == 501
        with socket.create_connection(("127.0.0.1", page.place.port), timeout=30) as raw:
            raw.sendall(f"POST {page.place.path}label HTTP/1.1\r\nHost: {page.place.netloc}\r\n"
                        f"X-Bench-Token: {page.token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())  # fmt: skip
            assert b" 411 " in raw.recv(4_096)
        assert json.loads(page.get("state")[1])["left"] == 5


def test_mistakes_are_said(field: Path, environment: dict[str, str], tmp_path: Path) -> None:
    (field / "unknown").mkdir()
    listed = field.parent / "classes.txt"
    assert "'unknown'" in bench("label", field, "--classes", listed, env=environment, status=2).stderr
    assert "not a folder" in bench("label", tmp_path / "none", env=environment, status=2).stderr
    listed.write_text("a/b\nc")
    assert "'a/b'" in bench("label", field, "--classes", listed, env=environment, status=2).stderr
    with labelling(field, env=environment):
        assert "another bench labels" in bench("label", field, env=environment, status=18).stderr


@contextmanager
def _opened(chromium: str, url: str) -> Iterator[Browser]:
    with browser(chromium) as shown:
        shown.open(url)
        shown.wait(
            "document.body.dataset.picture === '0.png' && document.getElementById('picture').naturalWidth === 24"
        )
        yield shown


@pytest.mark.browser
def test_a_person_labels_by_keyboard_and_mouse_in_a_browser(
    field: Path, environment: dict[str, str], chromium: str
) -> None:
    with (
        labelling(field, "--classes", field.parent / "classes.txt", env=environment) as url,
        _opened(chromium, url) as page,
    ):
        page.press("3")
        page.wait("document.body.dataset.picture === '1.png'")
        page.press("1")
        page.wait("document.body.dataset.picture === '2.png'")
        page.press("Backspace")
        page.wait("document.body.dataset.picture === '1.png'")
        page.press(*"rig", "Enter")
        page.wait("document.body.dataset.picture === '2.png'")
        page.press(" ")
        page.wait("document.body.dataset.picture === '3.png'")
        page.click("button[data-name=left]")
        page.wait("document.body.dataset.picture === '4.png'")
        page.press("Delete")
        page.wait("document.body.dataset.picture === '2.png'")
        page.press("2")
        page.wait("!document.getElementById('end').hidden")
        assert page.said == []
    assert {path.relative_to(field).as_posix() for path in field.rglob("*.png")} == {
        "stop/0.png", "right/1.png", "right/2.png", "left/3.png", ".aside/4.png",
    }  # fmt: skip


@pytest.mark.browser
def test_a_browser_makes_folders_of_new_classes_where_none_are_given(
    field: Path, environment: dict[str, str], chromium: str
) -> None:
    with labelling(field, env=environment) as url, _opened(chromium, url) as page:
        page.press(*"<b>", "Enter")
        page.wait("document.getElementById('said').textContent.includes('cannot be the name')")
        page.press(*"Tor 1", "Enter")
        page.wait("document.body.dataset.picture === '1.png'")
        page.press("t", "Enter")
        page.wait("document.body.dataset.picture === '2.png'")
    assert sorted(path.name for path in (field / "Tor 1").iterdir()) == ["0.png", "1.png"]


@pytest.fixture(scope="module")
def chromium() -> str:
    found = program()
    assert found, "these tests need Chromium: make test-browser installs it, CHROMIUM names another"
    return found
