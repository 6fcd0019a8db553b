"""The `shell:` and `exec:` services: a program's standard streams over one ADB stream.

With the shell protocol (v2) packets `id:u8 length:u32le data` keep stdout and stderr apart and carry the exit status.
Without it the program gets a raw PTY, as Android's daemon gives it: closing the stream hangs up on everything in its
foreground. What ends when a v2 client goes away is the shell alone; its children live on, here as there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import pty
import struct
import sys
import termios
import tty
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.virtual.processes import Processes
from bench.virtual.wire import Closed, Malformed, Stream

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN, WINDOW_SIZE = range(6)
PACKET = struct.Struct("<BI")
MAX_CONTROL = 1024
"""Bytes of a packet that is not stdin."""
INPUT_PIECE = 1 << 16
PIPE_BYTES = 256 << 10


@dataclass(frozen=True)
class Request:
    """What a service name asks for, e.g. `shell,v2,TERM=xterm,raw:ls /data`."""

    command: bytes
    v2: bool = False
    terminal: str | None = None
    """TERM when a PTY is wanted, else None."""

    @classmethod
    def parse(cls, name: bytes) -> Request | None:
        """The request, or None when the name is not a shell or exec service."""
        kind, colon, command = name.partition(b":")
        head, *options = kind.split(b",")
        if not colon or head not in (b"shell", b"exec"):
            return None
        if head == b"exec":
            return cls(command)
        terminal = next((option[5:] for option in options if option.startswith(b"TERM=")), b"dumb") or b"dumb"
        wants_pty = b"pty" in options or (not command and b"raw" not in options)
        return cls(command, b"v2" in options, terminal.decode("ascii", "replace") if wants_pty else None)


async def _wait_for(descriptor: int, register: Callable[..., None], unregister: Callable[[int], bool]) -> None:
    ready = asyncio.Event()
    register(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        unregister(descriptor)


async def _send_input(descriptor: int, data: bytes | memoryview) -> bool:
    """Write all of `data`; False when nobody reads it any more."""
    loop = asyncio.get_running_loop()
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            await _wait_for(descriptor, loop.add_writer, loop.remove_writer)
        except OSError:
            return False
    return True


async def _receive_output(descriptor: int, most: int) -> bytes:
    """What is there, at most `most` bytes, waiting for the first; empty at the end.

    A PTY hands out 4 KiB at a time: gather what is there, because every message costs a round trip.
    """
    loop = asyncio.get_running_loop()
    parts: list[bytes] = []
    size = 0
    while size < most:
        try:
            part = os.read(descriptor, most - size)
        except BlockingIOError:
            if parts:
                break
            await _wait_for(descriptor, loop.add_reader, loop.remove_reader)
            continue
        except OSError as error:
            if error.errno != errno.EIO:  # a PTY whose last user left
                raise
            part = b""
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


class _Session:
    """The descriptors of one running program."""

    def __init__(self, stream: Stream, request: Request) -> None:
        self.stream = stream
        self.request = request
        self.outputs: list[tuple[int, int]] = []
        """Descriptor and packet id."""
        self.given: tuple[int, int, int]
        """The program's stdin, stdout and stderr."""
        if request.terminal or not request.v2:
            master, slave = pty.openpty()
            if not request.terminal:
                tty.setraw(slave)
            self.given = slave, slave, slave
            self.input: int | None = os.dup(master)
            self.outputs = [(master, STDOUT)]
        else:
            stdin, self.input = os.pipe()
            stdout_read, stdout = os.pipe()
            stderr_read, stderr = os.pipe()
            if sys.platform == "linux":
                # Fewer messages; refused once a user's pipes hold more than fs.pipe-user-pages-soft.
                with contextlib.suppress(OSError):
                    fcntl.fcntl(stdout_read, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            self.given = stdin, stdout, stderr
            self.outputs = [(stdout_read, STDOUT), (stderr_read, STDERR)]
        for descriptor in (self.input, *(descriptor for descriptor, _ in self.outputs)):
            os.set_blocking(descriptor, False)

    def hand_over(self) -> None:
        """Close the program's ends on this side."""
        for descriptor in set(self.given):
            os.close(descriptor)

    def close_input(self) -> None:
        if self.input is not None:
            os.close(self.input)
            self.input = None

    def close(self) -> None:
        self.close_input()
        for descriptor, _ in self.outputs:
            os.close(descriptor)

    async def pump_output(self, descriptor: int, kind: int) -> None:
        v2 = self.request.v2
        while data := await _receive_output(descriptor, self.stream.max_payload - PACKET.size):
            await self.stream.write(PACKET.pack(kind, len(data)) + data if v2 else data)

    async def pump_input(self) -> None:
        """Hand on what the client types until it goes away."""
        while True:
            if not self.request.v2:
                data = await self.stream.read()
                if not data:
                    raise Closed
                await self._put(data)
                continue
            kind, length = PACKET.unpack(await self.stream.exactly(PACKET.size))
            if kind == STDIN:
                while length:
                    piece = await self.stream.exactly(min(length, INPUT_PIECE))
                    length -= len(piece)
                    await self._put(piece)
                continue
            if length > MAX_CONTROL:
                raise Malformed(f"shell packet {kind} of {length} bytes")
            body = await self.stream.exactly(length)
            if kind == CLOSE_STDIN and not self.request.terminal:
                self.close_input()
            elif kind == WINDOW_SIZE and self.request.terminal and self.input is not None:
                fcntl.ioctl(self.input, termios.TIOCSWINSZ, _window(body))

    async def _put(self, data: bytes | memoryview) -> None:
        if self.input is not None and not await _send_input(self.input, data) and not self.request.terminal:
            self.close_input()


def _window(text: bytes) -> bytes:
    """`struct winsize` from `ROWSxCOLUMNS,WIDTHxHEIGHT`. Raises Malformed."""
    try:
        cells, _, pixels = text.rstrip(b"\0").partition(b",")
        rows, columns = (int(number) for number in cells.split(b"x"))
        width, height = (int(number) for number in pixels.split(b"x"))
        return struct.pack("4H", rows, columns, width, height)
    except (ValueError, struct.error) as error:
        raise Malformed(f"window size {text!r}") from error


async def serve(stream: Stream, request: Request, processes: Processes) -> None:
    """Run the request's command, or an interactive shell for an empty one, until it and all it left behind at its
    outputs have ended, or the client has gone. Raises OSError when no program can be started."""
    session = _Session(stream, request)
    arguments = [b"-c", request.command] if request.command else [b"-i"] if request.terminal else []
    try:
        try:
            pid, ended = processes.start(arguments, session.given, request.terminal or (None if request.v2 else "dumb"))
        finally:
            session.hand_over()
        pumps = [asyncio.ensure_future(session.pump_output(*output)) for output in session.outputs]
        outputs = asyncio.gather(*pumps)
        entering = asyncio.ensure_future(session.pump_input())
        leaving = asyncio.ensure_future(stream.gone.wait())
        tasks: list[asyncio.Future[Any]] = [outputs, entering, leaving]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if outputs.done() and not outputs.exception():
                status = await ended
                if request.v2:
                    await stream.write(PACKET.pack(EXIT, 1) + bytes([status]))
            elif entering.done() and isinstance(entering.exception(), Malformed):
                entering.result()
        finally:
            # The pumps by name: gather is done with the first that fails, and another may still watch a descriptor
            # whose number is about to be somebody else's.
            tasks += pumps
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            processes.hang_up(pid)
    finally:
        session.close()
