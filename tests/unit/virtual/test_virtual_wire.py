"""The ADB message codec, and a connection that is fed whatever a peer may send."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.virtual.wire import (
    HEADER,
    MAX_PAYLOAD,
    VERSION,
    Command,
    Connection,
    Header,
    Malformed,
    Service,
    Stream,
)

words = st.integers(0, 0xFFFFFFFF)


@given(words, words, words, st.integers(0, MAX_PAYLOAD), words)
def test_what_is_encoded_is_decoded(command: int, arg0: int, arg1: int, length: int, checksum: int) -> None:
    header = Header(command, arg0, arg1, length, checksum)
    assert Header.decode(header.encode()) == header


def test_bytes_of_a_known_message() -> None:
    assert Header(Command.OPEN, 1, 0, 5, 7).encode() == b"OPEN" + bytes.fromhex(
        "01000000 00000000 05000000 07000000"
    ) + bytes(byte ^ 0xFF for byte in b"OPEN")


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    try:
        header = Header.decode(data)
    except Malformed:
        return
    assert header.encode() == data
    assert header.length <= MAX_PAYLOAD


@given(words, words, words, st.integers(0, MAX_PAYLOAD), st.integers(0, 8 * HEADER.size - 1))
def test_a_flipped_bit_of_command_or_magic_is_noticed(command: int, a: int, b: int, length: int, bit: int) -> None:
    data = bytearray(Header(command, a, b, length).encode())
    data[bit // 8] ^= 1 << bit % 8
    if bit // 8 < 4 or bit // 8 >= 20:
        with pytest.raises(Malformed, match="magic"):
            Header.decode(data)


@given(st.integers(MAX_PAYLOAD + 1, 0xFFFFFFFF))
def test_oversized_payloads_are_refused_before_they_are_read(length: int) -> None:
    with pytest.raises(Malformed, match="payload"):
        Header.decode(HEADER.pack(Command.WRTE, 1, 1, length, 0, Command.WRTE ^ 0xFFFFFFFF))


def message(command: int, arg0: int, arg1: int, payload: bytes = b"") -> bytes:
    return Header(command, arg0, arg1, len(payload), sum(payload)).encode() + payload


GREETING = message(Command.CNXN, VERSION, MAX_PAYLOAD, b"host::")


async def _echo(stream: Stream) -> None:
    while data := await stream.read():
        await stream.write(data)


def _find(name: bytes) -> Service | None:
    return _echo if name == b"echo:" else None


Answer = tuple[Header, bytes]


def parse(data: bytes) -> list[Answer]:
    """The whole messages that `data` begins with."""
    answers = []
    while len(data) >= HEADER.size:
        header = Header.decode(data[: HEADER.size])
        end = HEADER.size + header.length
        if len(data) < end:
            break
        answers.append((header, data[HEADER.size : end]))
        data = data[end:]
    return answers


def replies(sent: bytes, wanted: int = 0) -> list[Answer]:
    """What a connection answers to these bytes. The peer stops sending when it has `wanted` answers."""

    async def talk() -> bytes:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        loop = asyncio.get_running_loop()
        serving = asyncio.create_task(Connection(theirs, b"device::features=", _find).run())
        got = b""
        with ours:
            # Small enough for the socket's own buffer: nobody has to read meanwhile.
            await loop.sock_sendall(ours, sent)
            try:
                while len(parse(got)) < wanted:
                    got += await asyncio.wait_for(loop.sock_recv(ours, 1 << 16), 10)
                ours.shutdown(socket.SHUT_WR)
                while data := await asyncio.wait_for(loop.sock_recv(ours, 1 << 16), 10):
                    got += data
            except (ConnectionResetError, BrokenPipeError):  # it left without reading the rest
                pass
            await asyncio.wait_for(serving, 10)
        return got

    got = asyncio.run(talk())
    answers = parse(got)
    assert sum(HEADER.size + header.length for header, _ in answers) == len(got)
    return answers


def test_greeting_and_echo() -> None:
    answers = replies(
        GREETING + message(Command.OPEN, 7, 0, b"echo:\0") + message(Command.WRTE, 7, 1, b"hello"), wanted=4
    )
    assert [Command(header.command).name for header, _ in answers[:3]] == ["CNXN", "OKAY", "OKAY"]
    assert answers[0][0].checksum == sum(answers[0][1])
    assert (Header(Command.WRTE, 1, 7, 5, 0), b"hello") in answers


def test_an_unknown_service_is_refused_with_local_id_0() -> None:
    assert replies(GREETING + message(Command.OPEN, 7, 0, b"nonsense:\0"))[1][0] == Header(Command.CLSE, 0, 7)


def test_an_old_peer_gets_checksums_and_small_payloads() -> None:
    """One payload, that is: the rest waits until the first is acknowledged, which never happens."""
    answers = replies(
        message(Command.CNXN, 0x01000000, 4096, b"host::")
        + message(Command.OPEN, 7, 0, b"echo:\0")
        + message(Command.WRTE, 7, 1, b"x" * 5000),
        wanted=4,
    )
    data = [(header, payload) for header, payload in answers if header.command == Command.WRTE]
    assert [(header.length, header.checksum) for header, _ in data] == [(4096, 4096 * ord("x"))]


@pytest.mark.parametrize(
    "sent",
    [
        message(Command.OPEN, 7, 0, b"echo:\0"),
        message(Command.CNXN, VERSION, 100, b"host::"),
        GREETING + message(Command.OPEN, 0, 0, b"echo:\0"),
        GREETING + message(Command.OPEN, 7, 0, b"echo:\0") + message(Command.WRTE, 7, 1, b"x") * 50,
        GREETING + struct.pack("<6I", 0, 0, 0, 0, 0, 0),
    ],
)
def test_a_peer_that_breaks_the_protocol_loses_its_connection(sent: bytes) -> None:
    """What follows the breach is not answered."""
    answers = replies(sent + message(Command.OPEN, 99, 0, b"nonsense:\0"))
    assert all(header.arg1 != 99 for header, _ in answers)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(
                message,
                st.one_of(st.sampled_from(list(Command)), words),
                st.one_of(st.integers(0, 8), words),
                st.one_of(st.integers(0, 8), words),
                st.one_of(st.just(b"echo:\0"), st.binary(max_size=100)),
            ),
        ),
        max_size=12,
    )
)
def test_no_bytes_bring_a_connection_down_the_hard_way(parts: list[bytes]) -> None:
    """It ends in order: every answer is whole, nothing raises."""
    assert replies(GREETING + b"".join(parts))[0][0].command == Command.CNXN
