"""Who may be spoken to without TLS: this computer."""

from __future__ import annotations

import pytest

from bench.errors import UsageError
from bench.farm.address import parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tls://lab-1:8786", "tls://lab-1:8786"),
        ("tls://lab-1", "tls://lab-1:8786"),
        ("tls://[2001:db8::1]:99", "tls://[2001:db8::1]:99"),
        ("tcp://127.0.0.1:99", "tcp://127.0.0.1:99"),
        ("tcp://[::1]:99", "tcp://[::1]:99"),
    ],
)
def test_an_address_is_read(text: str, address: str) -> None:
    assert str(parse(text)) == address


@pytest.mark.parametrize(
    "text",
    ["tcp://10.0.0.1:99", "tcp://lab-1:99", "tcp://0.0.0.0:99", "tcp://[::]:99", "tcp://[2001:db8::1]:99",
     "tcp://localhost.evil.example:99", "tcp://localhost:99"],
)  # fmt: skip
def test_another_computer_is_not_spoken_to_without_tls(text: str) -> None:
    with pytest.raises(UsageError, match="another computer"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", "lab-1:8786", "http://lab-1", "tls://", "tls://a b:1", "tls://lab:0", "tls://lab:99999", "tls://::1:9"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a scheduler's address"):
        parse(text)
