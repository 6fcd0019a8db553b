"""ADB transport: messages, the connection that carries them, and the streams multiplexed over it.

Follows the protocol text of Android's own sources (`packages/modules/adb/protocol.txt`): 24-byte little-endian headers
`command, arg0, arg1, length, checksum, command ^ 0xffffffff`, then `length` bytes. At most one WRTE may be outstanding
per direction and stream; that is the back-pressure, and why nothing here buffers more than two payloads per stream.

A peer that breaks the protocol loses its connection; nothing it sends can do more.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

log = logging.getLogger(__name__)

VERSION = 0x01000001
"""The first version in which payload checksums are not looked at; they are still sent to older peers."""
MAX_PAYLOAD = 1 << 20
MIN_PAYLOAD = 4096
"""What every peer must accept (MAX_PAYLOAD_V1)."""
MAX_STREAMS = 256
HEADER = struct.Struct("<6I")


class Command(IntEnum):
    """The messages this side understands; the value is the name in ASCII, little-endian."""

    CNXN = int.from_bytes(b"CNXN", "little")
    OPEN = int.from_bytes(b"OPEN", "little")
    OKAY = int.from_bytes(b"OKAY", "little")
    WRTE = int.from_bytes(b"WRTE", "little")
    CLSE = int.from_bytes(b"CLSE", "little")


class Closed(Exception):
    """The stream or its connection is gone."""


class Malformed(Closed):
    """The peer broke the protocol, in the way the text says."""


@dataclass(frozen=True)
class Header:
    """One message without its payload of `length` bytes. `command` may be unknown: such messages are ignored."""

    command: int
    arg0: int
    arg1: int
    length: int = 0
    checksum: int = 0

    def encode(self) -> bytes:
        """The 24 bytes on the wire."""
        return HEADER.pack(self.command, self.arg0, self.arg1, self.length, self.checksum, self.command ^ 0xFFFFFFFF)

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview) -> Header:
        """The message that `data` begins. Raises Malformed for a wrong size, magic or length."""
        if len(data) != HEADER.size:
            raise Malformed(f"header of {len(data)} bytes")
        command, arg0, arg1, length, checksum, magic = HEADER.unpack(data)
        if magic != command ^ 0xFFFFFFFF:
            raise Malformed(f"magic {magic:#x} does not belong to command {command:#x}")
        if length > MAX_PAYLOAD:
            raise Malformed(f"payload of {length} bytes, more than {MAX_PAYLOAD}")
        return cls(command, arg0, arg1, length, checksum)


class Stream:
    """One stream that the peer opened."""

    def __init__(self, connection: Connection, local: int, remote: int) -> None:
        self.local = local
        self.remote = remote
        self.gone = asyncio.Event()
        """Set when either side closed the stream or the connection was lost."""
        self._connection = connection
        self._chunks: deque[memoryview] = deque()
        self._rest = memoryview(b"")
        self._arrived = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._writing = asyncio.Lock()

    @property
    def max_payload(self) -> int:
        """Bytes that one message to this peer may carry."""
        return self._connection.max_payload

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`; returns when the last message is on its way. Raises Closed."""
        rest = memoryview(data)
        async with self._writing:
            while rest:
                await self._acknowledged.wait()
                if self.gone.is_set():
                    raise Closed
                self._acknowledged.clear()
                await self._connection.send(Command.WRTE, self.local, self.remote, rest[: self.max_payload])
                rest = rest[self.max_payload :]

    async def read(self) -> memoryview:
        """The next bytes, empty when the peer closed the stream."""
        if self._rest:
            rest, self._rest = self._rest, memoryview(b"")
            return rest
        while not self._chunks:
            if self.gone.is_set():
                return memoryview(b"")
            self._arrived.clear()
            await self._arrived.wait()
        chunk = self._chunks.popleft()
        if not self.gone.is_set():
            await self._connection.send(Command.OKAY, self.local, self.remote)
        return chunk

    async def exactly(self, count: int) -> bytes:
        """`count` bytes. Raises Closed when the stream ends before."""
        parts = []
        while count:
            chunk = await self.read()
            if not chunk:
                raise Closed
            self._rest = chunk[count:]
            parts.append(chunk[:count])
            count -= len(parts[-1])
        return b"".join(parts)

    async def close(self) -> None:
        """Tell the peer; closing twice is not an error."""
        if not self.gone.is_set():
            self.drop()
            await self._connection.send(Command.CLSE, self.local, self.remote)

    def drop(self) -> None:
        """Forget the stream and wake whoever waits for it."""
        self.gone.set()
        self._arrived.set()
        self._acknowledged.set()
        self._connection.forget(self)

    def accept(self) -> None:
        """The peer took our last message (or its OPEN was answered): the next one may go."""
        self._acknowledged.set()

    def deliver(self, payload: memoryview) -> None:
        """A WRTE arrived. Raises Malformed when the peer did not wait for the last one to be acknowledged."""
        if self._chunks:
            raise Malformed("WRTE before the last one was acknowledged")
        self._chunks.append(payload)
        self._arrived.set()


Service = Callable[[Stream], Awaitable[None]]


class Connection:
    """One adb server's connection. `find` names the service for an OPEN, None to refuse it."""

    def __init__(self, sock: socket.socket, banner: bytes, find: Callable[[bytes], Service | None]) -> None:
        self.max_payload = MIN_PAYLOAD
        self._socket = sock
        self._banner = banner
        self._find = find
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._checksums = True
        self._online = False
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the peer leaves or breaks the protocol."""
        try:
            while True:
                header = Header.decode(await self._receive(HEADER.size))
                await self._handle(header, await self._receive(header.length))
        except Malformed as error:
            log.warning("connection dropped: %s", error)
        except (Closed, OSError):
            log.info("connection lost")
        finally:
            self._drop_streams()
            self._socket.close()

    async def send(self, command: int, arg0: int, arg1: int, payload: bytes | memoryview = b"") -> None:
        """Send one message. Raises Closed when the connection is lost."""
        checksum = sum(payload) & 0xFFFFFFFF if self._checksums else 0
        head = Header(command, arg0, arg1, len(payload), checksum).encode()
        async with self._sending:
            try:
                if len(payload) < 1 << 16:
                    await self._loop.sock_sendall(self._socket, head + payload)
                else:
                    await self._loop.sock_sendall(self._socket, head)
                    await self._loop.sock_sendall(self._socket, payload)
            except OSError as error:
                raise Closed from error

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream.local, None)

    async def _receive(self, count: int) -> memoryview:
        buffer = memoryview(bytearray(count))
        got = 0
        while got < count:
            received = await self._loop.sock_recv_into(self._socket, buffer[got:])
            if not received:
                raise Closed
            got += received
        return buffer

    async def _handle(self, header: Header, payload: memoryview) -> None:
        if header.command == Command.CNXN:
            await self._greet(header)
        elif not self._online:
            raise Malformed("a message before CNXN")
        elif header.command == Command.OPEN:
            await self._open(header.arg0, bytes(payload))
        elif stream := self._streams.get(header.arg1):
            # A CLSE that refuses an OPEN has no id of its own; everything else must name both ends.
            if header.arg0 != stream.remote and not (header.command == Command.CLSE and header.arg0 == 0):
                return
            if header.command == Command.OKAY:
                stream.accept()
            elif header.command == Command.WRTE and payload:
                stream.deliver(payload)
            elif header.command == Command.WRTE:
                await self.send(Command.OKAY, stream.local, stream.remote)
            elif header.command == Command.CLSE:
                stream.drop()

    async def _greet(self, header: Header) -> None:
        if header.arg1 < MIN_PAYLOAD:
            raise Malformed(f"peer takes only {header.arg1} bytes at a time")
        self._drop_streams()
        self.max_payload = min(MAX_PAYLOAD, header.arg1)
        # The greeting itself always has a checksum: the peer does not know yet which version it talks to.
        self._checksums = True
        await self.send(Command.CNXN, VERSION, MAX_PAYLOAD, self._banner)
        self._checksums = header.arg0 < VERSION
        self._online = True

    async def _open(self, remote: int, payload: bytes) -> None:
        if remote == 0:
            raise Malformed("OPEN without a stream id")
        name = payload.partition(b"\0")[0]
        service = self._find(name) if len(self._streams) < MAX_STREAMS else None
        if service is None:
            log.info("refused service %r", name[:80])
            await self.send(Command.CLSE, 0, remote)
            return
        stream = Stream(self, self._next, remote)
        self._streams[stream.local] = stream
        self._next = self._next % 0xFFFFFFFF + 1
        task = asyncio.create_task(self._serve(stream, name, service))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: Stream, name: bytes, service: Service) -> None:
        try:
            await self.send(Command.OKAY, stream.local, stream.remote)
            stream.accept()
            await service(stream)
        except Malformed as error:
            log.warning("service %r: %s", name[:80], error)
        except Closed:
            pass
        except Exception:
            # One service must not take the phone with it; the client sees its stream close.
            log.exception("service %r", name[:80])
        finally:
            try:
                await stream.close()
            except Closed:
                stream.drop()

    def _drop_streams(self) -> None:
        for stream in list(self._streams.values()):
            stream.drop()
