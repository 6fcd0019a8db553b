"""The page's server: this computer alone can reach it, and of its programs only the page that was opened.

It listens on the loopback interface. A request must be for its own address (else a name of somebody's that was made to
point here could read it: DNS rebinding), with the secret of this call in its path; what changes something needs a
second one in a header, which no other page can send. Pictures are decoded and written again: no byte of a phone's file
reaches the browser as it is. Everything that is read is bounded.
"""

from __future__ import annotations

import functools
import io
import json
import secrets
import string
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from PIL import Image

from bench.campaign.labelling.store import ASIDE, Labels, Now
from bench.data.readers.pictures import decoded
from bench.errors import BenchError, CorruptData
from bench.text import visible

HOST = "127.0.0.1"
MOST_BODY = 4_096
MOST_SIDE = 1_200
"""Pixels of a picture's longer side on the page."""
_AT_ONCE = 32
_PATIENCE_S = 20


class Page(ThreadingHTTPServer):
    """The server of one labelling; `url` is where its page is. Port 0 takes a free one. Raises OSError."""

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, labels: Labels, title: str, port: int = 0) -> None:
        self.labels, self.title = labels, title
        self.secret, self.token = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
        self.room = threading.BoundedSemaphore(_AT_ONCE)
        self.told: Callable[[Now], None] = lambda now: None
        super().__init__((HOST, port), _Handler)
        here = self.server_address[1]
        self.hosts = frozenset((f"{HOST}:{here}", f"localhost:{here}"))
        self.url = f"http://{HOST}:{here}/{self.secret}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.room.acquire(blocking=False):  # whoever opens hundreds of connections waits for nobody
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is nothing to tell."""

    def page(self, nonce: str) -> bytes:
        template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
        facts = json.dumps(
            {"token": self.token, "classes": self.labels.classes, "more": self.labels.more, "aside": ASIDE}
        )
        safe = facts.replace("<", "\\u003c").replace("&", "\\u0026").replace("\u2028", "\\u2028")
        title = visible(self.title).replace("&", "&amp;").replace("<", "&lt;")
        return string.Template(template).substitute(nonce=nonce, facts=safe, title=title).encode()


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Page
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    server_version, sys_version = "bench", ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
        """Nothing: the terminal shows what is labelled."""

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def _answered(self, act: Callable[[str], None]) -> None:
        try:
            act(self._asked())
        except _Refused as refused:
            self.close_connection = True  # what else comes on it was not read
            self._send({"error": str(refused)}, refused.status)
        except BenchError as error:
            self._send({"error": visible(f"{error.what}. {error.fix}"), **self._state()}, HTTPStatus.CONFLICT)
        except (TimeoutError, ConnectionError):
            self.close_connection = True

    def _asked(self) -> str:
        """What is asked for, behind the secret. Raises _Refused."""
        if len(self.headers.get_all("Host") or ()) != 1 or self.headers["Host"] not in self.server.hosts:
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "this is not the address of bench label")
        head, _, what = self.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(head.encode(), self.server.secret.encode()):
            raise _Refused(HTTPStatus.NOT_FOUND, "open the address that bench label printed")
        return what

    def _get(self, what: str) -> None:
        if what == "":
            nonce = secrets.token_urlsafe(12)
            self._whole(self.server.page(nonce), "text/html; charset=utf-8", HTTPStatus.OK, nonce)
        elif what == "state":
            self._send(self._state())
        elif what.startswith("picture/"):
            self._picture(unquote(what.removeprefix("picture/")))
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is no such page")

    def _picture(self, name: str) -> None:
        labels = self.server.labels
        if not labels.has(name):
            raise _Refused(HTTPStatus.NOT_FOUND, "there is no such picture")
        try:
            self._whole(_shown(str(labels.folder / name)), "image/png", HTTPStatus.OK)
        except CorruptData as error:
            self._send({"error": visible(error.what)}, HTTPStatus.UNPROCESSABLE_ENTITY)

    def _post(self, what: str) -> None:
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise _Refused(HTTPStatus.FORBIDDEN, "another page asked")
        if not secrets.compare_digest(self.headers.get("X-Bench-Token", "").encode(), self.server.token.encode()):
            raise _Refused(HTTPStatus.FORBIDDEN, "the page is of an earlier call: load it again")
        given, labels = self._body(), self.server.labels
        picture, name = given.get("picture"), given.get("class")
        match what:
            case "label" if isinstance(picture, str) and isinstance(name, str):
                now = labels.place(picture, name)
            case "aside" if isinstance(picture, str):
                now = labels.place(picture, ASIDE)
            case "skip" if isinstance(picture, str):
                now = labels.skip(picture)
            case "undo":
                now = labels.undo()
            case _:
                raise _Refused(HTTPStatus.BAD_REQUEST, "this cannot be asked for")
        self.server.told(now)
        self._send(self._state(now))

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "its length is not said")
        if len(length) > 6 or int(length) > MOST_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_BODY} bytes")
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "it is not JSON")
        try:
            found = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _Refused(HTTPStatus.BAD_REQUEST, "it is not JSON") from None
        if not isinstance(found, dict):
            raise _Refused(HTTPStatus.BAD_REQUEST, "it is not what the page sends")
        return found

    def _state(self, now: Now | None = None) -> dict[str, Any]:
        now = now or self.server.labels.now()
        guess = {"class": now.guess.name, "confidence": now.guess.confidence} if now.guess else None
        last = {"picture": now.last.picture, "place": now.last.place} if now.last else None
        return {
            "picture": now.picture, "guess": guess, "left": now.left, "done": now.done, "counts": now.counts,
            "last": last, "classes": self.server.labels.classes, "next": self.server.labels.next(),
        }  # fmt: skip

    def _send(self, values: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._whole(json.dumps(values).encode(), "application/json", status)

    def _whole(self, body: bytes, kind: str, status: HTTPStatus, nonce: str = "") -> None:
        self.send_response(status)
        allowed = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; " if nonce else ""
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", f"default-src 'none'; {allowed}img-src 'self' data:; connect-src 'self'; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ):  # fmt: skip
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


@functools.lru_cache(maxsize=8)
def _shown(path: str) -> bytes:
    """The picture as a PNG for the page. Raises CorruptData."""
    picture = decoded(Path(path))
    picture.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.BILINEAR)
    written = io.BytesIO()
    picture.save(written, format="PNG")
    return written.getvalue()
