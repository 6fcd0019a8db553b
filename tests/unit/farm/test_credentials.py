"""Certificates of a farm, and the two ends of a connection that has them."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.farm import credentials
from bench.farm.address import parse

TLS = parse("tls://lab-1:8786")


def served(server: Path, client: ssl.SSLContext) -> bytes:
    """What a listener with the certificate of `server`, as Dask makes it, reads from that client."""
    context = credentials.security(server, TLS).get_listen_args("worker")["ssl_context"]
    ours, theirs = socket.socketpair()
    read: list[bytes] = []

    def listen() -> None:
        try:
            with context.wrap_socket(ours, server_side=True) as conn:
                read.append(conn.recv(5))
        except (ssl.SSLError, OSError):
            ours.close()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        with client.wrap_socket(theirs) as conn:
            conn.sendall(b"hello")
            conn.settimeout(10)
            conn.recv(1)
    except (ssl.SSLError, OSError):
        theirs.close()
    thread.join(10)
    return b"".join(read)


def with_certificate(folder: Path) -> ssl.SSLContext:
    found: ssl.SSLContext = credentials.security(folder, TLS).get_connection_args("client")["ssl_context"]
    return found


def test_only_who_has_a_certificate_of_the_same_authority_is_heard(tmp_path: Path) -> None:
    worker, coordinator = credentials.make(tmp_path / "farm", ["worker", "coordinator"])
    (stranger,) = credentials.make(tmp_path / "other", ["worker"])
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
    assert served(worker, with_certificate(coordinator)) == b"hello"
    assert served(worker, with_certificate(stranger)) == b""
    assert served(worker, nobody) == b""


def test_keys_are_for_their_owner_alone_and_one_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (folder,) = credentials.make(tmp_path, ["lab-2"])
    key = folder / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert credentials.security(folder, TLS).require_encryption
    key.chmod(0o644)
    with pytest.raises(UsageError, match="may be read by others"):
        credentials.security(folder, TLS)


def test_one_more_can_take_part_later_but_a_name_is_given_once(tmp_path: Path) -> None:
    (first,) = credentials.make(tmp_path, ["lab-1"])
    (second,) = credentials.make(tmp_path, ["lab-2"])
    assert served(first, with_certificate(second)) == b"hello"
    with pytest.raises(UsageError, match="there already"):
        credentials.make(tmp_path, ["lab-1"])


@pytest.mark.parametrize("name", ["", "..", "a/b", "authority", "-x", "a\nb"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a certificate"):
        credentials.make(tmp_path, [name])
    assert not list(tmp_path.iterdir())


def test_tls_without_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a certificate"):
        credentials.security(None, TLS)
    with pytest.raises(UsageError, match=r"has no ca\.pem"):
        credentials.security(tmp_path, TLS)
