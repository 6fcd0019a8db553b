"""Where a farm's scheduler is, and whether it may be spoken to there without TLS."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

from bench.devices.words import clean
from bench.errors import UsageError

DEFAULT_PORT = 8786


class Address(NamedTuple):
    """`scheme` is tls or tcp; an IPv6 `host` is without its brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse(text: str) -> Address:
    """`tls://HOST[:PORT]`, or `tcp://` of this computer alone. Raises UsageError, also for tcp to anywhere else: who is
    let in can run code, so nobody is let in without a certificate."""
    found = re.fullmatch(r"(tls|tcp)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?", text)
    if not found or not 0 < int(found[3] or DEFAULT_PORT) < 65536:
        raise UsageError(f"{clean(text)!r} is not a scheduler's address", "Write tls://HOST:PORT; IPv6 in brackets.")
    address = Address(found[1], found[2].strip("[]"), int(found[3] or DEFAULT_PORT))
    if address.scheme == "tcp" and not is_loopback(address.host):
        raise UsageError(
            f"{address} is another computer, and tcp:// is neither encrypted nor does it ask who is there",
            f"Write {address._replace(scheme='tls')}, with certificates by `bench farm init`.",
        )
    return address


def is_loopback(host: str) -> bool:
    """Whether a literal address cannot be reached from another computer. A name may mean anything: it is not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_address(towards: Address) -> str:
    """The address of this computer from which another is reached: a worker listens there and nowhere else."""
    try:
        where = socket.getaddrinfo(towards.host, towards.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(where[0], socket.SOCK_DGRAM) as probe:
            probe.connect(where[4])
            return str(probe.getsockname()[0])
    except OSError as error:
        raise UsageError(
            f"there is no way from here to {towards}: {error.strerror}", "Look at the name and at the network."
        ) from None
